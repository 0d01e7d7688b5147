"""One setting, R seeds: from worlds to U, E and UE. What `linrep simulate` runs and the chapters call."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from linrep.linearity import Linearity, measure
from linrep.pilot import FITTED_KL, Batch, Pace, clock_of, find_pace
from linrep.population import Population, complete_population, incomplete_population, require_complete
from linrep.results import Record, finite_or_none
from linrep.seeds import PILOT_SEEDS, check_seeds
from linrep.setting import Setting
from linrep.start import initial_tables
from linrep.stats import estimate
from linrep.steering import require_pairs
from linrep.train import Trained, train

COSINES = {"unembedding": "U", "embedding": "E", "matched": "UE"}

MEASURES = ("kl", "unembedding", "embedding", "matched", "between", "imbalance")


@dataclass(frozen=True, eq=False)
class Run:
    """One trained batch: its world, its tables, and how linear they are."""

    batch: Batch
    trained: Trained
    linearity: Linearity


@dataclass(frozen=True, eq=False)
class Simulation:
    """A setting simulated over seeds.

    Attributes:
        setting: as asked. pace: the step size and the steps that were taken.
        seeds: the seeds reported. runs: one for each batch, in the order of the seeds.
        seconds: wall time, with the pilots that found the pace.
    """

    setting: Setting
    pace: Pace
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]
    seconds: float

    @property
    def clock(self) -> float:
        """Step size times steps; for Adam, whose step size is no time, steps."""
        return clock_of(self.pace, self.setting.optimizer)

    def per_seed(self) -> pd.DataFrame:
        """One row per seed: seed, kl (nats), fitted, monotone (None unless gd), and the measures of `Linearity`."""
        return pd.concat([_rows(run) for run in self.runs], ignore_index=True)

    def to_record(self) -> Record:
        """The record that `linrep simulate --json` writes."""
        table = self.per_seed()
        fitted = table[table["fitted"]]
        body = {
            "per_seed": [{name: _plain(value) for name, value in row.items()} for row in table.to_dict("records")],
            **summary(table),
            "fitted": {"number": len(fitted), **summary(fitted)},
            "step_size": self.pace.step_size,
            "steps": self.pace.steps,
            "clock": self.clock,
        }
        return Record("simulate", self.setting.to_dict(), self.seeds, "per_seed", body, round(self.seconds, 3))


def simulate(setting: Setting, *, seeds: range, pace: Pace | None = None, progress: bool = False) -> Simulation:
    """Train every seed and measure it. What the setting leaves open of step and steps is found on pilot seeds first.

    Args:
        pace: a step size and steps already found, in place of the setting's own.

    Warns:
        StepSizeWarning: the loss rose at a step size that the setting gave. At one that the rules found on the pilots,
            such a seed is only marked: its `monotone` is false.

    Raises:
        InputError: a value that is not allowed. TooLargeError: tables that do not fit in memory.
        DivergenceError: training left the finite numbers. LinrepError: the pilots find no pace.
    """
    began = time.perf_counter()
    given = setting.step_size is not None
    check_seeds(seeds)
    batches = make_batches(setting, seeds)
    pace = pace or setting_pace(setting, progress=progress)
    config = setting.training(pace.step_size, pace.steps)
    runs = []
    for batch in batches:
        trained = train(
            batch.population,
            batch.start,
            config,
            seeds=batch.seeds,
            engine=setting.engine,
            warn=given,
            progress=progress,
        )
        runs.append(Run(batch, trained, measure(batch.population, (trained.embedding, trained.unembedding))))
    return Simulation(setting, pace, tuple(seeds), tuple(runs), time.perf_counter() - began)


def setting_pace(setting: Setting, *, clock: float | None = None, progress: bool = False) -> Pace:
    """The step size and steps of a setting: its own, or found on the pilot seeds by the rules of `linrep.pilot`.

    Args:
        clock: the horizon, for an experiment that studies time; None for the clock rule.
    """
    if setting.step_size is not None and setting.steps is not None:
        return Pace(setting.step_size, setting.steps)
    return find_pace(
        make_batches(setting, PILOT_SEEDS),
        setting.optimizer,
        step_size=setting.step_size,
        steps=setting.steps,
        clock=clock,
        minibatch=setting.batch,
        biases=setting.biases,
        engine=setting.engine,
        progress=progress,
    )


def step_effect(simulation: Simulation, half_step: Simulation) -> float:
    """The largest change of U, E or UE of a seed, fitted and monotone at both steps, when the step is halved."""
    once, twice = simulation.per_seed(), half_step.per_seed()
    counted = once["fitted"] & once["monotone"].eq(True) & twice["monotone"].eq(True)
    change = (once[list(COSINES)] - twice[list(COSINES)])[counted].abs()
    return float(change.to_numpy().max(initial=0.0))


def make_batches(setting: Setting, seeds: Sequence[int]) -> list[Batch]:
    """Worlds and starts of the seeds, grouped by shape: one batch if the sets are complete, else one for each seed."""
    if setting.complete:
        require_complete(len(seeds), setting.concepts)
        worlds = [setting.world(seed) for seed in seeds]
        return [_batch(setting, complete_population(worlds, setting.mask_law), tuple(seeds))]
    subset = partial(incomplete_population, masks=setting.masks, tokens=setting.tokens, mask_law=setting.mask_law)
    return [_batch(setting, subset(setting.world(seed), seed=seed), (seed,)) for seed in seeds]


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Mean and standard error over the rows of a per-seed table; None where there are too few rows."""
    if table.empty:
        return {"mean": None, "stderr": None}
    found = {name: estimate(table[name].to_numpy(float)) for name in MEASURES}
    return {
        "mean": {name: value.mean for name, value in found.items()},
        "stderr": {name: finite_or_none(value.stderr) for name, value in found.items()},
    }


def arms_table(arms: Mapping[str, pd.DataFrame], columns: Mapping[str, str]) -> pd.DataFrame:
    """Mean ± standard error over seeds of some columns, one row for each arm of a comparison; how many are fitted.

    Args:
        arms: per-seed tables by name. One without the column `fitted`, such as a control, has no count of it ("-").
        columns: column of the per-seed tables to its heading.
    """
    lines, counted = [], any("fitted" in table for table in arms.values())
    for arm, table in arms.items():
        means = {heading: estimate(table[name].to_numpy(float)) for name, heading in columns.items()}
        cells = {heading: f"{value.mean:.3f} ± {value.stderr:.3f}" for heading, value in means.items()}
        fitted = {"fitted": str(table["fitted"].sum()) if "fitted" in table else "-"} if counted else {}
        lines.append({"arm": arm, "seeds": len(table), **fitted, **cells})
    return pd.DataFrame(lines).set_index("arm")


def _batch(setting: Setting, population: Population, seeds: tuple[int, ...]) -> Batch:
    """A population with its starts; refuses sets on which a cosine would be undefined."""
    require_pairs(population.token_pairs, of="tokens kept")
    require_pairs(population.context_pairs, of="contexts kept")
    start = initial_tables(
        len(population.contexts),
        len(population.tokens),
        setting.width,
        seeds=seeds,
        init_scale=setting.init_scale,
        biases=setting.biases,
        dtype=getattr(torch, setting.dtype),
        device=setting.device,
    )
    return Batch(population, start, seeds)


def _rows(run: Run) -> pd.DataFrame:
    """The per-seed rows of one batch."""
    kl = run.trained.loss.double().cpu().numpy() - run.batch.population.entropy
    monotone = [None] * len(kl) if run.trained.monotone is None else run.trained.monotone.tolist()
    flags = {"seed": list(run.batch.seeds), "kl": kl, "fitted": kl <= FITTED_KL}
    return pd.DataFrame(flags | {"monotone": pd.Series(monotone, dtype=object)} | run.linearity.per_replicate())


def _plain(value: Any) -> Any:
    """A numpy scalar as a Python one."""
    return value.item() if isinstance(value, np.generic) else value
