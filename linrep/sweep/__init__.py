"""Sweeps: many runs, in local processes or on a Dask cluster, each on disk as soon as it is finished."""

from typing import TYPE_CHECKING, Any

from linrep.sweep.executors import own_workers
from linrep.sweep.run import run_tasks
from linrep.sweep.task import Task

if TYPE_CHECKING:
    from linrep.sweep.simulations import sweep

__all__ = ["Task", "own_workers", "run_tasks", "sweep"]


def __getattr__(name: str) -> Any:
    """`sweep`, imported when it is asked for: it needs torch, which tasks of another kind may not."""
    if name != "sweep":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from linrep.sweep.simulations import sweep

    return sweep
