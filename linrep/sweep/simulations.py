"""A sweep of simulations: every setting of a grid, over seeds."""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from linrep.errors import StepSizeWarning
from linrep.pilot import Pace, clock_of
from linrep.results import Record
from linrep.setting import Setting
from linrep.simulate import setting_pace, simulate, summary
from linrep.sweep.executors import check_executor, cluster_memory
from linrep.sweep.grid import Grid, Point, setting_of
from linrep.sweep.plan import Plan, make_plan, open_pace
from linrep.sweep.run import outcomes, raise_first
from linrep.sweep.task import Task

Rows = list[dict[str, Any]]


def sweep(
    grid: Grid,
    *,
    seeds: range,
    folder: Path,
    workers: int = 0,
    cluster: str | None = None,
    progress: bool = False,
) -> Record:
    """Train every setting of a grid over the seeds. What is in the folder is not trained again.

    A setting's pace, where it is left to the rules, is searched once. A complete world's seeds are one run; other
    worlds are run seed by seed. A seed's result does not depend on that.

    Args:
        grid: fields of `Setting` with lists of values, such as {"concepts": [3, 4], "dim": [3, 6]}.
        folder, workers, cluster, progress: as for `linrep.sweep.run_tasks`.

    Returns:
        A record with the rows `per_seed`: the grid's fields with their values (of step_size and steps those that were
        taken) and what a simulation reports of a seed; and `settings`: pace, means and standard errors of each.

    Raises:
        InputError: a grid, seeds, a folder, workers or a cluster that are not allowed, before any work.
        TooLargeError: runs that would not fit in memory, before any work.
        LinrepError: runs that failed, after all others are done; the first one, with its arguments.

    Warns:
        StepSizeWarning: the loss rose at a step size that the grid gave.
    """
    began = time.perf_counter()
    plan = checked_plan(grid, seeds=seeds, workers=workers, cluster=cluster)
    do = partial(outcomes, folder=folder, workers=workers, cluster=cluster, progress=progress)
    searched = [point for point in plan.points if open_pace(point.setting)]
    found, failures = do([pace_task(point) for point in searched], label="paces")
    by_search = {id(point): pace for point, pace in zip(searched, found, strict=True)}
    paces = [by_search.get(id(point), _own_pace(point.setting)) for point in plan.points]
    tasks = [run_tasks_of(point, pace, seeds) for point, pace in zip(plan.points, paces, strict=True)]
    done, more = do([task for of_point in tasks for task in of_point], label="runs")
    raise_first([*failures, *more])
    results = iter(done)
    rows = [[row for _ in of_point for row in next(results)] for of_point in tasks]
    return _record(grid, plan, [Pace(**pace) for pace in paces if pace], rows, time.perf_counter() - began)


def checked_plan(grid: Grid, *, seeds: range, workers: int = 0, cluster: str | None = None) -> Plan:
    """The plan of a sweep, with the memory that the runs under way at one time share."""
    check_executor(workers, cluster)
    limit = None if cluster is None else cluster_memory(cluster)
    return make_plan(grid, seeds=seeds, at_once=max(1, workers), limit=limit)


def pace_task(point: Point) -> Task:
    """The search for a setting's pace, as a task."""
    return Task("linrep.sweep.simulations:searched_pace", {"setting": point.setting.to_dict()}, f"pace of {point}")


def run_tasks_of(point: Point, pace: Mapping[str, Any] | None, seeds: range) -> list[Task]:
    """The runs of a setting at a pace, as tasks; none without a pace."""
    if pace is None:
        return []
    fixed = {"setting": point.setting.to_dict(), "pace": dict(pace)}
    batches = [seeds] if point.setting.complete else [range(seed, seed + 1) for seed in seeds]
    return [
        Task(
            "linrep.sweep.simulations:trained_rows",
            fixed | {"seeds": list(batch)},
            f"seeds {batch[0]} to {batch[-1]} of {point}",
        )
        for batch in batches
    ]


def searched_pace(*, setting: Mapping[str, Any]) -> dict[str, Any]:
    """The step size and steps of a setting, JSON-ready."""
    return asdict(setting_pace(setting_of(setting)))


def trained_rows(*, setting: Mapping[str, Any], pace: Mapping[str, Any], seeds: Sequence[int]) -> Rows:
    """The per-seed rows of a setting trained at a pace."""
    bare = replace(setting_of(setting), step_size=None, steps=None)  # the sweep itself warns of a step that was given
    simulation = simulate(bare, seeds=range(seeds[0], seeds[-1] + 1), pace=Pace(**pace))
    return [{str(name): value for name, value in row.items()} for row in simulation.per_seed().to_dict("records")]


def _own_pace(setting: Setting) -> dict[str, Any] | None:
    return None if open_pace(setting) else asdict(setting_pace(setting))


def _record(grid: Grid, plan: Plan, paces: Sequence[Pace], rows: Sequence[Rows], seconds: float) -> Record:
    """The record of a sweep, from the pace and the rows of each setting."""
    per_seed: Rows = []
    settings = []
    for point, pace, of_point in zip(plan.points, paces, rows, strict=True):
        named = dict(point.values) | {name: value for name, value in asdict(pace).items() if name in point.values}
        per_seed += [named | row for row in of_point]
        settings.append(named | _summary(point, pace, pd.DataFrame(of_point)))
    fixed = {name: value for name, value in vars(Setting()).items() if name not in plan.points[0].values}
    config = {"grid": {name: list(values) for name, values in grid.items()}, "fixed": fixed}
    body = {"per_seed": per_seed, "settings": settings}
    return Record("sweep", config, tuple(plan.seeds), "per_seed", body, round(seconds, 3))


def _summary(point: Point, pace: Pace, table: pd.DataFrame) -> dict[str, Any]:
    """What is reported of a setting; warns of a given step size at which the loss rose."""
    rose = int(table["monotone"].eq(False).sum())
    if rose and point.setting.step_size is not None:
        warnings.warn(
            f"{point}: the loss rose in {rose} of {len(table)} replicates: step size {pace.step_size:g} is above their "
            "monotone range, so they do not count as gradient descent",
            StepSizeWarning,
            stacklevel=4,
        )
    fitted = table[table["fitted"]]
    return {
        **asdict(pace),
        "clock": clock_of(pace, point.setting.optimizer),
        "replicates": len(table),
        **summary(table),
        "fitted": {"number": len(fitted), **summary(fitted)},
    }
