"""Sweeps: many runs, in local processes or on a Dask cluster, each on disk as soon as it is finished."""

from linrep.sweep.run import run_tasks
from linrep.sweep.simulations import sweep
from linrep.sweep.task import Task

__all__ = ["Task", "run_tasks", "sweep"]
