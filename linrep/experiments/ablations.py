"""Ablations: one thing of the simulations changed at a time, each arm on the seeds and starts of the base.

Rules, fixed before the runs. Every arm of one m is compared at the clock that the clock rule of `linrep.pilot` finds
for the base, and also looked at at every other of `CLOCKS` to 31,623. Its step is the largest of the grid at which the
loss of every pilot of its own falls at each step to the last clock, and at which halving it moves no cosine of a fitted
pilot by 0.005 or more at either clock; it is halved until that holds for the reported seeds too, at the clock of the
comparison. Verdicts are those of `compare_paired`; what does not fit is counted.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from linrep import geometry
from linrep.errors import DivergenceError, LinrepError
from linrep.experiments.ablation_worlds import ARMS, batch_of
from linrep.experiments.catalogue import Size
from linrep.experiments.full_tables import RULE_CLOCK
from linrep.history import Columns, follow
from linrep.linearity import concept_vectors
from linrep.pilot import CLOCKS, FITTED_KL, STEP_EFFECT, STEP_GRID, steps_to
from linrep.population import Population
from linrep.results import Record, json_rows, short, unfinished_folder
from linrep.seeds import PILOT_SEEDS
from linrep.start import Tables
from linrep.sweep import Task, own_workers, run_tasks
from linrep.train import LossRoseError, TrainConfig

NAME = "ablations"
SEEDS = {3: 20, 4: 20, 5: 10}
CLOCK = RULE_CLOCK | {8: CLOCKS[3]}
"""The clock of the comparison; eight concepts are trained to this one."""

LAST = CLOCKS[3]
LARGE, LARGE_SEEDS, LARGE_PILOTS = 8, 4, 3
"""Eight concepts, in single precision, with fewer seeds and pilots."""

MEASURES = ("U", "E", "UE", "between")
TOLD_APART = ("base", "edges 0", "not C1, 0.95", "not C1, 0.99", "C1 never known", "nothing known")
"""The arms whose record also has `ALSO`: the first concept is unlike the others there; and what they are held to."""

ALSO = ("U of C1", "U of others", "C1 and C2")
"""U of the first concept, mean U of the others, and the signed cosine between the directions of the first two."""


def record(size: Size) -> Record:
    """Every arm ("smoke": m = 3, three seeds to clock 1,000). Finished arms wait on disk until the record is made."""
    began = time.perf_counter()
    seeds, last = (SEEDS, LAST) if size == "paper" else ({3: 3}, CLOCKS[0])
    named = [{"m": m, "name": name, "seeds": count, "last": last} for m, count in seeds.items() for name in ARMS]
    if size == "paper":
        named.append({"m": LARGE, "name": "base", "seeds": LARGE_SEEDS, "last": LAST})
    tasks = [Task(f"{__name__}:arm", given) for given in named]
    workers = own_workers() if size == "paper" else 0
    found = run_tasks(tasks, folder=unfinished_folder(NAME), workers=workers, progress=True, label="arms")
    body = {
        "arms": [_named(given) | arm["how"] for given, arm in zip(named, found, strict=True)],
        "by_clock": [_named(given) | row for given, arm in zip(named, found, strict=True) for row in arm["by_clock"]],
        "per_seed": [_named(given) | row for given, arm in zip(named, found, strict=True) for row in arm["per_seed"]],
    }
    return Record(NAME, {"last": last}, (), "per_seed", body, round(time.perf_counter() - began, 3))


def arm(m: int, name: str, seeds: int, last: int) -> dict[str, Any]:
    """One arm: how it was run, means at each clock, and a row for each seed at the clock of the comparison."""
    step_size = step_of(m, name, last)
    rows = along(m, name, range(seeds), step_size=step_size, last=last)
    while True:
        half = along(m, name, range(seeds), step_size=step_size, last=last, finer=2)
        moved = step_effect(rows, half, [CLOCK[m]])
        if moved < STEP_EFFECT:
            break
        step_size, rows = step_size / 2, half
    at = rows[rows["clock"] == CLOCK[m]]
    how = {
        "step_size": step_size,
        "half step moves": short(moved),
        "runs": seeds,
        "monotone": int(at["monotone"].sum()),
        "fitted": int((at["kl"] <= FITTED_KL).sum()),
    }
    means = rows.drop(columns=["seed", "monotone"]).groupby("clock").mean().reset_index()
    return {"how": how, "by_clock": plain(means[["clock", "kl", "U", "E"]]), "per_seed": per_seed(rows, name)}


def per_seed(rows: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    """One row for each seed at the clock of the comparison, six significant digits."""
    m = int(rows["m"].iloc[0])
    kept = ["seed", "kl", *MEASURES, *(ALSO if name in TOLD_APART else ())]
    return plain(rows[rows["clock"] == CLOCK[m]][kept])


def step_of(m: int, name: str, last: int) -> float:
    """The step size of an arm, found on pilots by the rule above.

    Raises:
        LinrepError: no step of the grid passes.
    """
    pilots = PILOT_SEEDS[:LARGE_PILOTS] if m == LARGE else PILOT_SEEDS
    for step_size in STEP_GRID:
        try:
            once, twice = (
                along(m, name, pilots, step_size=step_size, last=last, finer=finer, require_monotone=True)
                for finer in (1, 2)
            )
        except (LossRoseError, DivergenceError):
            continue
        if step_effect(once, twice, [CLOCK[m], last]) < STEP_EFFECT:
            return step_size
    raise LinrepError(f"no step size from {STEP_GRID[0]:g} to {STEP_GRID[-1]:.2g} passes on {name}, m = {m}")


def step_effect(once: pd.DataFrame, twice: pd.DataFrame, clocks: Sequence[int]) -> float:
    """The largest change of U, E or UE of a seed, fitted and monotone at both steps, at some clocks."""
    counted = once["clock"].isin(clocks) & (once["kl"] <= FITTED_KL) & once["monotone"] & twice["monotone"]
    change = (once[list(MEASURES[:3])] - twice[list(MEASURES[:3])])[counted].abs().to_numpy()
    return float(np.nanmax(change, initial=0.0))


def along(
    m: int,
    name: str,
    seeds: range | tuple[int, ...],
    *,
    step_size: float,
    last: int,
    finer: int = 1,
    require_monotone: bool = False,
) -> pd.DataFrame:
    """Train an arm and measure it at each of `CLOCKS` up to the last.

    Args:
        finer: by what the step is divided; the same moments are looked at.
        require_monotone: end with LossRoseError when a loss is seen to rise.

    Returns:
        One row for each seed and clock: m, seed, clock, kl (nats), `MEASURES`, `ALSO`, and monotone, over the run.
        What is not defined, as E where no concept has contexts to compare, is missing.

    Raises:
        DivergenceError: training left the finite numbers.
    """
    batch = batch_of(name, m, tuple(seeds), dtype=torch.float32 if m == LARGE else torch.float64)
    marks = {steps_to(clock, step_size) * finer: clock for clock in CLOCKS if clock <= last}

    def look(_: int, tables: Tables) -> Columns:
        return measured(batch.population, tables)

    config = TrainConfig(step_size / finer, max(marks))
    _, rows = follow(batch, config, marks, look, require_monotone=require_monotone)
    return rows.assign(m=m)


def measured(population: Population, tables: Tables) -> dict[str, Float[np.ndarray, " replicates"]]:
    """`MEASURES` and `ALSO`; E and UE over the concepts that contexts can tell, NaN where there is none.

    Raises:
        InputError: a steering vector is zero.
    """
    of_tokens = concept_vectors(tables[1], population.token_pairs)
    of_contexts = concept_vectors(tables[0], population.context_pairs)
    known = [i for i, vectors in enumerate(of_contexts) if vectors.shape[-2] > 1]
    directions = geometry.directions(of_tokens)
    u = torch.stack([geometry.mean_cosine(vectors) for vectors in of_tokens])
    none = torch.full((1, len(u[0])), torch.nan, dtype=torch.float64)
    e = torch.stack([geometry.mean_cosine(of_contexts[i]) for i in known]) if known else none
    ue = torch.stack([geometry.mean_cross_cosine(of_tokens[i], of_contexts[i]) for i in known]) if known else none
    found = {
        "U": u.mean(dim=0),
        "E": e.mean(dim=0),
        "UE": ue.mean(dim=0),
        "between": geometry.mean_absolute_between(directions),
        "U of C1": u[0],
        "U of others": u[1:].mean(dim=0),
        "C1 and C2": geometry.gram(directions)[:, 0, 1],
    }
    return {name: value.numpy() for name, value in found.items()}


def plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON, without what is missing."""
    return [{key: value for key, value in row.items() if value == value} for row in json_rows(table)]


def _named(given: dict[str, Any]) -> dict[str, Any]:
    return {"m": given["m"], "arm": given["name"]}
