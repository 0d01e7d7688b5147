"""The records of width and causes: their views, held to the rows, and the predictions."""

import numpy as np
import pandas as pd
import pytest
import torch

from linrep.errors import LinrepError
from linrep.experiments import cause_views, predictions, statement, width_causes, width_map, width_views
from linrep.loss import PopulationLoss
from linrep.pilot import CLOCKS, STEP_EFFECT
from linrep.results import Record
from linrep.setting import Setting
from linrep.sharpness import sharpness
from linrep.simulate import COSINES, make_batches
from linrep.train import TrainConfig, train


def test_the_map_has_every_cell_settled_and_finite() -> None:
    record = width_views.recorded(width_map.NAME)
    cells = {(row["m"], row["k"], row["start"]): row for row in record.body["cells"]}
    wanted = {(m, k, start) for m, dims in width_map.DIMS.items() for k in dims for start in width_map.starts_of(m)}
    assert set(cells) == wanted
    for (m, k, _), row in cells.items():
        assert row["clock"] == (width_map.HORIZONS[m] if k >= m else width_map.NARROW)
        assert (row["seeds"], row["halving moves"] < STEP_EFFECT) == (width_map.SEEDS[m], True)
    assert np.isfinite(record.to_frame().select_dtypes("number").to_numpy()).all()
    seeds = pd.DataFrame(record.body["per_seed"]).groupby(["m", "k", "start"])["seed"].agg(list)
    assert all(found == list(range(width_map.SEEDS[key[0]])) for key, found in seeds.items())


def test_a_grid_shows_each_width_at_its_own_last_clock() -> None:
    rows = width_views.recorded(width_map.NAME).to_frame()
    for m, k, clock in ((3, 2, 10_000), (3, 8, 100_000), (6, 64, 10_000)):
        row = rows[(rows.m == m) & (rows.k == k) & (rows.clock == clock) & (rows.start == "0.01")]
        assert width_views.grid(m).loc[k, "0.01"] == pytest.approx(row["unembedding"].iloc[0])
    assert "0.03" in width_views.grid(3)
    assert "0.03" not in width_views.grid(4)


def test_one_more_dimension_is_paired_by_seed() -> None:
    rows = pd.DataFrame(width_views.recorded(width_map.NAME).body["per_seed"])
    narrow, wide = (rows[(rows.m == 4) & (rows.k == k) & (rows.start == "linear")].set_index("seed") for k in (4, 5))
    line = width_views.one_more().loc[(4, "linear")]
    assert line["difference"] == pytest.approx((wide.unembedding - narrow.unembedding).mean())
    assert line["k"] == 5


def test_every_arm_has_every_seed_and_clock() -> None:
    record = cause_views.recorded(width_causes.NAME)
    rows = record.to_frame()
    small = {(k, name, "small") for k in width_causes.DIMS for name in width_causes.ARMS}
    linear = {(k, name, "linear") for k in width_causes.RECIPE_DIMS for name in ("descent", "SGD 0.1, 100")}
    groups = rows.groupby(["k", "arm", "start"])
    assert set(groups.groups) == small | linear
    assert (groups.size() == 3 * width_causes.SEEDS).all()
    assert np.isfinite(rows[["kl", *COSINES]].to_numpy()).all()


def test_arms_are_compared_seed_by_seed_and_against_the_base_that_is_named() -> None:
    rows = cause_views.recorded(width_causes.NAME).to_frame().query("k == 8 and clock == 10_000 and start == 'small'")
    table = rows.pivot_table(index="seed", columns="arm", values="unembedding")
    found = cause_views.against(8, ["SGD 1, 200"], base="covariance 1, 200").loc[("SGD 1, 200", "U"), "difference"]
    assert found == pytest.approx((table["SGD 1, 200"] - table["covariance 1, 200"]).mean())
    grid = cause_views.effect_grid(8, ["step x 2"])
    assert grid.loc["step x 2", "U"] == pytest.approx((table["step x 2"] - table["descent"]).mean())
    up = cause_views.seeds_up(8, ["step x 2", "SGD 1, 20"])
    assert up.U.to_dict() == {name: int((table[name] > table["descent"]).sum()) for name in up.index}


@pytest.mark.parametrize("module", ["map", "causes"])
def test_live_runs_that_disagree_fail_the_page(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    views, name = (width_views, width_map.NAME) if module == "map" else (cause_views, width_causes.NAME)
    record = views.recorded(name)

    def check() -> int:
        if module == "map":
            return width_views.require_live([(2, 4, "1", 1000)], tolerance=0.002)
        return cause_views.require_live([(8, "SGD 1, 200", 1000, 2)], tolerance=0.002)

    assert check() == (20 if module == "map" else 2)
    rows = [row | {"embedding": row["embedding"] + 0.01} for row in record.body[record.rows]]
    wrong = Record(name, record.config, record.seeds, record.rows, dict(record.body) | {record.rows: rows}, 1.0)
    monkeypatch.setattr(views, "recorded", lambda name="": wrong)
    with pytest.raises(LinrepError, match=r"embedding is .*, on record it is"):
        check()


def test_a_prediction_holds_only_inside_its_range_and_with_its_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    said = predictions.predictions()
    assert [each.whole for each in said] == [False] * 4 + [True]
    assert said[1].high - said[1].low == pytest.approx(2 * predictions.OPTIMUM_WITHIN)

    def drawn(u: float, kl: float) -> pd.DataFrame:
        row = dict.fromkeys(COSINES, u) | {"kl": kl, "monotone": True}
        return pd.DataFrame([row, row | {"unembedding": u + 0.002}])

    monkeypatch.setattr(predictions, "predictions", lambda: [said[3]])  # 0.95 or more, fitted
    for u, kl, held in ((0.97, 0.005, True), (0.97, 0.02, False), (0.9, 0.005, False)):
        monkeypatch.setattr(predictions, "outcome", lambda *_, u=u, kl=kl: drawn(u, kl))
        assert bool(predictions.table(seeds=range(2)).held.iloc[0]) is held


def test_contexts_that_know_everything_are_the_words_and_no_others() -> None:
    whole = predictions.predictions()[-1]
    (batch,) = predictions._batches(whole, range(2))
    assert len(batch.population.contexts) == len(batch.population.tokens) == 16
    assert (batch.population.contexts >= 0).all()


def test_the_statement_shows_what_the_two_records_hold() -> None:
    table = statement.statement()
    assert len(table) == sum(map(len, statement.GROUPS.values())) + len(statement.ARMS)
    rows = width_views.recorded(width_map.NAME).to_frame()
    row = rows[(rows.m == 3) & (rows.k == 3) & (rows.clock == 100_000) & (rows.start == "0.01")].iloc[0]
    line = table.loc[("time, k = 3, S = 0.01", "clock 100,000")]
    assert (line["U"], line["E ±"], line["KL"]) == (row["unembedding"], row["embedding ±"], row["kl"])
    seeds = cause_views.rows_of(8, "decay 1e-3")
    line = table.loc[(statement.CAUSES, "decay 1e-3")]
    assert line["E"] == pytest.approx(seeds["embedding"].mean())
    assert line["U ±"] == pytest.approx(seeds["unembedding"].std() / len(seeds) ** 0.5)


def test_sharpness_of_an_arm_is_that_of_its_tables() -> None:
    found = width_causes.arm(3, "step x 4", CLOCKS[0], 2, step_size=1.0, sharp=True)["arms"][0]
    setting = Setting(concepts=3, init_scale=width_causes.SCALE)
    (batch,) = make_batches(setting, range(2))
    trained = train(batch.population, batch.start, TrainConfig(1.0, CLOCKS[0]), seeds=batch.seeds, warn=False)
    loss = PopulationLoss.of(batch.population, dtype=torch.float64, device="cpu")
    wanted = sharpness(loss, (trained.embedding, trained.unembedding))
    np.testing.assert_allclose(found["edge"], wanted, rtol=1e-4)
