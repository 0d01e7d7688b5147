"""The command as its users meet it: JSON, tables, and one line with exit status 2 for whatever it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from linrep import __version__
from linrep.cli import main
from linrep.contexts import UNKNOWN
from linrep.linearity import measure
from linrep.tables import load_tables

QUICK = ["simulate", "--step-size", "1", "--steps", "50", "--seeds", "3"]


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one call."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


REFUSED = [
    (["simulate", "--prob", "0", "0.5"], "prob has 0.0; both ends must lie strictly between 0 and 1"),
    (["simulate", "--prob", "0.5", "1"], "prob has 1.0"),
    (["simulate", "--prob", "nan", "0.5"], "prob has nan"),
    (["simulate", "--prob", "0.7", "0.3"], "prob is 0.7 to 0.3; LOW must not be above HIGH"),
    (["simulate", "--dim", "0"], "dim is 0; it must be 1 or more"),
    (["simulate", "--concepts", "-3"], "concepts is -3"),
    (["simulate", "--concepts", "1"], "concepts is 1; a mean cosine between steering vectors needs 2 or more"),
    (["simulate", "--edges", "1.5"], "edges is 1.5; a probability from 0 to 1"),
    (["simulate", "--edges", "nan"], "edges is nan"),
    (["simulate", "--seeds", "0"], "seeds is 0; at least 1"),
    (["simulate", "--seeds", "-4"], "seeds is"),
    (["simulate", "--seed", "-1"], "seeds -1 to 18: allowed are 0 to 999999999"),
    (["simulate", "--seeds", "many"], "'--seeds'"),
    (["simulate", "--step-size", "-0.1"], "step-size is -0.1; it must be a positive number"),
    (["simulate", "--step-size", "nan"], "step-size is nan"),
    (["simulate", "--steps", "0"], "steps is 0"),
    (["simulate", "--init-scale", "0"], "init-scale is 0.0"),
    (["simulate", "--init-scale", "inf"], "init-scale is inf"),
    (["simulate", "--masks", "some"], "'some' is neither a number from 1 nor 'all'"),
    (["simulate", "--masks", "9"], "masks is 9; allowed are 1 to 8, or all"),
    (["simulate", "--mask-law", "half"], "'half' is not one of 'fair', 'often', 'rarely', 'size'"),
    (["simulate", "--biases", "--init-scale", "0.1"], "init-scale is 0.1 with biases; biases are allowed with"),
    (["simulate", "--tokens", "0"], "'0' is neither a number from 1 nor 'all'"),
    (["simulate", "--tokens", "2"], "counterfactual pair(s) among the tokens kept"),
    (["simulate", "--optimizer", "lion"], "'lion' is not one of 'gd', 'sgd', 'adam'"),
    (["simulate", "--dtype", "float16"], "'float16' is not one of"),
    (["simulate", "--device", "toaster"], "device is 'toaster'; on this machine allowed are: cpu"),
    (["simulate", "--concepts", "40"], "3^40 contexts and 2^40 tokens would take"),
    (["simulate", "--concepts", "100000"], "would take"),
    (["simulate", "--json", "/nowhere/x.json"], "--json is /nowhere/x.json, but there is no folder /nowhere"),
    (["simulate", "--json", "/dev/null"], "--json is /dev/null, which is no regular file"),
    (["simulate", "--json", "a", "--save", "a"], "--json and --save are both a; two files are needed"),
    (["simulate", "--json", "x" * 300], "name too long"),
    (["simulate", "--seeds", "99999999999999999999"], "seeds 0 to 99999999999999999998: allowed are"),
    (["simulate", "--dim", "100000000"], "tables of 27 contexts and 8 tokens in 100000000 dimensions would take"),
    (["simulate", "--prob", "1e-320", "1e-320"], "the smallest p(c) is 0; allowed are 1e-290 or more"),
    (["simulate", "--save", "-"], "--save is -; a file's name is needed"),
    (["simulate", "--step-size", "1e155", "--steps", "90", "--init-scale", "1"], "diverged at step"),
    (["simulate", "--graph", "/nowhere/g.json"], "cannot read the graph /nowhere/g.json"),
    (["simulate", "--colour", "red"], "No such option: --colour"),
    (["fly"], "No such command 'fly'"),
    ([], "Missing command"),
    (["probe"], "Missing option '--model'"),
    (["probe", "--model", "smollm3"], "smollm3"),
    (["probe", "--model", "smollm2-135m", "--pairs", "/nowhere"], "/nowhere"),
    (["models", "get", "smollm3"], "smollm3"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), REFUSED, ids=[" ".join(arguments) or "nothing" for arguments, _ in REFUSED]
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(arguments, capsys)
    assert status == 2
    assert out == ""
    assert message in err
    assert err.startswith("linrep: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"parents": [[1], [0]], "tables": [[0.5, 0.5], [0.5, 0.5]]}, "the graph has a cycle: 1 -> 2 -> 1"),
        ({"parents": [[], []], "tables": [0.5, 1.2]}, "concept 2 has probability 1.2"),
        ({"parents": [[], []]}, "is not a graph"),
        ({"parents": [[], [float("inf")]], "tables": [0.5, [0.5, 0.5]]}, "a parent inf"),
    ],
)
def test_a_graph_that_is_no_world_is_refused(tmp_path: Path, graph: dict, message: str, capsys) -> None:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(graph))
    status, _, err = run(["simulate", "--graph", str(path)], capsys)
    assert (status, err.count("\n")) == (2, 1)
    assert message in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no"),
        ({}, "no"),
        ({"a.tsv": b"caf\xe9\tx\n"}, "UTF-8"),
        ({"a.tsv": b"word\n"}, "line 1"),
        ({"a.tsv": b"xqzzyqj\twvvkqzz\nqqqqzx\tzzxqkw\n"}, "token"),
    ],
    ids=["missing", "empty", "not UTF-8", "one column", "all dropped"],
)
@pytest.mark.model
def test_a_pairs_folder_that_cannot_be_used_is_refused(tmp_path: Path, content, message: str, capsys) -> None:
    folder = tmp_path / "pairs"
    if content is not None:
        folder.mkdir()
        for name, text in content.items():
            (folder / name).write_bytes(text)
    status, out, err = run(["probe", "--model", "smollm2-135m", "--pairs", str(folder)], capsys)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_model_that_is_not_installed_names_the_command(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path))
    status, _, err = run(["probe", "--model", "smollm2-135m"], capsys)
    assert (status, err.count("\n")) == (2, 1)
    assert "linrep models get smollm2-135m" in err


def test_simulate_writes_the_record_that_is_documented(capsys) -> None:
    status, out, err = run([*QUICK, "--json", "-"], capsys)
    record = json.loads(out)
    assert (status, err) == (0, "")
    for key in ("config", "per_seed", "mean", "stderr", "fitted", "step_size", "steps", "seconds", "version"):
        assert key in record
    assert [row["seed"] for row in record["per_seed"]] == [0, 1, 2]
    keys = {"seed", "kl", "fitted", "monotone", "unembedding", "embedding", "matched", "between", "imbalance"}
    assert set(record["per_seed"][0]) == keys
    assert record["mean"]["unembedding"] == pytest.approx(np.mean([row["unembedding"] for row in record["per_seed"]]))
    assert record["fitted"]["number"] == sum(row["fitted"] for row in record["per_seed"])
    assert record["config"]["prob"] == [0.3, 0.7]
    assert (record["step_size"], record["steps"], record["version"]) == (1, 50, __version__)


def test_saved_tables_give_the_numbers_of_the_record(tmp_path: Path, capsys) -> None:
    json_file, table_file = tmp_path / "r.json", tmp_path / "t.safetensors"
    assert run([*QUICK, "--json", str(json_file), "--save", str(table_file)], capsys)[0] == 0
    (batch,) = load_tables(table_file)
    again = measure(batch.population, batch.start).per_replicate()
    rows = json.loads(json_file.read_text())["per_seed"]
    for name, values in again.items():
        assert [row[name] for row in rows] == values.tolist()


def test_first_seed_and_subsets_are_taken(capsys) -> None:
    arguments = [
        "--concepts",
        "4",
        "--seed",
        "7",
        "--masks",
        "9",
        "--tokens",
        "all",
        "--optimizer",
        "sgd",
        "--json",
        "-",
    ]
    record = json.loads(run([*QUICK, *arguments], capsys)[1])
    assert record["seeds"] == [7, 8, 9]
    assert (record["config"]["masks"], record["config"]["tokens"]) == (9, None)
    assert {row["monotone"] for row in record["per_seed"]} == {None}


@pytest.mark.parametrize("law", ["fair", "often", "rarely", "size"])
def test_the_mask_law_and_biases_are_taken_and_recorded(law: str, tmp_path: Path, capsys) -> None:
    saved = tmp_path / "t.safetensors"
    arguments = ["--mask-law", law, "--biases", "--json", "-", "--save", str(saved)]
    config = json.loads(run([*QUICK, *arguments], capsys)[1])["config"]
    assert (config["mask_law"], config["biases"]) == (law, True)
    (batch,) = load_tables(saved)
    nothing_hidden = {"fair": 1 / 8, "often": 1 / 64, "rarely": 27 / 64, "size": 1 / 4}[law]
    known = (batch.population.contexts != UNKNOWN).all(axis=1)
    np.testing.assert_allclose(batch.population.weights[:, known].sum(axis=1), nothing_hidden)
    plain = json.loads(run([*QUICK, "--json", "-"], capsys)[1])["config"]
    assert (plain["mask_law"], plain["biases"]) == ("fair", False)


def test_simulate_prints_a_table(capsys) -> None:
    status, out, _ = run(QUICK, capsys)
    assert status == 0
    assert "step size 1, 50 steps (clock 50)" in out
    for word in ("all (3)", "fitted (", "UE", "between", "±"):
        assert word in out


def test_a_step_that_is_too_large_warns_in_one_line(capsys) -> None:
    status, _, err = run(["simulate", "--step-size", "20", "--steps", "100", "--seeds", "2"], capsys)
    assert status == 0
    assert err.startswith("linrep: warning: the loss rose in ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", [[], ["simulate"], ["probe"], ["models"], ["models", "get"]])
def test_every_command_has_help_and_version(command: list[str], capsys) -> None:
    status, out, _ = run([*command, "--help"], capsys)
    assert status == 0
    assert "Usage:" in out
    status, out, _ = run([*command, "--version"], capsys)
    assert (status, out) == (0, f"linrep {__version__}\n")


def test_models_lists_what_is_known(capsys) -> None:
    status, out, _ = run(["models"], capsys)
    assert status == 0
    for word in (
        "smollm2-135m",
        "Apache-2.0",
        "98.4 MB",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ):
        assert word in out


def test_an_interrupt_ends_with_130_and_leaves_nothing(tmp_path: Path, monkeypatch, capsys) -> None:
    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("linrep.simulate.train", interrupted)
    status, _, err = run([*QUICK, "--json", str(tmp_path / "r.json")], capsys)
    assert (status, err) == (130, "linrep: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_the_installed_command_refuses_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "linrep.cli", "simulate", "--dim", "0"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "linrep: error: dim is 0; it must be 1 or more\n"
