"""Tables 1 and 2 as records: their rules, their views, and what happens when they do not agree or are interrupted."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from linrep.cli import main
from linrep.errors import InputError, LinrepError
from linrep.experiments import catalogue, full_tables, sensitivity, table_views
from linrep.experiments.figure5 import levels_off
from linrep.experiments.paper_tables import RUNS, TABLE1, TABLE2
from linrep.pilot import CLOCKS, Pace
from linrep.results import Record, read_record, require_agreement, results_folder
from linrep.simulate import COSINES
from linrep.stats import MARGIN, compare_paired

SYMBOLS = {symbol: column for column, symbol in COSINES.items()}


@pytest.fixture(scope="module")
def smoke() -> Record:
    return full_tables.table1("smoke")


def test_a_smoke_table_holds_both_arms_on_the_same_seeds_with_finite_numbers(smoke: Record) -> None:
    rows = smoke.to_frame()
    assert rows.groupby(["m", "arm"]).size().to_dict() == {
        (m, arm): runs for m, runs in full_tables.SMOKE.items() for arm in ("gd", "sgd")
    }
    assert np.isfinite(rows[["kl", *COSINES, "between", "imbalance"]].to_numpy(float)).all()
    clocks = pd.DataFrame(smoke.body["arms"]).pivot(index="m", columns="arm", values="clock")
    assert (clocks["gd"] == clocks["sgd"]).all()
    assert rows.loc[rows["arm"] == "sgd", "monotone"].isna().all()
    assert rows.loc[rows["arm"] == "gd", "monotone"].isin([True, False]).all()
    assert "NaN" not in smoke.to_json()


def test_seeds_of_a_record_do_not_depend_on_how_many_are_run(smoke: Record) -> None:
    alone = full_tables.slice_of(pd.DataFrame(smoke.body["arms"]), m=3, name="sgd", seeds=range(2, 3))
    rows = smoke.to_frame()
    mine = rows[(rows["m"] == 3) & (rows["arm"] == "sgd") & (rows["seed"] == 2)]
    assert alone["unembedding"].iloc[0] == mine["unembedding"].iloc[0]


def test_the_recorded_tables_have_the_papers_runs_and_every_cell() -> None:
    for name, arms in (("table1", {"gd", "sgd"}), ("table2", {"adam"})):
        rows = table_views.recorded(name).to_frame()
        assert rows.groupby(["m", "arm"]).size().to_dict() == {
            (m, arm): runs for m, runs in RUNS.items() for arm in arms
        }
        assert not rows.duplicated(["m", "arm", "seed"]).any()
        cells = table_views.verdicts(name)
        assert len(cells) == 15 * len(arms)
        assert set(cells["verdict"]) <= {"reproduced", "different", "undecided"}


@pytest.mark.parametrize(("name", "printed"), [("table1", TABLE1), ("table2", TABLE2)])
def test_verdicts_follow_two_one_sided_welch_tests(name: str, printed: dict) -> None:
    """Against scipy's own test from summary statistics."""
    for cell in table_views.verdicts(name).reset_index().to_dict("records"):
        theirs = printed[cell["m"]][cell["cosine"]]
        spread = cell["ours ±"] * cell["runs"] ** 0.5, theirs.stderr * theirs.count**0.5
        values = [
            stats.ttest_ind_from_stats(
                cell["ours"] + shift, spread[0], cell["runs"], theirs.mean, spread[1], theirs.count,
                equal_var=False, alternative=side,
            ).pvalue
            for shift, side in ((MARGIN, "greater"), (-MARGIN, "less"), (0.0, "two-sided"))
        ]  # fmt: skip
        same, apart = max(values[:2]) < 0.05, values[2] < 0.05
        expected = "reproduced" if same else "different" if apart else "undecided"
        assert cell["verdict"] == expected, cell


def test_paired_comparison_is_two_one_sided_t_tests_on_the_differences() -> None:
    rng = np.random.default_rng(1)
    for shift, spread, expected in ((0.005, 0.01, "reproduced"), (0.06, 0.01, "different"), (0.03, 0.2, "undecided")):
        theirs = rng.normal(0.9, 0.3, size=30)
        ours = theirs + shift + spread * rng.normal(size=30)
        found = compare_paired(ours, theirs)
        below, above = (
            stats.ttest_rel(ours + side * MARGIN, theirs, alternative=word).pvalue
            for side, word in ((1, "greater"), (-1, "less"))
        )
        assert (found.verdict == "reproduced") == (max(below, above) < 0.05)
        assert found.verdict == expected
        assert found.difference == pytest.approx((ours - theirs).mean())
        interval = stats.ttest_rel(ours, theirs).confidence_interval(0.9)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    with pytest.raises(InputError, match=r"1 pair\(s\)"):
        compare_paired(np.array([1.0]), np.array([1.0]))


def test_a_live_slice_that_differs_from_its_record_fails(monkeypatch: pytest.MonkeyPatch, smoke: Record) -> None:
    monkeypatch.setattr(table_views, "recorded", lambda name: smoke)
    assert table_views.require_live("table1", [(3, "gd", range(1, 3))], tolerance=1e-6) == 2
    rows = [row | {"unembedding": row["unembedding"] - 0.01 * (row["seed"] == 1)} for row in smoke.body["per_seed"]]
    moved = replace(smoke, body=dict(smoke.body) | {"per_seed": rows})
    monkeypatch.setattr(table_views, "recorded", lambda name: moved)
    with pytest.raises(LinrepError, match="m = 3, arm = gd, seed = 1: unembedding is"):
        table_views.require_live("table1", [(3, "gd", range(1, 3))], tolerance=0.002)


def test_arms_are_compared_seed_by_seed(smoke: Record) -> None:
    table, rows = table_views.equivalence(smoke), smoke.to_frame().set_index(["m", "arm", "seed"])
    for m in full_tables.SMOKE:
        apart = rows.loc[(m, "sgd"), "embedding"] - rows.loc[(m, "gd"), "embedding"]
        assert table.loc[(m, "E"), "difference"] == pytest.approx(apart.mean())
        assert table.loc[(m, "E"), "widest pair"] == pytest.approx(apart.abs().max())


def test_arms_on_different_seeds_are_not_paired(smoke: Record) -> None:
    rows = [row for row in smoke.body["per_seed"] if (row["arm"], row["seed"]) != ("sgd", 1)]
    with pytest.raises(InputError, match="different seeds at m = 3"):
        table_views.equivalence(replace(smoke, body=dict(smoke.body) | {"per_seed": rows}))


def test_the_clocks_of_the_rule_are_those_of_table_1() -> None:
    arms = [arm for arm in table_views.recorded("table1").body["arms"] if arm["arm"] == "gd"]
    struck = {arm["m"]: max(clock for clock in CLOCKS if clock <= arm["clock"]) for arm in arms}
    assert struck == full_tables.RULE_CLOCK


@pytest.mark.parametrize(
    ("kl", "steps"), [((0.5, 0.009, 0.001, 0.001, 0.1), 3162), ((0.5, 0.2, 0.05, 0.02, 0.03), 31623)]
)
def test_adams_clock_is_the_first_that_fits_else_the_one_that_fits_best(
    monkeypatch: pytest.MonkeyPatch, kl: tuple[float, ...], steps: int
) -> None:
    rows = pd.DataFrame({"clock": CLOCKS, "kl": kl, "seed": 0})
    monkeypatch.setattr(full_tables, "history", lambda *args, **kwargs: rows)
    pace, pilots = full_tables.adam_pace(3)
    assert (pace.step_size, pace.steps) == (0.001, steps)
    assert list(pilots.values()) == list(kl)


def test_counting_a_vectors_cosine_with_itself_only_raises_the_mean() -> None:
    table = table_views.self_pairs("table1", "sgd")
    assert (table["with"] > table["without"]).all()
    m, n, u = 3, 4, table.loc[(3, "U"), "without"]
    assert table.loc[(m, "U"), "with"] == pytest.approx((n * (n - 1) * u + n) / n**2)


def test_the_sensitivity_table_has_every_variant_and_every_clock() -> None:
    rows = table_views.recorded("sensitivity").to_frame()
    for name in ("table1", "table2"):
        clocks = {f"clock {clock:,}" for clock in CLOCKS if clock <= sensitivity.HORIZON[name]}
        for m, runs in RUNS.items():
            mine = rows[(rows["table"] == name) & (rows["m"] == m)]
            assert sorted(mine["variant"]) == sorted(clocks | set(sensitivity.VARIANTS))
            assert set(mine["runs"]) == {runs}
            assert set(mine["arm"]) == {sensitivity.own_arm(name, m)}
    base = table_views.recorded("table2").to_frame().groupby("m")["unembedding"].mean()
    same = rows[(rows["table"] == "table2") & (rows["variant"] == "clock 100,000")].set_index("m")["U"]
    np.testing.assert_allclose(same[[6, 7]], base[[6, 7]], atol=1e-5)  # the table's own clock, run a second time


@pytest.mark.parametrize(
    "line",
    [
        lambda: sensitivity.at_clock("table1", m=3, runs=100, clock=1000),
        lambda: sensitivity.variant("table1", m=4, runs=100, name="edges 0"),
        lambda: sensitivity.variant("table2", m=3, runs=100, name="edges 1"),
    ],
)
def test_a_line_of_the_sensitivity_record_is_what_its_task_gives(line: Callable[[], dict[str, Any]]) -> None:
    live = pd.DataFrame([line()])
    recorded = table_views.recorded("sensitivity").to_frame()
    keys, numbers = ["table", "m", "arm", "variant"], ["U", "E", "UE", "U ±", "kl", "runs"]
    require_agreement(recorded, live, on=keys, columns=numbers, tolerance=0.002)


def test_a_variant_that_is_the_table_itself_is_not_moved() -> None:
    moved = table_views.shifts("table2").loc["clock 100,000"].loc[[6, 7]]
    assert moved["difference"].abs().max() < 1e-5
    far = table_views.shifts("table2").loc[("clock 1,000", 7, "U")]
    assert far["verdict"] == "different"
    assert far["difference"] < -0.3


def test_the_step_is_halved_until_the_reported_seeds_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    effects = iter([0.02, 0.006, 0.004])
    monkeypatch.setattr(full_tables, "step_effect", lambda once, twice: next(effects))
    monkeypatch.setattr(full_tables, "setting_pace", lambda setting, progress: Pace(2.0, 10))
    found, moved = full_tables.checked(full_tables.descent(3), range(2))
    assert (found.pace, moved) == (Pace(0.5, 40), 0.004)


def test_a_curve_levels_off_where_it_comes_near_its_last_value() -> None:
    cosines = {
        "unembedding": [0.0, 0.5, 0.97, 0.98],
        "embedding": [0.0, 0.96, 0.97, 0.98],
        "matched": [0.0, 0.0, 0.0, 1.0],
    }
    curves = pd.DataFrame({"arm": "gd", "clock": [0.0, 1.0, 2.0, 3.0], "seed": 0} | cosines)
    assert levels_off(curves, within=0.02).loc["gd"].to_dict() == {"U": 2.0, "E": 1.0, "UE": 3.0}


def test_what_explains_a_cell_would_itself_be_reproduced() -> None:
    found = table_views.explained("table2")
    rows = table_views.recorded("sensitivity").to_frame().set_index(["table", "m", "variant"])
    assert len(found) == (table_views.verdicts("table2")["verdict"] != "reproduced").sum()
    for line in found.to_dict("records"):
        for variant in line["reproduced by"]:
            mean = rows.loc[("table2", line["m"], variant), line["cosine"]]
            assert abs(mean - TABLE2[line["m"]][line["cosine"]].mean) < MARGIN


def test_a_run_that_is_interrupted_leaves_the_old_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(size: str) -> Record:
        raise KeyboardInterrupt

    target = tmp_path / "record.json"
    target.write_text("old")
    monkeypatch.setattr(catalogue, "experiment", lambda name: interrupted)
    with pytest.raises(SystemExit) as left:
        main(["run", "table1", "--size", "smoke", "--json", str(target)])
    assert left.value.code == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_long_run_that_is_stopped_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped before its fourth line, the sensitivity makes the first three no second time."""
    (tmp_path / "sensitivity.json").write_text("old")
    for name in ("table1", "table2"):
        (tmp_path / f"{name}.json").write_bytes((results_folder() / f"{name}.json").read_bytes())
    monkeypatch.setattr("linrep.results.results_folder", lambda: tmp_path)
    monkeypatch.setattr(sensitivity, "RUNS", {3: 2})
    made: list[str] = []

    def line(table: str, m: int, runs: int, **choice: Any) -> dict[str, Any]:
        if len(made) == 3 and "stopped" not in made:
            made.append("stopped")
            raise KeyboardInterrupt
        made.append(f"{table} {choice}")
        return {"table": table, "m": m, "runs": runs} | choice

    monkeypatch.setattr(sensitivity, "variant", line)
    monkeypatch.setattr(sensitivity, "at_clock", line)
    for status in (130, 0):
        with pytest.raises(SystemExit) as left:
            main(["run", "sensitivity"])
        assert left.value.code == status
        if status:
            assert "what is finished is kept" in capsys.readouterr().err
            assert (tmp_path / "sensitivity.json").read_text() == "old"
    made.remove("stopped")
    assert len(made) == len(set(made)) == len(read_record(tmp_path / "sensitivity.json").to_frame()) == 29
    assert not (tmp_path / ".unfinished" / "sensitivity").exists()


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "record.json"
    command = [sys.executable, "-m", "linrep.cli", "run", "table1", "--json", str(target)]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(8)
    assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert list(tmp_path.iterdir()) == []


def test_a_smoke_run_from_the_command_line_is_a_whole_record(tmp_path: Path) -> None:
    target = tmp_path / "figure5.json"
    with pytest.raises(SystemExit) as left:
        main(["run", "figure5", "--size", "smoke", "--json", str(target)])
    assert left.value.code == 0
    record = read_record(target)
    curves = record.to_frame()
    assert json.loads(target.read_text())["kind"] == "figure5"
    for _, rows in curves.groupby(["arm", "seed"]):
        assert rows["clock"].is_monotonic_increasing
        assert rows["loss"].iloc[0] == pytest.approx(np.log(8), abs=0.05)
        assert rows["loss"].iloc[-1] < rows["loss"].iloc[0]
        np.testing.assert_allclose(rows["loss"] - rows["kl"], (rows["loss"] - rows["kl"]).iloc[0], atol=2e-5)
    assert set(SYMBOLS) == {"U", "E", "UE"}
