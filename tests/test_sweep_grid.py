"""Sweeps of simulations: what is asked is checked before any work, and reported as `simulate` reports it."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from linrep.cli import main
from linrep.errors import StepSizeWarning, TooLargeError
from linrep.pilot import Pace
from linrep.setting import Setting
from linrep.simulate import make_batches, setting_pace, simulate
from linrep.sweep import grid, sweep
from linrep.sweep.plan import make_plan
from linrep.train import train

QUICK = {"step_size": [1.0], "steps": [40]}

REFUSED = [
    ("{", "is not JSON"),
    ("[]", "is no JSON object"),
    ('{"dim": [1], "dim": [2]}', "dim is there twice"),
    ('{"dim": 3}', "the grid's dim is 3; a list of one or more values is needed"),
    ('{"dim": []}', "the grid's dim is []; a list"),
    ('{"colour": [1]}', "the grid has 'colour'; allowed are concepts, dim,"),
    ('{"seeds": [1]}', "the grid has 'seeds'; allowed are"),
    ('{"init-scale": [1], "init_scale": [2]}', "the grid has init_scale twice"),
    ('{"concepts": [3, 3]}', "the grid has one setting twice: concepts 3; and concepts 3"),
    ('{"concepts": [3], "dim": [3, null]}', "the grid has one setting twice"),
    ('{"concepts": ["3"]}', "the grid's concepts has '3'; a whole number is needed"),
    ('{"concepts": [true]}', "the grid's concepts has True; a whole number"),
    ('{"edges": [NaN]}', "the grid's edges has nan; a number is needed"),
    ('{"edges": ["half"]}', "the grid's edges has 'half'; a number"),
    ('{"step_size": [1' + "0" * 400 + "]}", "a number is needed"),
    ('{"prob": [0.3]}', "the grid's prob has 0.3; a list [LOW, HIGH] is needed"),
    ('{"biases": [1]}', "the grid's biases has 1; true or false is needed"),
    ('{"optimizer": [1]}', "the grid's optimizer has 1; allowed are gd, sgd, adam"),
    ('{"optimizer": [["gd"]]}', "the grid's optimizer has ['gd']; allowed are gd, sgd, adam"),
    ('{"mask-law": ["half"]}', "the grid's mask-law has 'half'; allowed are fair, often, rarely, size"),
    ('{"dtype": ["float16"]}', "the grid's dtype has 'float16'; allowed are float32, float64"),
    ('{"engine": ["steam"]}', "the grid's engine has 'steam'; allowed are auto, numba, torch"),
    ('{"device": [0]}', "the grid's device has 0; text is needed"),
    ('{"device": ["toaster"]}', "device is 'toaster'; on this machine allowed are: cpu"),
    ('{"steps": [0]}', "steps is 0; it must be 1 or more (in the grid's setting steps 0)"),
    ('{"concepts": [3, 1], "dim": [2]}', "concepts is 1; a mean cosine between steering vectors needs 2 or more"),
    ('{"masks": [9]}', "masks is 9; allowed are 1 to 8, or all (in the grid's setting masks 9)"),
    ('{"tokens": [0]}', "tokens is 0; allowed are 1 to 8, or all"),
    ('{"graph": ["/nowhere.json"]}', "cannot read the graph /nowhere.json"),
    (
        '{"concepts": [3, 25]}',
        "20 replicate(s) of 847,288,609,443 contexts by 33,554,432 tokens in 25 dimensions, would",
    ),
    ('{"concepts": [40]}', "would take"),
    ('{"concepts": [100000]}', "would take"),
    ('{"concepts": [14], "masks": [16384], "tokens": [16000]}', "would take"),
    ('{"dim": [100000000]}', "in 100,000,000 dimensions, would take"),
    (json.dumps({"steps": [*range(1, 400)], "dim": [*range(1, 400)]}), "the grid has 159,201 settings; allowed are"),
    (json.dumps({"steps": [*range(1, 5003)], "masks": [7]}), "the sweep has 100,040 runs; allowed are 100,000"),
]


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=[content[:40] for content, _ in REFUSED])
def test_a_bad_grid_is_refused_before_any_work(tmp_path: Path, monkeypatch, capsys, content: str, message: str) -> None:
    monkeypatch.setattr("linrep.sweep.simulations.outcomes", None)  # a call would be an error
    path, out = tmp_path / "grid.json", tmp_path / "runs"
    path.write_text(content)
    with pytest.raises(SystemExit) as end:
        main(["sweep", "--grid", str(path), "--out", str(out)])
    printed, complaint = capsys.readouterr()
    assert (end.value.code, printed, complaint.count("\n")) == (2, "", 1)
    assert complaint.startswith("linrep: error: ")
    assert message in complaint
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], "seeds is 0; at least 1 replicate is needed"),
        (["--seed", "-1"], "seeds -1 to 18: allowed are"),
        (["--workers", "-2"], "workers is -2"),
        (["--json", "/nowhere/x.json"], "there is no folder /nowhere"),
        (["--grid", "/nowhere.json"], "cannot read the grid /nowhere.json"),
        (["--out", "/proc/runs"], "the results folder /proc/runs cannot be made"),
    ],
)
def test_bad_options_are_one_line_and_status_2(tmp_path: Path, capsys, options: list[str], message: str) -> None:
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(QUICK))
    with pytest.raises(SystemExit) as end:
        main(["sweep", "--grid", str(path), "--out", str(tmp_path / "runs"), *options])
    printed, complaint = capsys.readouterr()
    assert (end.value.code, printed, complaint.count("\n")) == (2, "", 1)
    assert message in complaint


def test_a_dry_run_says_what_was_asked_and_does_nothing(tmp_path: Path, capsys) -> None:
    path, out = tmp_path / "grid.json", tmp_path / "runs"
    path.write_text('{"concepts": [3, 4], "dim": [3, 6], "masks": [5, "all"]}')
    with pytest.raises(SystemExit) as end:
        main(["sweep", "--grid", str(path), "--out", str(out), "--seeds", "10", "--seed", "5", "--dry-run"])
    text = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    assert "8 setting(s), 44 run(s), 8 search(es) for a pace, seeds 5 to 14" in text
    assert "largest run: 10 replicate(s) of 81 contexts by 16 tokens in 6 dimensions" in text
    assert "memory: about " in text
    assert not out.exists()


def test_the_command_writes_a_table_and_a_record_and_goes_on(tmp_path: Path, monkeypatch, capsys) -> None:
    path, record = tmp_path / "grid.json", tmp_path / "record.json"
    path.write_text(json.dumps(QUICK | {"concepts": [2, 3], "init-scale": [None]}))
    command = ["sweep", "--grid", str(path), "--out", str(tmp_path / "runs"), "--seeds", "3"]
    with pytest.raises(SystemExit):
        main(command)
    text = capsys.readouterr().out
    assert "2 setting(s)" in text
    assert all(word in text for word in ("concepts", "seeds", "fitted", "KL (nats)", "UE", "±"))
    monkeypatch.setattr("linrep.sweep.simulations.simulate", None)  # nothing is trained again
    with pytest.raises(SystemExit) as end:
        main([*command, "--json", str(record)])
    assert end.value.code == 0
    content = json.loads(record.read_text())
    assert (content["kind"], content["seeds"], content["rows"]) == ("sweep", [0, 1, 2], "per_seed")
    assert [(row["concepts"], row["seed"]) for row in content["per_seed"]] == [(m, s) for m in (2, 3) for s in range(3)]


def test_an_interrupted_sweep_says_that_it_goes_on(tmp_path: Path, monkeypatch, capsys) -> None:
    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("linrep.sweep.simulations.simulate", interrupted)
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(QUICK))
    with pytest.raises(SystemExit) as end:
        main(["sweep", "--grid", str(path), "--out", str(tmp_path / "runs")])
    assert end.value.code == 130
    assert capsys.readouterr().err.startswith("linrep: interrupted; finished runs are in ")
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("asked", [{}, {"masks": 6}, {"optimizer": "sgd"}, {"tokens": 7, "optimizer": "adam"}])
def test_a_sweep_reports_what_simulate_reports(tmp_path: Path, asked: dict) -> None:
    record = sweep(QUICK | {name: [value] for name, value in asked.items()}, seeds=range(2, 5), folder=tmp_path)
    alone = simulate(Setting(step_size=1.0, steps=40, **asked), seeds=range(2, 5)).to_record().body
    named = {"step_size": 1.0, "steps": 40} | asked
    assert record.body["per_seed"] == [named | row for row in alone["per_seed"]]
    (setting,) = record.body["settings"]
    assert {name: setting[name] for name in ("mean", "stderr", "fitted", "clock")} == {
        name: alone[name] for name in ("mean", "stderr", "fitted", "clock")
    }


def test_a_pace_is_searched_once_and_is_the_rules(tmp_path: Path, monkeypatch) -> None:
    asked = {"masks": [6, "all"], "steps": [60]}
    record = sweep(asked, seeds=range(2), folder=tmp_path)
    for setting, masks in zip(record.body["settings"], (6, None), strict=True):
        expected = setting_pace(Setting(masks=masks, steps=60))
        assert Pace(setting["step_size"], setting["steps"]) == expected
    monkeypatch.setattr("linrep.sweep.simulations.setting_pace", None)
    again = sweep(asked, seeds=range(4), folder=tmp_path)  # more seeds: the pace is known
    assert [row for row in again.body["per_seed"] if row["seed"] < 2] == record.body["per_seed"]


def test_a_given_step_at_which_the_loss_rises_is_warned_of_each_time(tmp_path: Path) -> None:
    for _ in range(2):  # trained, then read
        with pytest.warns(StepSizeWarning, match=r"^step_size 20.0, steps 100: the loss rose in 2 of 2 replicates"):
            sweep({"step_size": [20], "steps": [100]}, seeds=range(2), folder=tmp_path)


@pytest.mark.parametrize(
    "asked",
    [
        {"concepts": 5},
        {"concepts": 5, "engine": "torch"},
        {"concepts": 5, "masks": 9, "tokens": 20},
        {"concepts": 6, "masks": 20, "mask_law": "rarely"},
        {"concepts": 4, "optimizer": "adam", "dim": 40},
    ],
)
def test_what_a_plan_says_is_enough_for_the_run_and_less_is_refused(monkeypatch, asked: dict) -> None:
    setting, seeds = replace(Setting(step_size=0.5, steps=3), **asked), range(6)
    lists = {name: [value] for name, value in asked.items()} | {"step_size": [0.5], "steps": [3]}
    plan = make_plan(lists, seeds=seeds)
    with pytest.raises(TooLargeError, match=r"(6|1) replicate\(s\)"):
        make_plan(lists, seeds=seeds, limit=plan.bytes - 1)
    monkeypatch.setattr("linrep.memory.free_memory", lambda device: plan.bytes)
    for batch in make_batches(setting, seeds):
        assert len(batch.population.contexts) <= 2 * plan.largest.contexts  # estimated where masks are drawn
        train(batch.population, batch.start, setting.training(0.5, 3), seeds=batch.seeds, engine=setting.engine)


def test_runs_at_one_time_share_the_memory() -> None:
    alone = {m: make_plan({"concepts": [m]}, seeds=range(20)).bytes for m in (3, 4, 5)}
    lists = {"concepts": [3, 4, 5]}
    assert make_plan(lists, seeds=range(20), at_once=2).bytes == alone[5] + alone[4]
    assert make_plan(lists, seeds=range(20), at_once=9).bytes == sum(alone.values())
    one = make_plan({"masks": [5]}, seeds=range(20))
    assert make_plan({"masks": [5]}, seeds=range(20), at_once=3).bytes == 3 * one.bytes


def test_the_grid_has_the_fields_of_a_setting_and_a_graph_brings_its_size(tmp_path: Path) -> None:
    assert [*grid._READERS] == [field.name for field in fields(Setting)]
    path = tmp_path / "graph.json"
    path.write_text('{"parents": [[], [0]], "tables": [0.5, [0.4, 0.6]]}')
    (point,) = grid.points({"graph": [str(path)]})
    assert (point.setting.concepts, point.values) == (2, {"graph": str(path)})
    assert grid.setting_of(json.loads(json.dumps(point.setting.to_dict()))).to_dict() == point.setting.to_dict()
