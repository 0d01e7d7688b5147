"""Laws of the cost of a margin and of gradient flow, and the record of descent on its way; seeds from 1000."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linrep.concepts import all_tokens
from linrep.contexts import UNKNOWN, agreement, all_contexts
from linrep.errors import InputError, LinrepError
from linrep.experiments import limit, limit_descent
from linrep.experiments import limit_descent_views as views
from linrep.figures import limit as figures
from linrep.loss import PopulationLoss
from linrep.perturbed import Decayed
from linrep.results import Record
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.spectrum import walsh
from linrep.start import Tables
from linrep.theory import cube_margin, margin_cost
from linrep.theory.cube_flow import cube_flow, pattern_of, speed
from linrep.theory.gradient_flow import flow
from linrep.theory.loss_optima import balanced_factors
from linrep.theory.regularised_path import direct
from linrep.train import train

ROUNDING = 1e-9  # sums of some hundred numbers of size one, in double precision: far below
SEEDS = st.integers(1000, 10**6)


def costs(logits: torch.Tensor, concepts: int) -> tuple[float, float]:
    """R, and the distance from the optimum in shape."""
    best, support = cube_margin.solve_cube(concepts), agreement(all_contexts(concepts), all_tokens(concepts))
    norm, margin = margin_cost.nuclear_norms(logits), margin_cost.least_margin(logits, support)
    ratio = margin_cost.cost_ratio(norm.numpy(), margin.numpy(), least=best.value)
    return float(ratio), float(margin_cost.shape_distance(logits, cube_margin.centred_logits(best.margins)))


# What a margin costs


@pytest.mark.parametrize(("concepts", "linear"), [(2, 1.0975), (3, 1.1859)])
def test_the_optimum_costs_one_and_linear_logits_what_they_should(concepts: int, linear: float) -> None:
    optimum, counting = (
        torch.from_numpy(3.7 * cube_margin.centred_logits(margins))
        for margins in (cube_margin.solve_cube(concepts).margins, cube_margin.counting_margins(concepts))
    )
    assert costs(optimum, concepts) == pytest.approx((1, 0), abs=1e-6)
    ratio, apart = costs(counting, concepts)
    assert ratio == pytest.approx(linear, abs=1e-4)
    assert apart > 0.3


def test_the_measures_see_tables_as_they_see_their_logits() -> None:
    f, g = balanced_factors(cube_margin.centred_logits(cube_margin.counting_margins(2)), dim=4)
    moved = torch.from_numpy(f)[None], torch.from_numpy(g)[None] + 5  # what all tokens share changes no prediction
    found = limit_descent.measured(limit.coins(2))(0, moved)
    assert found["norm"][0] == pytest.approx(2 * math.sqrt(6))
    assert found["margin"][0] == pytest.approx(1)
    assert (found["degree 1"][0], found["unembedding"][0]) == pytest.approx((1, 1))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, concepts=st.integers(2, 3))
def test_no_logits_with_a_margin_cost_less_than_the_optimum(seed: int, concepts: int) -> None:
    """Even if they differ on a support: rem-limit-ratio."""
    rng = np.random.default_rng(seed)
    support = agreement(all_contexts(concepts), all_tokens(concepts))
    near = cube_margin.centred_logits(cube_margin.solve_cube(concepts).margins)
    logits = torch.from_numpy(near + rng.choice([0.01, 0.1, 1]) * rng.standard_normal(support.shape))
    logits = logits - logits.mean(dim=-1, keepdim=True)
    ratio, _ = costs(logits, concepts)
    assert ratio >= 1 - 1e-6


def test_the_margin_is_the_least_over_contexts_and_negative_where_one_is_wrong() -> None:
    logits = torch.tensor([[3.0, 1.0, 0.0], [0.0, 5.0, 5.0], [9.0, 0.0, 4.0]])
    support = np.array([[True, True, False], [True, True, True], [True, False, False]])
    assert float(margin_cost.least_margin(logits, support)) == 1
    logits[2, 2] = 10
    found = margin_cost.least_margin(logits[None], support).numpy()
    assert found == pytest.approx([-1])
    assert margin_cost.cost_ratio(np.ones(1), found, least=1.0).tolist() == [math.inf]
    with pytest.raises(InputError, match="none of the 1 contexts excludes a token"):
        margin_cost.least_margin(logits[1:2], support[1:2])


# Flow


def symmetric_start(concepts: int, scale: float) -> Tables:
    """Whole tables with all coefficients `scale`, as `cube_flow` starts."""
    tokens, contexts = all_tokens(concepts), all_contexts(concepts)
    characters, degree = walsh(tokens)
    unembedding = scale * characters.T * torch.from_numpy(degree > 0)
    embedding = torch.zeros(len(contexts), len(tokens), dtype=torch.float64)
    for d, context in enumerate(contexts):
        known = context != UNKNOWN
        for s, chosen in enumerate(tokens == 1):
            if chosen.any() and known[chosen].all():
                embedding[d, s] = scale * float(np.prod(2 * context[chosen] - 1))
    return embedding[None], unembedding[None]


@pytest.mark.parametrize("concepts", [2, 3])
def test_the_symmetric_flow_is_that_of_whole_tables(concepts: int) -> None:
    loss = PopulationLoss.of(limit.coins(concepts), dtype=torch.float64, device="cpu")
    whole = flow(loss, symmetric_start(concepts, 0.3), [10.0, 1000.0])
    for tables, reduced in zip(whole, cube_flow(concepts, 0.3, [10.0, 1000.0]), strict=True):
        found = margin_cost.centred_products(tables)[0].numpy()
        assert np.abs(found - cube_margin.centred_logits(reduced.logits)).max() < 1e-5
        measures = limit_descent.measured(limit.coins(concepts))(0, tables)
        assert measures["unembedding"][0] == pytest.approx(reduced.linearity, abs=1e-6)


def test_the_symmetric_flow_keeps_what_gradient_flow_keeps() -> None:
    """d(β_r²) = 2^−m Σ_κ C(m − r, κ − r) 2^κ d(α_{κ,r}²)."""
    tables = np.tril(np.random.default_rng(1000).standard_normal((4, 3)), -1)
    tables[0] = 1.5
    pace = speed(tables, 0.01) * tables
    for r in (1, 2, 3):
        owed = sum(math.comb(3 - r, k - r) * 2.0 ** (k - 3) * pace[k, r - 1] for k in range(r, 4))
        assert pace[0, r - 1] == pytest.approx(owed)
    assert pattern_of(tables)[:, 0] == pytest.approx(0)


def test_descent_with_small_steps_follows_the_flow() -> None:
    (batch,) = make_batches(Setting(concepts=2, dim=4, init_scale=0.3), (1000,))
    loss = PopulationLoss.of(batch.population, dtype=torch.float64, device="cpu")
    (ideal,) = flow(loss, batch.start, [200.0])
    apart = []
    for step in (0.04, 0.02):
        trained = train(
            batch.population, batch.start, Setting(concepts=2).training(step, round(200 / step)), seeds=(1000,)
        )
        apart.append(float((trained.embedding - ideal[0]).abs().max()))
    assert apart[0] < 0.02
    assert apart[0] / apart[1] == pytest.approx(2, abs=0.2)  # an error of the first order in the step


def test_flow_with_decay_ends_where_the_optimum_is() -> None:
    (batch,) = make_batches(Setting(concepts=2, dim=4, init_scale=0.5), (1000,))
    loss = PopulationLoss.of(batch.population, dtype=torch.float64, device="cpu")
    (tables,) = flow(loss, batch.start, [30_000.0], decay=1e-3)
    least, _ = direct(batch.population, 1e-3, dim=4, seed=1000)
    assert float(Decayed(loss, 1e-3).value_and_gradient(tables)[0]) == pytest.approx(least, abs=1e-7)


def test_flows_that_make_no_sense_are_refused() -> None:
    (batch,) = make_batches(Setting(concepts=2, dim=4), (1000, 1001))
    loss = PopulationLoss.of(batch.population, dtype=torch.float64, device="cpu")
    with pytest.raises(InputError, match=r"start has 2 replicates of torch\.float64"):
        flow(loss, batch.start, [10.0])
    one = tuple(table[:1] for table in batch.start)
    for clocks in ([], [0.0], [10.0, 5.0], [1e11], [math.nan]):
        with pytest.raises(InputError, match="they must ascend from above 0 to at most 1e"):
            flow(loss, (one[0], one[1]), clocks)
        with pytest.raises(InputError, match=r"they must ascend|scale is"):
            cube_flow(2, 0.1 if clocks != [1e11] else -1.0, clocks)
    with pytest.raises(InputError, match="decay is -1"):
        flow(loss, (one[0], one[1]), [10.0], decay=-1.0)
    with pytest.raises(InputError, match="concepts is 1"):
        cube_flow(1, 0.1, [10.0])


def test_a_tiny_symmetric_start_stays_linear_and_leaves_it_as_a_power_of_the_logarithm() -> None:
    """Prediction (3): the power is 4/√6 − 1."""
    found = views.exponents([1e-8], [1e40, 1e80, 1e160, 1e300]).loc["1e-08"]
    assert (found - (4 / math.sqrt(6) - 1)).abs().max() < 0.02


# The record


def test_a_smoke_record_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_descent, "unfinished_folder", lambda name: tmp_path / name)
    record = limit_descent.record("smoke")
    rows = record.to_frame()
    assert rows.groupby("how")["clock"].max().to_dict() == {"descent": 10**3, "flow": 10**4, "decayed": 3000}
    kept = ["kl", "unembedding", "embedding", "matched", "norm", "margin", "apart", "degree 1", "imbalance"]
    assert np.isfinite(rows[kept].to_numpy()).all()
    assert len(list((tmp_path / limit_descent.NAME).glob("*.json"))) == 4
    assert len(record.to_json()) > 0
    both = rows[rows["how"] == "descent"].drop(columns="how")
    assert limit_descent.largest_gap(both, rows[rows["how"] == "flow"]) < 0.005


def test_the_step_is_halved_until_descent_follows_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def along(setting: Setting, seeds: range, *, step_size: float, clock: int) -> pd.DataFrame:
        tried.append(step_size)
        return pd.DataFrame({"seed": [0], "clock": clock, "unembedding": 0.5 + 0.02 * step_size})

    monkeypatch.setattr(limit_descent, "along", along)
    monkeypatch.setattr(limit_descent, "flow_along", lambda *_, clock: along(_[0], _[1], step_size=0, clock=clock))
    step, _ = limit_descent._fine_step(limit_descent.setting_of(2, "coins", "0.1"), range(1), clock=1000)
    assert tried[1] > 0.25
    assert step == tried[-1] < 0.25
    assert tried[1:] == [tried[1] / 2**n for n in range(len(tried) - 1)]


def test_the_record_holds_every_setting_seed_and_decade() -> None:
    record = views.recorded(limit_descent.NAME)
    rows = record.to_frame()
    places = {(m, w, s) for m in limit_descent.SIZES for w in limit_descent.WORLDS for s in limit_descent.SCALES}
    for how, last in (("descent", limit_descent.HORIZON), ("flow", limit_descent.LATE)):
        mine = rows[rows["how"] == how].groupby(views.KEYS)
        assert set(mine.groups) == places
        wanted = {(seed, clock) for seed in range(limit_descent.SEEDS) for clock in limit_descent.decades(last)}
        assert all(set(zip(part["seed"], part["clock"], strict=True)) == wanted for _, part in mine)
    control = rows[rows["how"] == "decayed"].groupby(["decay", "start"]).size()
    assert len(control) == len(limit_descent.DECAYS) * len(limit_descent.SCALES)
    assert (control == limit_descent.SEEDS).all()
    assert all((views.rows_of(how)["ratio"] >= 1 - 1e-6).all() for how in ("descent", "flow", "path", "symmetric"))


def altered(column: str, change: Callable[[pd.DataFrame], pd.Series]) -> Record:
    """The record with one column of its rows changed."""
    record = views.recorded(limit_descent.NAME)
    rows = record.to_frame()
    rows[column] = change(rows)
    body = dict(record.body) | {record.rows: rows.to_dict("records")}
    return Record(record.kind, record.config, record.seeds, record.rows, body, 1.0)


def test_live_runs_that_disagree_fail_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    assert views.require_live(clock=1000, seeds=1, tolerance=1e-4) == 2
    with pytest.raises(LinrepError, match="a page repeats runs to 100,000 at most"):
        views.require_live(clock=10**6, seeds=1, tolerance=1e-4)
    wrong = altered("margin", lambda rows: rows["margin"] * 1.01)
    monkeypatch.setattr(views, "recorded", lambda _: wrong)
    with pytest.raises(LinrepError, match=r"margin is .*, on record it is"):
        views.require_live(clock=1000, seeds=1, tolerance=1e-4)


def test_a_rise_of_the_cost_and_a_seed_that_is_off_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    at = {"m": 2, "world": "coins", "start": "0.1", "seed": 3, "how": "flow", "clock": 10**6}
    assert (views.falls("ratio")["fall"] == 60).all()
    before = views.spread().loc[(2, "coins", "0.1"), "dearer than linear"]

    def planted(rows: pd.DataFrame) -> pd.Series:
        here = (rows[["m", "world", "start", "seed", "how"]] == pd.Series(at).drop("clock")).all(axis=1)
        late = here & (rows["clock"] >= at["clock"])  # from 10^6 on the margin is half: R doubles once
        return rows["margin"].where(~late, rows["margin"] / 2)

    wrong = altered("margin", planted)
    monkeypatch.setattr(views, "recorded", lambda _: wrong)
    place = (2, "coins", "0.1")
    assert views.falls("ratio")["fall"].drop(place).eq(60).all()
    assert views.falls("ratio").loc[place, "fall"] == 59
    assert views.falls("ratio").loc[place, "largest rise"] > 0.9
    assert views.spread().loc[place, "dearer than linear"] == before + 1
    assert views.state().loc[place, "R"] > 0.9


@pytest.mark.parametrize(("column", "count"), [("unembedding", "U lower"), ("apart", "nearer")])
def test_a_seed_that_moves_away_is_counted(column: str, count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = (3, "coins", "0.1")
    assert views.spread().loc[place, count] == 10
    late = limit_descent.LATE
    wrong = altered(column, lambda rows: rows[column] + 1.0 * ((rows["seed"] == 4) & (rows["clock"] == late)))
    monkeypatch.setattr(views, "recorded", lambda _: wrong)
    assert views.spread().loc[place, count] == 9


def test_the_control_sees_a_seed_that_has_not_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    assert views.control()[["U off by", "R off by", "apart off by"]].max(axis=None) < 0.001
    wrong = altered("unembedding", lambda rows: rows["unembedding"] + 0.05 * (rows["seed"] == 4))
    monkeypatch.setattr(views, "recorded", lambda _: wrong)
    assert (views.control()["U off by"] > 0.04).all()


def test_an_extrapolation_is_exact_for_what_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = altered("unembedding", lambda rows: 0.3 + 2 / np.log(rows["clock"]))
    monkeypatch.setattr(views, "recorded", lambda _: wrong)
    found = views.extrapolation().xs("flow", level="how")
    assert found["a"].to_numpy() == pytest.approx(0.3)
    assert found["said"].to_numpy() == pytest.approx(found["is"].to_numpy())


def test_the_figure_shows_flow_descent_path_and_levels() -> None:
    flows = {"U": views.beside_path(2, "coins")}
    points = {"U": views.course("descent", 2, "coins")["U"].unstack("start")}
    (axis,) = figures.on_its_way(flows, points, {"U": {"limit": 0.268}}).axes
    assert len(axis.lines) == 1 + 2 * 3 + 1
    assert axis.lines[0].get_ydata().tolist() == flows["U"]["path"].tolist()
    assert axis.lines[2].get_ydata().tolist() == points["U"]["0.01"].tolist()
