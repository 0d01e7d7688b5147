"""Many tasks: each finished one is on disk at once, and what is on disk is not done again."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import BaseFileLock
from tqdm import tqdm

from linrep.errors import LinrepError
from linrep.sweep.executors import Executor, check_executor, executor
from linrep.sweep.fingerprint import fingerprint
from linrep.sweep.store import Store, prepare_folder, release, released
from linrep.sweep.task import Outcome, Task, resolve

POLL = 0.1
"""Seconds between two looks at tasks that other sweeps have under way."""

Results = dict[str, Any]
Failures = dict[str, LinrepError]


def run_tasks(
    tasks: Sequence[Task],
    *,
    folder: Path,
    workers: int = 0,
    cluster: str | None = None,
    progress: bool = False,
    label: str = "runs",
) -> list[Any]:
    """The results of tasks, in their order: those in the folder as they are, the others done now.

    A result is filed under its function, its arguments and a fingerprint of linrep's sources, so that changed code is
    never served an old result. Several sweeps may share a folder: each task is done by one of them. When linrep refuses
    a task (a divergence, for one), the others are done before the error is raised; a bug is raised at once.

    Args:
        folder: made if it is not there.
        workers: 0 for this process; otherwise local processes, which share the cores. A script that asks for them must
            keep its own work under `if __name__ == "__main__"`.
        cluster: the address of a Dask scheduler, such as tcp://host:8786, in place of local processes. Its workers must
            have the same linrep. This process writes the results.
        progress: show a bar with an estimate on a terminal. label: its name.

    Raises:
        InputError: a function, a folder, a number of workers or a cluster that cannot be used, before any work.
        LinrepError: a task failed; of the class that the task raised, with its arguments. Finished results are kept.
    """
    results, failures = outcomes(tasks, folder=folder, workers=workers, cluster=cluster, progress=progress, label=label)
    raise_first(failures)
    return results


def outcomes(
    tasks: Sequence[Task],
    *,
    folder: Path,
    workers: int = 0,
    cluster: str | None = None,
    progress: bool = False,
    label: str = "runs",
) -> tuple[list[Any], list[LinrepError]]:
    """As `run_tasks`, with the errors of refused tasks as a list, in their order, and None as their results."""
    check_executor(workers, cluster)
    for function in dict.fromkeys(task.function for task in tasks):
        resolve(function)
    prepare_folder(folder)
    store = Store(folder, fingerprint())
    keys = [store.key(task) for task in tasks]
    unique = dict(zip(keys, tasks, strict=True))
    results: Results = {key: found[0] for key, task in unique.items() if (found := store.read(task)) is not None}
    pending = {key: task for key, task in unique.items() if key not in results}
    failures: Failures = {}
    with tqdm(total=len(unique), initial=len(results), desc=label, unit="run", smoothing=0,
              disable=None if progress else True, leave=False) as bar:  # fmt: skip
        if pending:
            with executor(workers, cluster) as engine:
                _work(pending, store, engine, results, failures, bar.update)
    return [results.get(key) for key in keys], [failures[key] for key in unique if key in failures]


def raise_first(failures: Sequence[LinrepError]) -> None:
    """Raise the first of some errors, with the number of the others."""
    if failures:
        first, others = failures[0], len(failures) - 1
        if others:
            first.args = (f"{first}; {others} more failed",)
        raise first


def _work(
    pending: dict[str, Task],
    store: Store,
    engine: Executor,
    results: Results,
    failures: Failures,
    update: Callable[[int], Any],
) -> None:
    """Do what is pending, as far as no other sweep does it, and wait for the rest."""
    waiting, claims = deque(pending), dict[str, BaseFileLock]()
    with released(claims):
        while waiting or claims:
            update(_claim(waiting, claims, pending, store, engine, results))
            if claims:
                key, outcome = engine.finished()
                _settle(key, outcome, pending[key], store, results, failures)
                release(claims.pop(key))
                update(1)
            elif waiting:
                time.sleep(POLL)


def _claim(
    waiting: deque[str],
    claims: dict[str, BaseFileLock],
    pending: dict[str, Task],
    store: Store,
    engine: Executor,
    results: Results,
) -> int:
    """Give the engine what it can take of the tasks that nobody else has; the number that others have finished."""
    finished, capacity = 0, engine.capacity
    for _ in range(len(waiting)):
        if len(claims) >= capacity:
            break
        key = waiting.popleft()
        task, claim = pending[key], store.claim(pending[key])
        found = store.read(task)
        if found is not None:
            results[key] = found[0]
            finished += 1
            if claim is not None:
                release(claim)
        elif claim is None:
            waiting.append(key)
        else:
            claims[key] = claim
            engine.submit(key, task, store.fingerprint)
    return finished


def _settle(key: str, outcome: Outcome, task: Task, store: Store, results: Results, failures: Failures) -> None:
    """Put a result on disk and among the results, or an error among the failures; raise what is no refusal."""
    if outcome.text is not None:
        results[key] = store.write(task, outcome.text)
    elif outcome.error is not None and outcome.refused:
        failures[key] = outcome.error
    elif outcome.error is not None:
        raise outcome.error
