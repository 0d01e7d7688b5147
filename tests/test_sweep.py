"""Sweeps of tasks: nothing is lost or done twice, whoever is killed, and the numbers are those of one process."""

import os
import pty
import random
import subprocess
import sys
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from sweep_tasks import logged_tasks, numbers, root, started

from linrep.errors import DivergenceError, LinrepError, TooLargeError
from linrep.setting import Setting
from linrep.sweep import Task, executors, run_tasks, sweep
from linrep.sweep.executors import _cores
from linrep.sweep.fingerprint import fingerprint
from linrep.sweep.store import Store

TESTS = Path(__file__).resolve().parent
QUICK = {"step_size": [1.0], "steps": [40]}


def until(condition: Callable[[], object], *, seconds: float = 60) -> None:
    """Wait for a condition; the limit only ends a test that hangs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def start_sweep(folder: Path, log: Path, count: int, workers: int = 0, *gate: Path) -> subprocess.Popen[str]:
    """`sweep_tasks.py` as a process."""
    command = [sys.executable, str(TESTS / "sweep_tasks.py"), *map(str, (folder, log, count, workers, *gate))]
    environment = os.environ | {"PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}
    environment.pop("OMP_NUM_THREADS", None)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(folder: Path, tasks: list[Task]) -> set[int]:
    """The numbers of the tasks whose results are on disk."""
    store = Store(folder, fingerprint())
    return {task.arguments["number"] for task in tasks if store.read(task) is not None}


def test_after_kill_9_at_random_moments_nothing_is_lost_and_nothing_finished_is_done_again(tmp_path: Path) -> None:
    folder, count, moments = tmp_path / "runs", 40, random.Random(1)
    log = tmp_path / "log"
    tasks = logged_tasks(str(log), count, None)
    kills = 0
    while len(before := finished(folder, tasks)) < count:
        already, more = len(started(log)), moments.randint(2, 12)
        process = start_sweep(folder, log, count)
        until(lambda: process.poll() is not None or len(started(log)) >= already + more)  # noqa: B023
        time.sleep(moments.uniform(0, 0.02))  # any moment of a task, its writing among them
        kills += process.poll() is None
        process.kill()
        process.communicate()
        assert not before & {number for number, _ in started(log)[already:]}
        assert before <= finished(folder, tasks)
    assert kills >= 3
    assert len(started(log)) <= count + kills  # a kill costs the task that was under way, at most
    assert run_tasks(tasks, folder=folder) == [root(number) for number in range(count)]


def test_workers_share_the_cores_and_end_when_their_sweep_is_killed(tmp_path: Path, monkeypatch) -> None:
    folder, log, gate = tmp_path / "runs", tmp_path / "log", tmp_path / "gate"
    process = start_sweep(folder, log, 4, 2, gate)
    until(lambda: len(started(log)) == 2)
    workers = [psutil.Process(worker) for _, worker in started(log)]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    share = max(1, _cores() // 2)
    assert {worker.environ()["OMP_NUM_THREADS"] for worker in workers} == {str(share)}
    process.kill()
    process.communicate()
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    gate.touch()
    assert run_tasks(logged_tasks(str(log), 4, str(gate)), folder=folder) == [root(number) for number in range(4)]


def test_two_sweeps_on_one_folder_share_the_work(tmp_path: Path) -> None:
    folder, log, gate, count = tmp_path / "runs", tmp_path / "log", tmp_path / "gate", 30
    both = [start_sweep(folder, log, count, 0, gate) for _ in range(2)]
    until(lambda: len(started(log)) == 2)  # both are at work, each on a task of its own
    gate.touch()
    for process in both:
        assert process.communicate()[0] == f"{list(range(count))}\n"
    assert Counter(number for number, _ in started(log)) == Counter(range(count))
    assert len({process for _, process in started(log)}) == 2
    assert {path.suffix for path in folder.iterdir()} == {".json"}
    assert finished(folder, logged_tasks(str(log), count, str(gate))) == set(range(count))


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two worker processes, without the dashboard."""
    from distributed import LocalCluster

    environment = {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]), "OMP_NUM_THREADS": "1"}
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None, env=environment,
        silence_logs="CRITICAL", memory_limit="2GB",
    ) as started_cluster:  # fmt: skip
        yield started_cluster


def test_two_workers_of_which_one_is_killed_give_the_numbers_of_one_process(tmp_path: Path, cluster) -> None:
    folder, log, gate = tmp_path / "cluster", tmp_path / "log", tmp_path / "gate"
    pace = {"step_size": 1.0, "steps": 40}
    wanted = [
        {"setting": Setting(concepts=m, masks=masks).to_dict(), "pace": pace, "seeds": [seed]}
        for m, masks in ((2, None), (3, 6))
        for seed in range(4)
    ]
    tasks = [
        Task("sweep_tasks:rows", {"gate": str(gate) if place > 2 else None, "log": str(log)} | arguments)
        for place, arguments in enumerate(wanted)
    ]

    def kill_one() -> None:
        until(lambda: len(list(folder.glob("*.json"))) == 3 and len(started(log)) == 5)
        lost = psutil.Process(started(log)[-1][1])  # a task waits behind the gate on each of the workers
        lost.kill()
        lost.wait()
        gate.touch()

    killer = threading.Thread(target=kill_one)
    killer.start()
    found = run_tasks(tasks, folder=folder, cluster=cluster.scheduler_address)
    killer.join()
    assert len(started(log)) == len(tasks) + 1  # the lost task was started again, no other was
    alone = run_tasks([Task("linrep.sweep.simulations:trained_rows", each) for each in wanted], folder=tmp_path / "one")
    assert found == alone


def test_a_sweep_on_a_cluster_is_the_sweep_in_this_process(tmp_path: Path, cluster) -> None:
    asked = QUICK | {"concepts": [2, 3], "init-scale": [None, 0.3]}
    there = sweep(asked, seeds=range(3), folder=tmp_path / "a", cluster=cluster.scheduler_address)
    here = sweep(asked, seeds=range(3), folder=tmp_path / "b")
    assert there.body == here.body
    assert {path.name for path in (tmp_path / "a").iterdir()} == {path.name for path in (tmp_path / "b").iterdir()}


def test_errors_from_a_cluster_keep_their_class(tmp_path: Path, cluster) -> None:
    with pytest.raises(DivergenceError, match=r"^replicate 0 diverged \(in sweep_tasks:troubled\(number=1\)\); 2 more"):
        run_tasks(numbers(0, 1, 2, 3, 6), folder=tmp_path, cluster=cluster.scheduler_address)
    assert run_tasks(numbers(6, 0), folder=tmp_path) == [6, 0]
    with pytest.raises(LinrepError, match=r"troubled\(number=4\) failed: ZeroDivisionError: by nothing"):
        run_tasks(numbers(4), folder=tmp_path, cluster=cluster.scheduler_address)


def test_the_bar_starts_where_the_sweep_was_and_shows_an_estimate(tmp_path: Path) -> None:
    folder, log = tmp_path / "runs", tmp_path / "log"
    run_tasks(logged_tasks(str(log), 5, None)[:3], folder=folder)
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (24, 100))
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "sweep_tasks.py"), str(folder), str(log), "5", "0"],
        env=os.environ | {"PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}", "TQDM_MININTERVAL": "0"},
        stderr=there, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    process.wait()
    shown = os.read(here, 100_000).decode()
    os.close(there)
    os.close(here)
    assert "runs:  60%" in shown
    assert "3/5 [" in shown
    assert "<" in shown.split("4/5")[1].split("]")[0]  # elapsed < remaining


def test_what_no_worker_of_a_cluster_can_hold_is_refused(tmp_path: Path, cluster) -> None:
    with pytest.raises(TooLargeError, match=r"4,782,969 contexts by .* would take .*; 2.0 GB is available"):
        sweep({"concepts": [14]}, seeds=range(20), folder=tmp_path / "runs", cluster=cluster.scheduler_address)
    assert not (tmp_path / "runs").exists()


def test_own_workers_are_one_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors.os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    for asked, workers in (("", 3), ("2", 2), ("1", 0)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert executors.own_workers() == workers
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert executors.own_workers() == 0


def test_local_workers_leave_the_environment_of_this_process_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a second round of tasks would find one core, and the libraries of this process one thread."""
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = {name: os.environ.get(name) for name in executors.THREADS}
    with executors.executor(1, None):
        pass
    assert {name: os.environ.get(name) for name in executors.THREADS} == before
