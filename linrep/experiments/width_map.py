"""How linear training is at every width, from every start, at every clock: the map.

Rules, fixed before the runs. Worlds as in the paper's simulations, edges with probability 0.5, complete sets, descent
on the exact loss in double precision. The step of a cell is the one that the rule of `linrep.pilot` finds on the pilots
for the cell's horizon; it is halved, up to three times, until halving it once more moves no mean cosine over the
reported seeds by 0.005 or more at the horizon. What still moves is marked, and so are seeds whose loss rose.
"""

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd

from linrep.experiments.catalogue import Size
from linrep.experiments.late_phase import largest_shift
from linrep.experiments.width_measures import MEASURES, measured
from linrep.history import follow
from linrep.pilot import CLOCKS, FITTED_KL, STEP_EFFECT, Pace, steps_to
from linrep.results import Record, json_rows, short, unfinished_folder
from linrep.setting import Setting
from linrep.simulate import COSINES, make_batches, setting_pace
from linrep.sweep import Task, own_workers, run_tasks

NAME = "width_map"

DIMS = {
    2: (2, 3, 4, 6, 8),
    3: (2, 3, 4, 5, 6, 8, 12),
    4: (2, 4, 5, 6, 8, 12, 16),
    5: (3, 5, 6, 7, 10, 15, 20, 32),
    6: (3, 6, 7, 9, 12, 18, 24, 64),
}
"""k for each m: fewer than m, m, up to 4m, and 2^m."""

STARTS: dict[str, float | None] = {"linear": None, "0.01": 0.01, "0.03": 0.03, "0.1": 0.1, "0.3": 0.3, "1": 1.0}
"""Starts by name: that of a linear layer, and N(0, S²) by S."""

BETWEEN, BETWEEN_TO = ("0.03", "0.3"), 3
"""Starts that are run up to this m only, for cost."""

HORIZONS = {2: CLOCKS[4], 3: CLOCKS[4], 4: CLOCKS[3], 5: CLOCKS[3], 6: CLOCKS[2]}
"""The last clock for each m where k is m or more: what is affordable."""

NARROW = CLOCKS[2]
"""The last clock where k is below m: steps have to be small there, and the search for them is long."""

SEEDS = {2: 20, 3: 20, 4: 20, 5: 20, 6: 10}
HALVINGS = 3
KEPT = ("kl", "unembedding", "embedding", "matched", "between", "monotone")
"""What the record keeps of each seed, at the horizon."""


def record(size: Size) -> Record:
    """Every cell ("smoke": m = 2, k = 2 and 4, two starts, three seeds to clock 1,000). Finished cells wait on disk."""
    began = time.perf_counter()
    if size == "paper":
        ends = {(m, k): HORIZONS[m] if k >= m else NARROW for m, dims in DIMS.items() for k in dims}
        named = [(m, k, start, end, SEEDS[m]) for (m, k), end in ends.items() for start in starts_of(m)]
    else:
        named = [(2, k, start, CLOCKS[0], 3) for k in (2, 4) for start in ("linear", "0.1")]
    keys = ("m", "k", "start", "clock", "seeds")
    tasks = [Task(f"{__name__}:cell", dict(zip(keys, given, strict=True))) for given in named]
    workers = own_workers() if size == "paper" else 0
    found = run_tasks(tasks, folder=unfinished_folder(NAME), workers=workers, progress=True, label="cells")
    body = {part: [row for each in found for row in each[part]] for part in ("cells", "means", "per_seed")}
    return Record(NAME, {"clocks": list(CLOCKS)}, (), "means", body, round(time.perf_counter() - began, 3))


def starts_of(m: int) -> list[str]:
    """The names of the starts of one number of concepts."""
    return [start for start in STARTS if m <= BETWEEN_TO or start not in BETWEEN]


def cell(m: int, k: int, start: str, clock: int, seeds: int) -> dict[str, Any]:
    """One cell at the step that the rules find.

    Returns:
        cells: how it was run, one row; means: for each clock the mean over seeds of kl (nats) and of `MEASURES`, and
        the standard errors of the cosines; per_seed: `KEPT` at the horizon.
    """
    setting = Setting(concepts=m, dim=k, init_scale=STARTS[start])
    step_size = setting_pace(setting, clock=clock).step_size
    rows = along(setting, range(seeds), step_size=step_size, clock=clock)
    for halving in range(HALVINGS + 1):
        half = along(setting, range(seeds), step_size=step_size / 2, clock=clock)
        moved = largest_shift(*(each[each["clock"] == clock] for each in (rows, half)))
        if moved < STEP_EFFECT or halving == HALVINGS:
            break
        rows, step_size = half, step_size / 2
    place = {"m": m, "k": k, "start": start}
    last = rows[rows["clock"] == clock]
    how = {"clock": clock, "seeds": seeds, "step_size": step_size, "halving moves": short(moved)}
    how |= {"monotone": int(last["monotone"].sum()), "fitted": int((last["kl"] <= FITTED_KL).sum())}
    means = [{**place, **line} for line in json_rows(_means(rows))]
    per_seed = [{**place, **line} for line in json_rows(last[["seed", *KEPT]])]
    return {"cells": [place | how], "means": means, "per_seed": per_seed}


def along(setting: Setting, seeds: range, *, step_size: float, clock: int) -> pd.DataFrame:
    """Some seeds trained to a clock: a row for each seed and each of `CLOCKS`, with kl, `MEASURES` and monotone."""
    marks = {steps_to(mark, step_size): mark for mark in CLOCKS if mark <= clock}
    config = setting.training(step_size, max(marks))
    tables = [
        follow(batch, config, marks, measured(batch.population), engine=setting.engine)[1]
        for batch in make_batches(setting, seeds)
    ]
    return pd.concat(tables, ignore_index=True)


def pace_of(row: Mapping[str, Any]) -> Pace:
    """The pace of a recorded cell."""
    return Pace(row["step_size"], steps_to(row["clock"], row["step_size"]))


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds at each clock, and standard errors of the cosines."""
    groups = rows.groupby("clock")
    errors = groups[list(COSINES)].sem().rename(columns={name: f"{name} ±" for name in COSINES})
    return groups[["kl", *MEASURES]].mean().join(errors).reset_index()
