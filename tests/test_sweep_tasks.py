"""Tasks: what they depend on, what goes wrong, and what is refused before anything is done."""

import json
import math
import pickle
import sys
from pathlib import Path

import pytest
from sweep_tasks import logged_tasks, numbers, root, started

from linrep.errors import DivergenceError, InputError, LinrepError, TooLargeError
from linrep.sweep import Task, run_tasks
from linrep.sweep.fingerprint import fingerprint
from linrep.sweep.store import Store


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (1, DivergenceError, "replicate 0 diverged (in sweep_tasks:troubled(number=1))"),
        (2, TooLargeError, "3^40 contexts (in sweep_tasks:troubled(number=2))"),
        (3, LinrepError, "the result of sweep_tasks:troubled(number=3) holds a number that is not finite"),
    ],
)
def test_what_linrep_refuses_stops_no_other_task(tmp_path: Path, number: int, error: type, message: str) -> None:
    with pytest.raises(error) as raised:
        run_tasks(numbers(0, number, 6), folder=tmp_path)
    assert type(raised.value) is error
    assert message in str(raised.value)
    assert len(list(tmp_path.iterdir())) == 2
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (type(copy), str(copy)) == (error, str(raised.value))


@pytest.mark.parametrize(
    ("number", "message"), [(4, "failed: ZeroDivisionError: by nothing"), (5, "cannot be written")]
)
def test_a_bug_is_raised_at_once_and_what_is_finished_stays(tmp_path: Path, number: int, message: str) -> None:
    with pytest.raises(LinrepError, match=message) as raised:
        run_tasks(numbers(0, number, 6), folder=tmp_path)
    assert f"troubled(number={number})" in str(raised.value)
    assert [json.loads(path.read_text())["result"] for path in tmp_path.iterdir()] == [0]


def test_results_come_in_the_order_of_the_tasks_and_a_task_runs_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    tasks = logged_tasks(str(log), 3, None)
    found = run_tasks([tasks[2], tasks[0], tasks[2], tasks[1]], folder=tmp_path / "runs")
    assert found == [root(2), root(0), root(2), root(1)]
    assert sorted(number for number, _ in started(log)) == [0, 1, 2]


def test_a_result_is_filed_under_all_that_it_depends_on(tmp_path: Path) -> None:
    store, task = Store(tmp_path, "one"), Task("a.b:c", {"x": 1, "y": [0.1, None]})
    assert store.key(task) == store.key(Task("a.b:c", {"y": (0.1, None), "x": 1}, name="another"))
    others = [
        Store(tmp_path, "two").key(task),
        *(store.key(other) for other in (Task("a.b:d", task.arguments), Task("a.b:c", {"x": 1.0, "y": [0.1, None]}))),
    ]
    assert len({store.key(task), *others}) == 4


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[]", b"null", b'{"result": NaN}', b"another", b"edited"])
def test_a_damaged_or_foreign_file_is_done_again(tmp_path: Path, damage: bytes) -> None:
    (task, other) = numbers(6, 7)
    store = Store(tmp_path, fingerprint())
    run_tasks([task, other], folder=tmp_path)
    path, good = tmp_path / f"{store.key(task)}.json", (tmp_path / f"{store.key(task)}.json").read_bytes()
    foreign = {b"another": (tmp_path / f"{store.key(other)}.json").read_bytes()}
    path.write_bytes(foreign.get(damage, good.replace(b'"result":6', b'"result":9') if damage == b"edited" else damage))
    assert path.read_bytes() != good
    assert store.read(task) is None
    assert run_tasks([task], folder=tmp_path) == [6]
    assert path.read_bytes() == good


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (Task("sweep_tasks:nothing", {}), {}, "function is 'sweep_tasks:nothing', which cannot be imported"),
        (Task("nowhere:f", {}), {}, "function is 'nowhere:f', which cannot be imported"),
        (Task("math:pi", {}), {}, "which is no function"),
        (numbers(0)[0], {"workers": -1}, "workers is -1; it must be 0"),
        (numbers(0)[0], {"workers": 2, "cluster": "tcp://127.0.0.1:1"}, "one of the two is needed"),
        (numbers(0)[0], {"cluster": "nonsense://x"}, "cluster is 'nonsense://x', where no Dask scheduler answers"),
        (numbers(0)[0], {"cluster": "tcp://127.0.0.1:1"}, "cluster is 'tcp://127.0.0.1:1', where no Dask scheduler"),
        (numbers(0)[0], {"folder": Path(__file__)}, "which is a file"),
        (numbers(0)[0], {"folder": Path("/proc/runs")}, "the results folder /proc/runs cannot be made"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line(tmp_path: Path, task: Task, options: dict, message: str) -> None:
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}), pytest.raises(InputError) as raised:
        run_tasks([task], **({"folder": tmp_path / "runs"} | options))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("options", [{"workers": 2}, {"cluster": "tcp://127.0.0.1:1"}])
def test_without_distributed_only_this_process_works(tmp_path: Path, monkeypatch, options: dict) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"dask\.distributed, which is not installed"):
        run_tasks(numbers(0), folder=tmp_path, **options)
    assert run_tasks(numbers(0), folder=tmp_path) == [0]


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("f", {}, "function is 'f'; it must be written package.module:function"),
        ("a:b.c", {}, "must be written"),
        ("a:b", {"x": math.inf}, "cannot be written as JSON"),
        ("a:b", {"x": {1}}, "cannot be written as JSON"),
    ],
)
def test_a_task_that_cannot_be_written_down_is_refused(function: str, arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Task(function, arguments)
