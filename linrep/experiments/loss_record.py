"""The record behind the chapter on the loss: every loss along the clock, and what halving the step moves.

It holds means over the seeds; the chapter runs the first part again and holds it to the record.
"""

import math
import time
from typing import Any

import numpy as np
import pandas as pd

from linrep.experiments.catalogue import Size
from linrep.experiments.loss_runs import CONCEPTS, COSINES, LOSSES, NUMBERS, find_pace, follow, marks_to, step_effect
from linrep.pilot import CLOCKS, Pace, halved
from linrep.results import Record, read_record, require_agreement, results_folder
from linrep.stats import estimate

NAME = "loss"

HORIZONS = {3: CLOCKS[2], 8: CLOCKS[3]}
"""The clock of the full run for each k: 10,000 and 31,623."""

LIVE = {3: 316, 8: 100}
"""The clocks up to which the chapter runs the arms again."""

ARMS = tuple((name, dim) for dim in HORIZONS for name in LOSSES if (name, dim) != ("products", 8))
"""Loss and k. Squared error of the products reaches its optimum, zero, at k = 8, and its loss is then all rounding."""


def record(size: Size) -> Record:
    """Every arm along the clock: means over 20 seeds at `marks_to` its horizon ("smoke": 3 seeds, to `LIVE`).

    The step is a quarter of what the pilots allow; the half of it is the check.
    """
    began = time.perf_counter()
    seeds, horizons = (range(20), HORIZONS) if size == "paper" else (range(3), LIVE)
    arms: list[dict[str, Any]] = []
    rows = []
    for name, dim in ARMS:
        half = halved(find_pace(name, dim, clock=horizons[dim]))
        pace, clocks = halved(half), marks_to(horizons[dim])
        once, twice = (follow(name, dim, seeds=seeds, pace=each, clocks=clocks) for each in (half, pace))
        arms.append({"loss": name, "k": dim, "step_size": pace.step_size, "steps": pace.steps} | _checks(once, twice))
        rows.append(means(twice))
    body = {"curves": _rounded(pd.concat(rows, ignore_index=True)), "arms": arms}
    config = {"horizons": {str(dim): clock for dim, clock in horizons.items()}, "concepts": CONCEPTS}
    return Record(NAME, config, tuple(seeds), "curves", body, round(time.perf_counter() - began, 3))


def _checks(once: pd.DataFrame, twice: pd.DataFrame) -> dict[str, Any]:
    """How many seeds fell monotonically at the reported step; what doubling it moves at `CLOCKS`, or at the end.

    And slope: −d ln(leak)/d ln(clock) over the last factor of √10, its mean over the seeds and its standard error.
    """
    last = [mark for mark in CLOCKS if mark in set(once["clock"])] or [once["clock"].max()]
    late = [each[each["clock"].isin(last)].reset_index(drop=True) for each in (once, twice)]
    mean = means(late[0])[list(COSINES)] - means(late[1])[list(COSINES)]
    leak = twice.assign(leak=np.log(twice["leak"])).pivot(index="seed", columns="clock", values="leak")
    early, end = sorted(set(twice["clock"]))[-3::2]
    slope = estimate(((leak[early] - leak[end]) / np.log(end / early)).to_numpy(float))
    return {
        "monotone": int(twice.groupby("seed")["monotone"].all().sum()),
        "a seed moves": _short(step_effect(*late)),
        "a mean moves": _short(float(mean.abs().to_numpy().max())),
        "slope": _short(slope.mean),
        "slope ±": _short(slope.stderr),
    }


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds of `NUMBERS`, of "log leak", and the standard errors (name ±) of some."""
    by = rows.assign(**{"log leak": np.log(rows["leak"])}).groupby(["loss", "k", "clock"], sort=False)
    errors = by[["kl", *COSINES, "log leak"]].sem().add_suffix(" ±")
    return by[[*NUMBERS, "log leak"]].mean().join(errors).reset_index()


def recorded() -> Record:
    """The record of this chapter.

    Raises:
        InputError: there is no record.
    """
    return read_record(results_folder() / f"{NAME}.json")


def recorded_paces(recorded: Record) -> dict[tuple[str, int], Pace]:
    """The pace of every arm, as the rule found it on the pilots."""
    return {(row["loss"], row["k"]): Pace(row["step_size"], row["steps"]) for row in recorded.body["arms"]}


def live_rows(recorded: Record, dim: int) -> pd.DataFrame:
    """The arms of one width run again up to `LIVE`, at the steps and for the seeds of the record.

    The last two marks are held to it.

    Raises:
        LinrepError: a mean differs from that on record.
    """
    parts = []
    for (name, width), pace in recorded_paces(recorded).items():
        if width == dim:
            short = Pace(pace.step_size, math.ceil(LIVE[dim] / pace.step_size))
            parts.append(follow(name, dim, seeds=recorded.seeds, pace=short, clocks=marks_to(LIVE[dim])[-2:]))
    rows = pd.concat(parts, ignore_index=True)
    found = means(rows)
    require_agreement(recorded.to_frame(), found, on=["loss", "k", "clock"], columns=["kl", "U", "E"], tolerance=1e-3)
    return rows


def _rounded(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with five significant digits: finer than what the chapter holds them to."""
    return [
        {str(key): _short(value) if isinstance(value, float) else value for key, value in row.items()}
        for row in table.to_dict("records")
    ]


def _short(value: float) -> float:
    """Five significant digits."""
    return float(f"{value:.5g}")
