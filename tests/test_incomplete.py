"""Incomplete worlds as records: their rules, their views, and what they cost in memory."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from linrep.errors import LinrepError
from linrep.experiments import incomplete, incomplete_runs, incomplete_views
from linrep.experiments.full_tables import chosen_clock
from linrep.experiments.paper_tables import TABLE3, TABLE4
from linrep.pilot import CLOCKS, STEP_EFFECT, STEP_GRID, Pace
from linrep.results import Record
from linrep.setting import Setting
from linrep.simulate import COSINES, MEASURES, simulate

SMALL = {"concepts": 4, "masks": 9}


def test_a_run_along_the_clock_ends_where_a_plain_simulation_does() -> None:
    found = incomplete_runs.along(SMALL, step_size=0.5, clock=3162, seed=3, matrix=True)
    assert [row["clock"] for row in found["rows"]] == [1000, 3162]
    plain = simulate(Setting(**SMALL, dtype="float32"), seeds=range(3, 4), pace=Pace(0.5, 6324)).per_seed().iloc[0]
    for name in MEASURES:
        assert found["rows"][-1][name] == pytest.approx(plain[name], rel=1e-4, abs=1e-6)
    assert found["rows"][-1]["monotone"] == plain["monotone"]
    assert np.mean(np.diagonal(found["matrix"])) == pytest.approx(plain["unembedding"], abs=1e-3)
    np.testing.assert_allclose(found["matrix"], np.transpose(found["matrix"]))


def test_sgd_takes_the_papers_step_to_the_same_clock() -> None:
    found = incomplete_runs.along(SMALL | {"optimizer": "sgd"}, step_size=7.0, clock=1000, seed=1)
    setting = Setting(**SMALL, optimizer="sgd", dtype="float32")
    plain = simulate(setting, seeds=range(1, 2), pace=Pace(0.1, 10_000)).per_seed().iloc[0]
    assert found["rows"][0]["unembedding"] == pytest.approx(plain["unembedding"], abs=1e-5)
    assert found["rows"][0]["monotone"] is None


@pytest.mark.parametrize(
    ("kl", "clock"),
    [((0.5, 0.009, 0.02), 3162), ((0.5, 0.2, 0.3), 3162), ((0.5, 0.2, 0.02), 10_000), ((0.001, 0.0, 0.0), 1000)],
)
def test_the_clock_is_the_first_that_fits_else_the_one_of_the_lowest_kl(kl: tuple[float, ...], clock: int) -> None:
    assert chosen_clock(dict(zip(CLOCKS, kl, strict=False))) == clock


def test_the_step_is_the_largest_monotone_one_that_halving_does_not_move() -> None:
    found = incomplete_runs.pace(SMALL, CLOCKS[1])
    assert found["half step moves"] < STEP_EFFECT
    assert found["step_size"] in STEP_GRID
    larger = STEP_GRID[STEP_GRID.index(found["step_size"]) - 1]
    rows = incomplete_runs.frame(
        [incomplete_runs.along(SMALL, larger, CLOCKS[1], seed) for seed in incomplete_runs.PILOTS]
    )
    half = incomplete_runs.along(SMALL, larger / 2, found["clock"], incomplete_runs.PILOTS[0])["rows"][-1]
    at = rows[(rows["clock"] == found["clock"]) & (rows["seed"] == incomplete_runs.PILOTS[0])].iloc[0]
    moved = max(abs(at[name] - half[name]) for name in COSINES)
    assert not rows["monotone"].all() or moved >= STEP_EFFECT


def test_a_step_whose_half_moves_a_cosine_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """E = 0.9 plus a ten-thousandth of the step: halving 96 moves it by .0048, 128 by .0064."""

    def drawn(fields: Any, step_size: float, clock: int, seed: int, **options: Any) -> dict[str, Any]:
        row = {"seed": seed, "clock": clock, "monotone": True} | dict.fromkeys(MEASURES, 0.9)
        return {"rows": [row | {"kl": 0.5, "embedding": 0.9 + 1e-4 * step_size}]}

    monkeypatch.setattr(incomplete_runs, "STEP_GRID", (128.0, 96.0, 64.0))
    monkeypatch.setattr(incomplete_runs, "along", drawn)
    found = incomplete_runs.pace(SMALL, CLOCKS[0])
    assert (found["step_size"], found["half step moves"]) == (96.0, pytest.approx(0.0048))


def test_no_step_at_all_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incomplete_runs, "STEP_GRID", (64.0, 48.0))
    with pytest.raises(LinrepError, match=r"no step size from 64 to 48 passes on .*'masks': 9"):
        incomplete_runs.pace(SMALL, CLOCKS[1])


@pytest.mark.parametrize("name", ["table3", "table4", "figure6"])
def test_a_record_has_every_cell_seed_and_clock_with_finite_numbers(name: str) -> None:
    record = incomplete_views.recorded(name)
    rows = record.to_frame()
    assert np.isfinite(rows[list(MEASURES)].to_numpy(float)).all()
    for cell in record.body["cells"]:
        mine = rows[rows["cell"] == cell["cell"]]
        expected = {(seed, clock) for seed in range(incomplete.RUNS) for clock in CLOCKS}
        assert set(zip(mine["seed"], mine["clock"], strict=True)) == expected
        assert len(mine) == len(expected)
        assert cell["half step moves"] < STEP_EFFECT
        assert cell["clock"] == chosen_clock({int(k.replace(",", "")): v for k, v in cell["pilots"].items()})
        assert incomplete.CELLS[name][cell["cell"]].items() <= cell.items()
    assert [cell["cell"] for cell in record.body["cells"]] == list(incomplete.CELLS[name])


def test_a_cell_of_two_records_is_one_and_the_same_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no other cell in Figure 6 nothing is trained: the last one comes from Table 3's record, whole."""
    monkeypatch.setattr(incomplete, "CELLS", incomplete.CELLS | {"figure6": {"m = 10, k = 10": {"dim": 10}}})
    record = incomplete.figure6("paper")
    table3 = incomplete_views.recorded("table3")
    base = [row for row in table3.body["per_seed"] if row["cell"] == "50 masks"]
    assert record.body["per_seed"] == [{**row, "cell": "m = 10, k = 10"} for row in base]
    (how,) = record.body["cells"]
    wanted = {**incomplete.recorded_cell("table3", "50 masks"), "cell": "m = 10, k = 10", "dim": 10}
    assert how == {key: value for key, value in wanted.items() if key != "matrix"}


def test_views_take_their_numbers_from_the_record() -> None:
    for name, printed in (("table3", TABLE3), ("table4", TABLE4)):
        rows, table = incomplete_views.recorded(name).to_frame(), incomplete_views.verdicts(name)
        for cell, paper in printed.items():
            clock = incomplete.recorded_cell(name, cell)["clock"]
            mine = rows[(rows["cell"] == cell) & (rows["clock"] == clock)]
            for column, symbol in COSINES.items():
                line = table.loc[(cell, symbol)]
                assert line["ours"] == pytest.approx(mine[column].mean())
                assert line["ours ±"] == pytest.approx(mine[column].std() / np.sqrt(len(mine)))
                assert (line["paper"], line["paper ±"]) == (paper[symbol].mean, paper[symbol].stderr)


def test_a_live_run_that_disagrees_fails_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    slices = [("table3", "50 masks", 1000, range(1))]
    assert incomplete_views.require_live(slices, tolerance=0.002) == 1
    record = incomplete_views.recorded("table3")
    rows = [row | {"embedding": row["embedding"] + 0.01} for row in record.body["per_seed"]]
    wrong = Record("table3", record.config, record.seeds, "per_seed", dict(record.body) | {"per_seed": rows}, 1.0)
    monkeypatch.setattr(incomplete_views, "recorded", lambda name: wrong)
    with pytest.raises(LinrepError, match=r"embedding is .*, on record it is"):
        incomplete_views.require_live(slices, tolerance=0.002)


def test_a_smoke_record_is_whole(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incomplete, "unfinished_folder", lambda name: tmp_path / name)
    record = incomplete.table4("smoke")
    (cell,) = record.body["cells"]
    assert (cell["cell"], cell["runs"], cell["tokens"]) == ("m = 4", 3, 12)
    assert len(record.to_frame()) == 3 * 2  # clocks 1,000 and 3,162
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "table4").glob("*.json")}
    assert len(done) == 4  # a pace and three seeds
    again = incomplete.table4("smoke")
    assert again.body == record.body
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "table4").glob("*.json")} == done


def test_choices_and_sgd_are_held_to_the_same_seeds_and_clocks(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smoke record of the variants, and a base made of the same runs: the differences are those of the rows."""
    cell = "m = 7, k = 6"
    monkeypatch.setattr(incomplete, "unfinished_folder", lambda name: tmp_path / name)
    monkeypatch.setattr(incomplete, "recorded_cell", lambda name, cell: {"step_size": 2.0})
    varied = incomplete.incomplete("smoke")
    base = [incomplete_runs.along(incomplete.CELLS["figure6"][cell], 2.0, CLOCKS[0], seed) for seed in range(2)]
    rows = [row | {"cell": cell} for run in base for row in run["rows"]]
    own = Record("figure6", {}, (0, 1), "per_seed", {"per_seed": rows}, 1.0)
    monkeypatch.setattr(incomplete_views, "recorded", {"incomplete": varied, "figure6": own}.__getitem__)
    shifts, sgd = incomplete_views.shifts("figure6"), incomplete_views.sgd_against_descent()
    assert set(shifts.index.get_level_values("variant")) == set(incomplete.MASKS)
    many = varied.to_frame().query("variant == '100 masks'")["unembedding"].mean()
    assert shifts.loc[(cell, "100 masks", "U"), "difference"] == pytest.approx(
        many - own.to_frame()["unembedding"].mean()
    )
    assert sgd.loc[(cell, 1000)]["difference"].abs().max() < 0.05


def test_fewer_dimensions_are_told_apart(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incomplete, "unfinished_folder", lambda name: tmp_path / name)
    record = incomplete.figure6("smoke")
    (cell,) = record.body["cells"]
    assert (cell["concepts"], cell["dim"], cell["masks"]) == (4, 3, 8)
    monkeypatch.setattr(incomplete_views, "recorded", lambda name: record)
    monkeypatch.setattr(incomplete_views, "recorded_cell", lambda name, _: cell)
    rows = record.to_frame().query(f"clock == {cell['clock']}")
    assert incomplete_views.dimensions().loc[(4, 3), "E"] == pytest.approx(rows["embedding"].mean())


def test_the_matrix_of_concepts_has_u_on_its_diagonal() -> None:
    table = incomplete_views.matrix("50 masks")
    rows = incomplete_views.recorded("table3").to_frame().query("cell == '50 masks' and clock == 100_000")
    assert np.diagonal(table).mean() == pytest.approx(rows["unembedding"].mean(), abs=1e-3)
    assert table.shape == (10, 10)


def test_twelve_concepts_and_a_hundred_masks_train_in_less_than_two_gigabytes() -> None:
    """All 4,096 tokens; the peak of a process of its own, Python and torch included."""
    code = """
import resource
from linrep.setting import Setting
from linrep.simulate import simulate
from linrep.pilot import Pace
found = simulate(Setting(concepts=12, masks=100, dtype="float32"), seeds=range(1), pace=Pace(8.0, 3))
print(len(found.runs[0].batch.population.contexts), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    contexts, peak = map(int, run.stdout.split())
    assert contexts > 5000
    assert peak * 1024 < 2e9, "bytes; ru_maxrss is in kilobytes on Linux"


def _row(seed: int, clock: int, cosine: float, *, cell: str = "one", monotone: bool = True) -> dict[str, Any]:
    return {"cell": cell, "seed": seed, "clock": clock, "monotone": monotone} | dict.fromkeys(MEASURES, cosine)


def test_half_the_step_replaces_the_seeds_whose_loss_rose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of four seeds are run again; one of them rises again; cosines move by .02 and −.01, the mean by .0025."""
    own = Record("table4", {}, (), "per_seed", {"per_seed": [_row(seed, 1000, 0.5) for seed in range(4)]}, 1.0)
    again = [_row(1, 1000, 0.52), _row(3, 1000, 0.49, monotone=False)]
    varied = Record("incomplete", {}, (), "halved", {"halved": [{"record": "table4"} | row for row in again]}, 1.0)
    monkeypatch.setattr(incomplete_views, "recorded", {"incomplete": varied, "table4": own}.__getitem__)
    monkeypatch.setattr(incomplete_views, "recorded_cell", lambda name, cell: {"clock": 1000})
    line = incomplete_views.halved().loc["one"]
    assert (line["runs"], line["rose"], line["rise at half"]) == (4, 2, 1)
    assert line["U moves"] == pytest.approx(0.02)
    assert line["a mean moves"] == pytest.approx(0.0025)


def test_falls_are_paired_by_seed_and_told_apart_by_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = incomplete.WITHOUT_EDGES

    def rows(falls: tuple[float, float]) -> list[dict[str, Any]]:
        late = [(seed, 0.9 - falls[seed]) for seed in (1, 0)]  # in another order than the early ones
        return [
            row
            for cell in cells
            for row in [_row(seed, 1000, 0.9, cell=cell) for seed in (0, 1)]
            + [_row(seed, 3162, cosine, cell=cell, monotone=seed == 0) for seed, cosine in late]
        ]

    own = Record("figure6", {}, (), "per_seed", {"per_seed": rows((0.1, 0.3))}, 1.0)
    free = Record("incomplete", {}, (), "without edges", {"without edges": rows((-0.1, 0.0))}, 1.0)
    monkeypatch.setattr(incomplete_views, "recorded", {"incomplete": free, "figure6": own}.__getitem__)
    table = incomplete_views.falls(1000, 3162)
    with_edges, without = table.loc[(cells[0], "edges", "U")], table.loc[(cells[0], "no edges", "U")]
    assert (with_edges["fall"], with_edges["falling"]) == (pytest.approx(0.2), 2)
    assert (without["fall"], without["falling"]) == (pytest.approx(-0.05), 0)
    assert with_edges["monotone"] == 1
    assert with_edges["fall ±"] == pytest.approx(0.1)


def test_seeds_run_at_half_the_step_are_those_whose_loss_was_seen_to_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = "50 masks"
    rows = [_row(seed, clock, 0.5, cell=cell, monotone=seed != 2) for seed in range(4) for clock in (1000, 3162)]
    record = Record("table3", {}, (), "per_seed", {"per_seed": rows}, 1.0)
    monkeypatch.setattr(incomplete, "CELLS", {"table3": {cell: SMALL}})
    monkeypatch.setattr(incomplete, "read_record", lambda path: record)
    monkeypatch.setattr(incomplete, "recorded_cell", lambda name, cell: {"clock": 3162, "step_size": 8.0})
    ((place, tasks),) = incomplete._half_steps().items()
    assert place == ("table3", cell)
    assert [(task.arguments["seed"], task.arguments["step_size"], task.arguments["clock"]) for task in tasks] == [
        (2, 4.0, 3162)
    ]
