"""What a simulation promises: the rules of step and clock, the measures, tables that read back, controls that fail."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest

from linrep import geometry
from linrep.concepts import ConceptGraph
from linrep.controls import relabelled, untrained
from linrep.errors import InputError, LinrepError, StepSizeWarning
from linrep.experiments import table1
from linrep.history import at_clocks, history
from linrep.linearity import concept_vectors, measure
from linrep.loss import PopulationLoss
from linrep.masks import mask_probability
from linrep.pilot import CLOCKS, FITTED_KL, STEP_EFFECT, STEP_GRID, Pace, halved
from linrep.seeds import PILOT_SEEDS, stream
from linrep.setting import Setting
from linrep.simulate import (
    COSINES,
    MEASURES,
    Run,
    Simulation,
    arms_table,
    make_batches,
    setting_pace,
    simulate,
    step_effect,
    summary,
)
from linrep.start import initial_tables
from linrep.steering import steering_vectors
from linrep.tables import load_tables, save_tables
from linrep.train import TrainConfig, train

FAIR = {"concepts": 3, "edges": 0, "prob": (0.5, 0.5)}
SEEDS = range(70, 76)


def test_fair_coins_from_a_small_start_are_linear_matched_and_orthogonal() -> None:
    setting = Setting(**FAIR, init_scale=0.01, step_size=1, steps=30_000)
    table = simulate(setting, seeds=SEEDS).per_seed()
    fitted = table[table["fitted"]]
    assert len(fitted) >= 4
    assert fitted[list(COSINES)].min().min() > 0.999
    assert fitted["between"].mean() < 0.005


def test_a_wider_space_is_less_linear() -> None:
    table = simulate(Setting(**FAIR, dim=8, init_scale=0.1, step_size=1, steps=30_000), seeds=SEEDS).per_seed()
    assert table["fitted"].all()
    assert table["unembedding"].mean() < 0.8


def test_controls_destroy_what_training_made() -> None:
    found = simulate(Setting(concepts=4, step_size=4, steps=800), seeds=SEEDS)
    assert found.per_seed()[list(COSINES)].mean().min() > 0.9
    for control in (untrained(found), relabelled(found)):
        assert control["seed"].tolist() == list(SEEDS)
        assert control[list(COSINES)].mean().abs().max() < 0.15


def test_the_pace_follows_its_rules_on_the_pilots() -> None:
    setting = Setting(concepts=3)
    pace = setting_pace(setting)
    assert pace.step_size in STEP_GRID
    pilots = simulate(setting, seeds=range(1), pace=pace)
    assert pilots.clock in [pytest.approx(clock, abs=pace.step_size) for clock in CLOCKS]

    def pilot_table(tried: Pace) -> pd.DataFrame:
        (batch,) = make_batches(setting, PILOT_SEEDS)
        config = TrainConfig(tried.step_size, tried.steps)
        trained = train(batch.population, batch.start, config, seeds=batch.seeds, warn=False)
        run = Run(batch, trained, measure(batch.population, (trained.embedding, trained.unembedding)))
        return Simulation(setting, tried, PILOT_SEEDS, (run,), 0.0).per_seed()

    chosen = pilot_table(pace)
    assert chosen["monotone"].eq(True).all()
    assert chosen["kl"].median() < FITTED_KL
    above = STEP_GRID[STEP_GRID.index(pace.step_size) - 1]
    steps = int(np.ceil(pilots.clock / above))
    assert not pilot_table(Pace(above, steps))["monotone"].eq(True).all()
    if pilots.clock > CLOCKS[0] + pace.step_size:
        shorter = pilot_table(Pace(pace.step_size, int(pace.steps / 10**0.5)))
        assert shorter["kl"].median() >= FITTED_KL


def test_a_given_step_or_number_of_steps_is_honoured() -> None:
    assert setting_pace(Setting(step_size=0.5, steps=7)) == Pace(0.5, 7)
    assert setting_pace(Setting(step_size=0.5)).step_size == 0.5
    assert setting_pace(Setting(steps=300)).steps == 300
    assert setting_pace(Setting(optimizer="adam", steps=50)) == Pace(0.001, 50)
    adam = simulate(Setting(optimizer="adam", steps=50), seeds=range(1))
    assert adam.clock == adam.to_record().body["clock"] == 50
    assert halved(Pace(2.0, 500)) == Pace(1.0, 1000)


def test_a_step_whose_halving_changes_the_geometry_is_passed_over() -> None:
    setting = Setting(concepts=3, dim=8, edges=0, prob=(0.5, 0.5), init_scale=0.01)
    (batch,) = make_batches(setting, PILOT_SEEDS)
    pace = setting_pace(setting, clock=1000)

    def effect(tried: Pace) -> float:
        found = [simulate_pilots(tried), simulate_pilots(halved(tried))]
        return float((found[0] - found[1]).abs().to_numpy().max())

    def simulate_pilots(tried: Pace) -> pd.DataFrame:
        config = TrainConfig(tried.step_size, tried.steps)
        trained = train(batch.population, batch.start, config, seeds=batch.seeds, warn=False)
        assert trained.monotone is not None
        assert trained.monotone.all()
        found = measure(batch.population, (trained.embedding, trained.unembedding)).per_replicate()
        return pd.DataFrame(found)[list(COSINES)]

    above = STEP_GRID[STEP_GRID.index(pace.step_size) - 1]
    assert effect(pace) < STEP_EFFECT <= effect(Pace(above, int(np.ceil(1000 / above))))


def test_a_setting_that_does_not_fit_has_no_clock() -> None:
    with pytest.raises(LinrepError, match=r"at clock 100,000 the median KL divergence of the pilots is .* give steps"):
        setting_pace(Setting(concepts=3, dim=1, step_size=8))


def test_a_step_that_is_given_and_too_large_warns() -> None:
    with pytest.warns(StepSizeWarning, match="step size 20 is above their monotone range"):
        table = simulate(Setting(step_size=20, steps=100), seeds=range(3)).per_seed()
    assert table["monotone"].eq(False).any()


def test_the_same_seed_gives_the_same_numbers_whatever_is_asked_beside_it() -> None:
    setting = Setting(concepts=3, step_size=1, steps=500)
    few, many = simulate(setting, seeds=range(4, 6)).per_seed(), simulate(setting, seeds=range(2, 9)).per_seed()
    shared = many[many["seed"].isin(few["seed"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, shared, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "subset",
    [
        {},
        {"masks": 10, "tokens": 14},
        {"mask_law": "size"},
        {"tokens": 14, "mask_law": "often"},
        {"masks": 12, "mask_law": "rarely"},
    ],
)
def test_saved_tables_give_the_same_numbers(tmp_path, subset: dict) -> None:
    found = simulate(Setting(concepts=4, step_size=1, steps=200, **subset), seeds=range(3))
    save_tables(found, tmp_path / "tables.safetensors")
    loaded = load_tables(tmp_path / "tables.safetensors")
    assert [seed for batch in loaded for seed in batch.seeds] == [0, 1, 2]
    for batch, run in zip(loaded, found.runs, strict=True):
        np.testing.assert_array_equal(batch.population.weights, run.batch.population.weights)
        again = measure(batch.population, batch.start).per_replicate()
        for name, values in run.linearity.per_replicate().items():
            np.testing.assert_array_equal(again[name], values)
    assert [path.name for path in tmp_path.iterdir()] == ["tables.safetensors"]


def test_no_tables_in_a_file_of_another_kind(tmp_path) -> None:
    (tmp_path / "x").write_text("no tables")
    with pytest.raises(InputError, match="does not hold saved tables"):
        load_tables(tmp_path / "x")
    with pytest.raises(InputError, match="no file"):
        load_tables(tmp_path / "y")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_papers_optimisers_reach_the_same_geometry(optimizer) -> None:
    step = {"sgd": 0.1, "adam": 0.001}[optimizer]
    table = simulate(Setting(concepts=3, optimizer=optimizer, step_size=step, steps=12_000), seeds=range(6)).per_seed()
    assert table["monotone"].isna().all()
    assert table["kl"].median() < 0.02
    assert table[list(COSINES)].median().min() > 0.9


def test_a_world_of_ones_own_is_used_for_every_seed() -> None:
    world = ConceptGraph.from_tables([[], [0]], [0.3, [0.6, 0.4]])
    found = simulate(Setting(concepts=2, graph=world, step_size=1, steps=10), seeds=range(2))
    joint = found.runs[0].batch.population.joint
    np.testing.assert_array_equal(joint[0], joint[1])
    np.testing.assert_allclose(joint[0], [0.28, 0.42, 0.18, 0.12])
    assert found.to_record().to_dict()["config"]["graph"] == world.to_dict()


def test_streams_of_a_seed_are_independent_and_fixed() -> None:
    draws = {purpose: stream(5, purpose).random(1000) for purpose in ("graph", "start", "sampling")}
    for first, second in (("graph", "start"), ("start", "sampling")):
        assert abs(np.corrcoef(draws[first], draws[second])[0, 1]) < 0.15
    np.testing.assert_array_equal(draws["graph"], stream(5, "graph").random(1000))
    assert not np.array_equal(draws["graph"], stream(6, "graph").random(1000))


@pytest.mark.parametrize("law", ["fair", "often", "rarely", "size"])
def test_batches_have_the_masks_of_the_setting(law) -> None:
    for subset in ({}, {"tokens": 7}):
        for batch in make_batches(Setting(concepts=3, mask_law=law, **subset), range(2)):
            unmasked = (batch.population.contexts != -1).all(axis=1)
            expected = mask_probability(np.array([[1, 1, 1]]), law)[0]
            np.testing.assert_allclose(batch.population.weights[:, unmasked].sum(axis=1), expected, rtol=1e-12)


def test_a_law_that_hides_rarely_makes_the_next_token_easier() -> None:
    """The entropy floor falls with the share hidden; training ends above it under each law."""
    floors = {}
    for law in ("often", "fair", "rarely"):
        found = simulate(Setting(concepts=3, step_size=1, steps=300, mask_law=law), seeds=range(4))
        kl, (run,) = found.per_seed()["kl"], found.runs
        floors[law] = run.batch.population.entropy
        assert kl.between(0, 0.3).all()
    assert (floors["often"] > floors["fair"]).all()
    assert (floors["fair"] > floors["rarely"]).all()


def test_biases_are_added_to_the_start_without_them() -> None:
    shape, seeds = (27, 8, 3), range(150)
    plain, biased = initial_tables(*shape, seeds=seeds), initial_tables(*shape, seeds=seeds, biases=True)
    for without, having, columns in zip(plain, biased, shape[:2], strict=True):
        bias = having - without
        torch.testing.assert_close(bias, bias[:, :1].expand_as(bias), rtol=0, atol=1e-15)
        of_torch = torch.cat([torch.nn.Linear(columns, 3).bias.detach() for _ in range(150)])
        bound = columns**-0.5
        for each in (bias, of_torch):
            assert 0.95 * bound < each.abs().max() <= bound
        assert kstest(bias[:, 0].flatten().numpy(), "uniform", args=(-bound, 2 * bound)).pvalue > 0.01
    of_contexts, of_tokens = ((having - without)[:, 0].flatten() for without, having in zip(plain, biased, strict=True))
    assert abs(np.corrcoef(of_contexts, of_tokens)[0, 1]) < 0.15


def test_biases_change_no_steering_vector_of_the_start() -> None:
    (plain,), (biased,) = (make_batches(Setting(concepts=3, biases=asked), SEEDS) for asked in (False, True))
    for pairs, without, having in zip(
        (plain.population.context_pairs, plain.population.token_pairs), plain.start, biased.start, strict=True
    ):
        assert not torch.allclose(without, having, rtol=0, atol=0.1)
        for pair in pairs:
            expected, found = steering_vectors(without, pair), steering_vectors(having, pair)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_the_bias_of_the_tokens_changes_no_prediction_and_no_gradient_and_stays() -> None:
    (plain,), (biased,) = (make_batches(Setting(concepts=3, biases=asked), SEEDS) for asked in (False, True))
    embedding = biased.start[0]
    loss = PopulationLoss.of(plain.population, dtype=torch.float64, device="cpu")
    predictions, values, gradients = [], [], []
    for unembedding in (plain.start[1], biased.start[1]):
        predictions.append(torch.softmax(embedding @ unembedding.mT, dim=-1))
        value, (of_contexts, of_tokens) = loss.value_and_gradient((embedding, unembedding))
        values.append(value)
        gradients.append(of_contexts)
        torch.testing.assert_close(of_tokens.sum(dim=1), torch.zeros(len(SEEDS), 3, dtype=torch.float64))
    torch.testing.assert_close(*predictions)
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"biases": True, "init_scale": 0.1}, "init-scale is 0.1 with biases; biases are allowed with the linear"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Setting(**options)


def test_history_ends_where_the_simulation_ends_and_starts_at_the_start() -> None:
    setting, pace = Setting(concepts=3), Pace(1.0, 1000)
    record, found = history(setting, seeds=range(3), pace=pace), simulate(setting, seeds=range(3), pace=pace)
    last = record[record["clock"] == 1000].reset_index(drop=True)
    for name in MEASURES:
        np.testing.assert_allclose(last[name], found.per_seed()[name], atol=1e-12, err_msg=name)
    first = record[record["clock"] == 0].reset_index(drop=True)
    np.testing.assert_allclose(first["matched"], untrained(found)["matched"], atol=1e-12)
    assert record["monotone"].all()
    assert list(at_clocks(record)) == ["1,000"]
    pd.testing.assert_frame_equal(at_clocks(record)["1,000"].reset_index(drop=True), last)


def test_summaries_by_hand() -> None:
    table = pd.DataFrame({name: [1.0, 2.0, 6.0] for name in MEASURES})
    assert summary(table)["mean"]["kl"] == 3
    assert summary(table)["stderr"]["kl"] == pytest.approx(np.sqrt(7 / 3))
    assert summary(table.iloc[:1])["stderr"]["kl"] is None
    assert summary(table.iloc[:0])["mean"] is None
    arms = arms_table({"a": table}, {"kl": "KL"})
    assert arms.loc["a", "KL"] == "3.000 ± 1.528"


def test_table_1_counts_and_compares() -> None:
    row = table1.Row(
        *(simulate(Setting(concepts=3), seeds=range(4), pace=pace) for pace in (Pace(2, 500), Pace(1, 1000)))
    )
    assert 0 < step_effect(row.simulation, row.half_step) < 0.005
    with_self = table1.self_pairs_table([row]).loc[(3, "U")]
    (run,) = row.simulation.runs
    table = concept_vectors(run.trained.unembedding, run.batch.population.token_pairs)
    units = [geometry.unit(part) for part in table]
    every = torch.stack([(part @ part.mT).mean(dim=(-2, -1)) for part in units]).mean()
    assert with_self["with"] == pytest.approx(float(every), abs=1e-12)
    table = table1.comparison_table([row])
    assert table.index.tolist() == [(3, "U"), (3, "E"), (3, "UE")]
    assert (table["difference"] == table["ours"] - table["paper"]).all()
    assert table["paper"].tolist() == [0.972, 0.982, 0.980]
