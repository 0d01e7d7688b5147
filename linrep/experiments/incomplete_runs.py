"""Runs on incomplete worlds: step and clock of a setting, and one seed along the clock (section 5.1 of the paper).

Worlds of ten and twelve concepts are large, so the rules of `linrep.pilot` are kept with fewer runs. Step: the largest
of the grid at which the loss of each of three pilots falls monotonically to the horizon, and at which halving it moves
no cosine of the first pilot by 0.005 or more at the clock chosen. Clock: the first at which the median KL divergence of
the pilots is below 0.01 nats; where there is none up to the horizon, the one at which it is lowest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.errors import DivergenceError, LinrepError
from linrep.experiments.full_tables import chosen_clock
from linrep.geometry import cosine_matrix
from linrep.history import follow, linearity
from linrep.linearity import concept_vectors
from linrep.pilot import CLOCKS, PAPER_STEPS, STEP_EFFECT, STEP_GRID, steps_to
from linrep.results import json_rows, short
from linrep.seeds import PILOT_SEEDS
from linrep.setting import Setting
from linrep.simulate import COSINES, MEASURES, make_batches
from linrep.sweep import Task
from linrep.train import LossRoseError

PILOTS = PILOT_SEEDS[:3]

Fields = Mapping[str, Any]
"""What differs from the defaults of `Setting`, JSON-ready."""


def pace_task(fields: Fields, *, horizon: int) -> Task:
    """See `pace`."""
    return Task(f"{__name__}:pace", {"fields": dict(fields), "horizon": horizon})


def seed_task(fields: Fields, *, step_size: float, clock: int, seed: int, matrix: bool = False) -> Task:
    """See `along`."""
    return Task(
        f"{__name__}:along",
        {"fields": dict(fields), "step_size": step_size, "clock": clock, "seed": seed, "matrix": matrix},
    )


def pace(fields: Fields, horizon: int) -> dict[str, Any]:
    """The step size of descent and the clock of a setting, by the rules above; `horizon` is one of `CLOCKS`.

    Returns:
        step_size, clock, "half step moves" (the largest change of a cosine of the first pilot), and by clock the
        pilots' median KL divergence, nats.

    Raises:
        LinrepError: no step of the grid passes.
    """
    order = list(PILOTS)
    for step_size in STEP_GRID:
        runs = _monotone(fields, step_size, horizon, order)
        if runs is None:
            continue
        once = frame(runs)
        median = once.groupby("clock")["kl"].median()
        kl = dict(zip(median.index.tolist(), map(short, median.tolist()), strict=True))
        clock = chosen_clock(kl)
        twice = frame([along(fields, step_size / 2, clock, PILOTS[0])])
        effect = float(np.abs(_first(once, clock) - _first(twice, clock)).max())
        if effect < STEP_EFFECT:
            pilots = {f"{mark:,}": value for mark, value in kl.items()}
            return {"step_size": step_size, "clock": clock, "half step moves": short(effect), "pilots": pilots}
    raise LinrepError(f"no step size from {STEP_GRID[0]:g} to {STEP_GRID[-1]:.2g} passes on {dict(fields)}")


def _monotone(fields: Fields, step_size: float, horizon: int, order: list[int]) -> list[dict[str, Any]] | None:
    """The pilots' runs when the loss of each falls; else None, at the first that does not.

    Args:
        order: the pilots, in the order in which they are tried. The one that fails moves to the front: it is the
            likeliest to fail at the next step too, and no other need be run then.
    """
    runs = []
    for seed in list(order):
        try:
            runs.append(along(fields, step_size, horizon, seed, require_monotone=True))
        except (LossRoseError, DivergenceError):
            order.remove(seed)
            order.insert(0, seed)
            return None
    return runs


def along(
    fields: Fields, step_size: float, clock: int, seed: int, matrix: bool = False, require_monotone: bool = False
) -> dict[str, Any]:
    """One seed trained to a clock and measured at all of `CLOCKS` on the way.

    Args:
        step_size: of gd; SGD takes the paper's.
        matrix: also the cosines of concept with concept at the end (paper, Figure 7a).
        require_monotone: end with LossRoseError when the loss is seen to rise.

    Returns:
        rows, one for each clock: seed, clock, kl (nats), the measures of `Linearity`, monotone (None unless gd);
        contexts and tokens of the world; and the matrix.
    """
    setting = Setting(**{"dtype": "float32", **fields})
    size = step_size if setting.optimizer == "gd" else PAPER_STEPS[setting.optimizer]
    (batch,) = make_batches(setting, (seed,))
    steps = {steps_to(mark, size): mark for mark in CLOCKS if mark <= clock}
    config = setting.training(size, max(steps))
    trained, table = follow(
        batch, config, steps, linearity(batch), engine=setting.engine, require_monotone=require_monotone
    )
    found: dict[str, Any] = {"rows": json_rows(table.assign(monotone=table.get("monotone")))}
    found |= {"contexts": len(batch.population.contexts), "tokens": len(batch.population.tokens)}
    if matrix:
        vectors = concept_vectors(trained.unembedding, batch.population.token_pairs)
        found["matrix"] = [[round(value, 4) for value in row] for row in cosine_matrix(vectors)[0].tolist()]
    return found


def frame(runs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of some runs."""
    return pd.DataFrame([row for run in runs for row in run["rows"]])[["seed", "clock", *MEASURES, "monotone"]]


def _first(rows: pd.DataFrame, clock: int) -> Float[np.ndarray, " cosines"]:
    """The cosines of the first pilot at a clock."""
    found = rows[(rows["clock"] == clock) & (rows["seed"] == PILOTS[0])]
    first: Float[np.ndarray, " cosines"] = found[list(COSINES)].to_numpy(dtype=float)[0]
    return first
