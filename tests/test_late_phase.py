"""The late phase: its decomposition adds up, its worlds differ as they say, its record is what its code gives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from linrep.concepts import ConceptGraph
from linrep.contexts import UNKNOWN
from linrep.errors import DivergenceError, InputError, LinrepError
from linrep.experiments import late_phase, late_phase_views
from linrep.experiments import late_phase_parts as parts
from linrep.experiments.late_phase_worlds import arm_name, arms, batch_of
from linrep.figures.late_phase import PARTS, doses, parts_along
from linrep.loss import PopulationLoss
from linrep.pilot import CLOCKS, STEP_EFFECT, Pace
from linrep.population import Population, complete_population
from linrep.setting import Setting
from linrep.simulate import COSINES, simulate
from linrep.spectrum import degree_weights, walsh
from linrep.start import Tables, initial_tables
from linrep.theory.interaction import explicit_model, log_odds_ratio, product_floor, token_squares, total_correlation

ROUNDING = 1e-10


def world(concepts: int = 3, count: int = 3, *, edges: float = 1.0) -> Population:
    return complete_population([ConceptGraph.random(concepts, edges=edges, seed=900 + r) for r in range(count)])


def random_tables(population: Population, *, dim: int = 3, scale: float = 1.0) -> Tables:
    shape = len(population.contexts), len(population.tokens)
    return initial_tables(*shape, dim, seeds=range(70, 70 + population.replicates), init_scale=scale)


def kl(population: Population, tables: Tables) -> np.ndarray:
    loss = PopulationLoss.of(population, dtype=torch.float64, device="cpu").value(tables)
    return np.asarray(loss.numpy() - population.entropy)


@pytest.mark.parametrize("concepts", [2, 3, 4])
def test_the_parts_of_the_divergence_add_up_and_none_is_negative(concepts: int) -> None:
    population = world(concepts)
    tables = random_tables(population)
    found = parts.split(population, tables)
    each = [getattr(found, name) for name in late_phase.MOMENTS]
    assert all(float(part.min()) > -ROUNDING for part in each)
    whole = sum(parts.by_known(part, population).sum(dim=-1) for part in each)
    assert np.abs(whole.numpy() - kl(population, tables)).max() < ROUNDING


def test_what_a_context_knows_decides_which_parts_it_can_have() -> None:
    population = world()
    found = parts.split(population, random_tables(population))
    by_known = {name: parts.by_known(getattr(found, name), population) for name in late_phase.MOMENTS}
    assert by_known["leak"][:, 0].abs().max() < ROUNDING  # nothing is forbidden where nothing is known
    assert by_known["singles"][:, -1].abs().max() < ROUNDING  # one token is left where all is known
    assert by_known["interactions"][:, -2:].abs().max() < ROUNDING  # one concept has no interactions
    assert by_known["interactions"][:, 0].min() > 1e-6


def test_a_model_of_independent_concepts_lacks_the_total_correlation() -> None:
    """Whatever its single concepts are: degree-one logits, which random f and straight g give."""
    population = world()
    straight = torch.from_numpy(2.0 * population.tokens - 1).repeat(population.replicates, 1, 1)
    found = parts.split(population, (random_tables(population)[0], straight))
    assert np.abs(found.interactions.numpy() - total_correlation(population)).max() < ROUNDING
    assert float(found.singles.sum()) > 0.1


def test_a_model_with_exact_log_odds_lacks_only_the_leak() -> None:
    population = world()
    found = parts.split(population, explicit_model(population, 6.0))
    assert float(found.singles.abs().max()) < ROUNDING
    assert float(found.interactions.abs().max()) < ROUNDING
    assert float(parts.by_known(found.leak, population).sum(dim=-1).min()) > 1e-4


def test_with_singles_keeps_odds_ratios_and_takes_single_concepts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    tokens = world().tokens
    own, target = (rng.dirichlet(np.ones(8), size=(1, 2)) for _ in range(2))
    mixed = parts.with_singles(torch.from_numpy(own), torch.from_numpy(target), tokens).numpy()
    assert np.abs(mixed @ tokens - target @ tokens).max() < 1e-11
    squares = token_squares(tokens, 0, 2)
    assert np.abs(log_odds_ratio(mixed, squares) - log_odds_ratio(own, squares)).max() < 1e-9
    monkeypatch.setattr(parts, "ROUNDS", 1)
    with pytest.raises(LinrepError, match="do not agree within 1e-12 after 1 rounds"):
        parts.with_singles(torch.from_numpy(own), torch.from_numpy(target), tokens)


@pytest.mark.parametrize("concepts", [2, 4])
def test_degree_weights_add_up_to_the_norm(concepts: int) -> None:
    population = world(concepts)
    table = random_tables(population)[1]
    weights = degree_weights(table, population.tokens)
    assert torch.allclose(weights.sum(dim=-1), table.square().sum(dim=-1).mean(dim=-1))
    values = table @ table[:, :1].mT  # any function of the tokens
    inside = parts.agreeing_weights(values.mT.expand(-1, len(population.contexts), -1), population)
    agrees = torch.from_numpy(population.consistent).double()
    squares = (values.mT.square() * agrees).sum(dim=-1) / agrees.sum(dim=-1)
    assert torch.allclose(inside.sum(dim=-1), squares)
    with pytest.raises(InputError, match="needs all 4"):
        walsh(population.tokens[:3, :2])


def test_a_straight_table_has_no_degree_above_one() -> None:
    tokens = world().tokens
    straight = torch.from_numpy(2.0 * tokens - 1)[None]
    weights = degree_weights(straight, tokens)
    assert float(weights[:, 2:].abs().max()) < ROUNDING
    assert float(weights[:, 1]) == pytest.approx(3)


def test_a_world_without_interactions_has_no_log_odds_of_higher_degree() -> None:
    population = world(edges=0.0)
    assert float(parts.logit_gap(population, random_tables(population)).size.max()) < ROUNDING
    assert float(parts.logit_gap(world(), random_tables(world())).size.min()) > 1e-4


def test_the_gap_of_a_model_with_exact_log_odds_is_zero() -> None:
    population = world()
    gap = parts.logit_gap(population, explicit_model(population, 4.0))
    assert float(gap.first.abs().max()) < ROUNDING
    assert float(gap.higher.abs().max()) < ROUNDING


def test_a_dose_multiplies_every_log_odds_ratio_and_nothing_of_degree_one() -> None:
    population = world()
    squares = token_squares(population.tokens, 0, 1)
    own = log_odds_ratio(population.joint, squares)
    for dose in (0.0, 0.5, 1.0, 2.0):
        changed = parts.with_interactions(population, dose)
        assert np.abs(log_odds_ratio(changed.joint, squares) - dose * own).max() < 1e-9
        assert np.allclose(changed.joint.sum(axis=1), 1)
        logs = (np.log(p.joint) @ (2.0 * p.tokens - 1) for p in (changed, population))
        assert np.allclose(*logs)
    assert product_floor(parts.with_interactions(population, 0.0)).max() < ROUNDING
    assert np.allclose(parts.with_interactions(population, 1.0).joint, population.joint)
    with pytest.raises(InputError, match="dose is -1"):
        parts.with_interactions(population, -1.0)


@pytest.fixture(scope="module")
def short_arm() -> dict:
    given = {"m": 3, "start": "small", "world": "dependent", "seeds": 3, "clock": CLOCKS[0], "step_size": 1.0}
    return late_phase.arm(**given)


def test_an_arm_has_finite_numbers_at_every_mark(short_arm: dict) -> None:
    means, rows = pd.DataFrame(short_arm["means"]), pd.DataFrame(short_arm["per_seed"])
    assert list(means["clock"]) == late_phase.marks_to(CLOCKS[0])[::2]
    assert np.isfinite(means.drop(columns="U ±").to_numpy(float)).all()
    assert np.allclose(means[list(late_phase.MOMENTS)].sum(axis=1), means["kl"], rtol=1e-4)
    known = means[[column for column in means if column.startswith("known")]]
    assert np.allclose(known.sum(axis=1), means["kl"], rtol=1e-4)
    assert (rows["top"] >= rows["unembedding"]).all()
    assert list(rows["seed"]) == [0, 1, 2]


def test_an_arm_follows_the_same_training_as_a_simulation() -> None:
    batch = batch_of(3, "linear", "dependent", range(2))
    _, last = late_phase.along(batch, clock=CLOCKS[0], step_size=2.0)
    same = simulate(Setting(concepts=3), seeds=range(2), pace=Pace(2.0, 500)).per_seed()
    for name in ("kl", *COSINES):
        assert np.allclose(last[name], same[name], atol=1e-9)


def test_a_step_that_is_too_large_is_an_error_and_never_a_nan() -> None:
    batch = batch_of(3, "linear", "dependent", range(2))
    with pytest.raises(DivergenceError, match="try step size"):
        late_phase.along(batch, clock=CLOCKS[-1], step_size=1000, whole=False)


def test_a_seed_does_not_count_where_halving_the_step_moves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"m": 3, "start": "small", "world": "dependent", "seeds": 2, "clock": CLOCKS[0], "step_size": 1.0}
    monkeypatch.setattr(late_phase, "STEP_EFFECT", 0.0)
    found = late_phase.arm(**given)
    assert not any(row["counts"] for row in found["per_seed"])
    assert found["means"] == []


@pytest.mark.parametrize(("world", "unknown"), [("no empty context", 3), ("no full contexts", 0)])
def test_a_mask_left_out_takes_its_contexts_and_nothing_else(world: str, unknown: int) -> None:
    left, whole = batch_of(3, "small", world, range(2)), batch_of(3, "small", "dependent", range(2))
    place = {state.tobytes(): row for row, state in enumerate(whole.population.contexts)}
    rows = [place[state.tobytes()] for state in left.population.contexts]
    gone = np.delete(whole.population.contexts, rows, axis=0)
    assert ((gone == UNKNOWN).sum(axis=1) == unknown).all()
    assert len(gone) == (1 if unknown == 3 else 8)
    assert torch.equal(left.start[0], whole.start[0][:, rows])
    assert np.allclose(left.population.weights, whole.population.weights[:, rows] * 8 / 7)


def test_unknown_worlds_and_starts_are_refused() -> None:
    with pytest.raises(InputError, match="start is 'large'"):
        batch_of(3, "large", "dependent", range(1))
    with pytest.raises(InputError, match="world is 'flat'"):
        batch_of(3, "small", "flat", range(1))
    with pytest.raises(InputError, match="no arm 'other' on record"):
        late_phase_views.series("other")


def test_the_record_has_every_arm_and_counts_by_the_rule() -> None:
    record = late_phase_views.recorded(late_phase.NAME)
    names = [arm["arm"] for arm in record.body["arms"]]
    assert names == list(arms(late_phase.SEEDS, late_phase.HORIZON))
    rows = late_phase_views.per_seed(record)
    assert set(rows["arm"]) == set(range(len(names)))
    assert not rows.duplicated(["arm", "seed"]).any()
    for place, arm in enumerate(record.body["arms"]):
        assert (rows["arm"] == place).sum() == arm["seeds"] >= 20
        assert arm["half step moves"] < STEP_EFFECT
        assert arm["moved"] < STEP_EFFECT
    assert max(record.body["quarter"]["moved"]) < STEP_EFFECT


def test_a_live_slice_that_differs_from_its_record_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    name = arm_name(5, "small", "dependent")
    record = late_phase_views.recorded(late_phase.NAME)
    place = [arm["arm"] for arm in record.body["arms"]].index(name)
    assert late_phase_views.require_live([(name, range(7, 8))], tolerance=0.002) == 1
    rows = record.body["per_seed"]
    changed = rows[place] | {"top": [value - 0.01 for value in rows[place]["top"]]}
    moved = replace(record, body=dict(record.body) | {"per_seed": [*rows[:place], changed, *rows[place + 1 :]]})
    monkeypatch.setattr(late_phase_views, "recorded", lambda _: moved)
    with pytest.raises(LinrepError, match="seed = 7: top is"):
        late_phase_views.require_live([(name, range(7, 8))], tolerance=0.002)


def test_tables_of_the_chapter_add_up() -> None:
    name = arm_name(4, "small", "dependent")
    table = late_phase_views.parts_table(name)
    assert np.allclose(table[list(late_phase.MOMENTS)].sum(axis=1), table["KL"], rtol=1e-4)
    shares = late_phase_views.drop_table(name, [1000, 10_000, 100_000])[list(late_phase.MOMENTS)]
    assert np.allclose(shares.sum(axis=1), 100, atol=0.1)
    assert np.allclose(late_phase_views.known_table(name).sum(axis=1), table["KL"], rtol=1e-4)
    rows = late_phase_views.seeds_of(name)
    assert (rows["fall"] >= 0).all()
    mean, _, count = late_phase_views.fall_between(name, name)
    assert (mean, count) == (0.0, len(rows))


def test_bootstrapped_correlations_are_spearmans() -> None:
    rng = np.random.default_rng(5)
    pair = rng.integers(5, size=(2, 4, 12)).astype(float)
    found = late_phase_views._correlations(*(stats.rankdata(values, axis=1) for values in pair))
    assert np.allclose(found, [stats.spearmanr(*rows).statistic for rows in zip(*pair, strict=True)])
    assert late_phase_views._correlations(np.ones((1, 3)), np.arange(3.0)[None]) == 0


def test_figures_draw_what_they_are_given() -> None:
    name = arm_name(3, "small", "dependent")
    table = late_phase_views.parts_table(name)
    (axis,) = parts_along({3: table}).axes
    assert np.allclose(axis.lines[0].get_ydata(), table["leak"] / 1000)
    assert len(axis.lines) == len(PARTS) + 2
    figure = doses({"1": late_phase_views.series(name)}, late_phase_views.seeds_of(name).assign(m=3))
    assert len(figure.axes[1].lines[0].get_xdata()) == len(late_phase_views.seeds_of(name))
