"""Tasks for the tests of sweeps, and a sweep of them as a process of its own: FOLDER LOG COUNT WORKERS [GATE]."""

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from linrep.errors import DivergenceError, TooLargeError
from linrep.sweep import Task, run_tasks


def logged(*, number: int, log: str, gate: str | None = None, seconds: float = 0.0) -> dict[str, Any]:
    """A number's root, with a line in the log at the start; waits for a gate (a file) where one is given."""
    with Path(log).open("a") as file:
        file.write(f"{number} {os.getpid()}\n")
    while gate is not None and not Path(gate).exists():
        time.sleep(0.01)
    time.sleep(seconds)
    return root(number)


def rows(*, gate: str | None, log: str, **arguments: Any) -> Any:
    """Rows of a simulation, behind a gate."""
    logged(number=0, log=log, gate=gate)
    from linrep.sweep.simulations import trained_rows

    return trained_rows(**arguments)


def troubled(*, number: int) -> Any:
    """What can go wrong, by number."""
    match number:
        case 1:
            raise DivergenceError("replicate 0 diverged")
        case 2:
            raise TooLargeError("3^40 contexts")
        case 3:
            return {"deep": [math.nan]}
        case 4:
            raise ZeroDivisionError("by nothing")
        case 5:
            return {1, 2}
    return number


def started(log: Path) -> list[tuple[int, int]]:
    """Number and process of every start in a log."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(number), int(process)) for number, process in map(str.split, lines)]


def logged_tasks(log: str, count: int, gate: str | None) -> list[Task]:
    """Tasks of some ten milliseconds."""
    return [
        Task("sweep_tasks:logged", {"number": number, "log": log, "gate": gate, "seconds": 0.01})
        for number in range(count)
    ]


def root(number: int) -> dict[str, Any]:
    """What `logged` gives."""
    return {"number": number, "root": math.sqrt(number)}


def numbers(*wanted: int) -> list[Task]:
    """Tasks that go well (0, 6 and above) or wrong (1 to 5)."""
    return [Task("sweep_tasks:troubled", {"number": number}) for number in wanted]


if __name__ == "__main__":
    folder, log, count, workers, *gates = sys.argv[1:]
    tasks = logged_tasks(log, int(count), gates[0] if gates else None)
    results = run_tasks(tasks, folder=Path(folder), workers=int(workers), progress=True)
    print([result["number"] for result in results])
