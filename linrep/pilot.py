"""The step size and the clock, by rules fixed before any comparison and found on pilot seeds only.

Clock: the first of 1,000·10^(j/2), j = 0, 1, 2, ..., at which the median KL divergence over the pilot seeds is below
0.01 nats. Step (gradient descent): the largest of a fixed grid at which the loss of every pilot falls
monotonically over that whole horizon. SGD and Adam take the paper's steps, 0.1 and 0.001.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linrep.errors import DivergenceError, LinrepError
from linrep.population import Population
from linrep.start import Tables
from linrep.train import LossRoseError, Optimizer, TrainConfig, train

FITTED_KL = 0.01
"""A replicate is fitted when its KL divergence (its loss minus the entropy floor) is at most this, in nats."""

CLOCKS = tuple(round(1000 * 10 ** (j / 2)) for j in range(5))
"""1,000, 3,162, 10,000, 31,623, 100,000."""

STEP_GRID = tuple(factor * 2.0**power for power in range(6, -11, -1) for factor in (1.5, 1.0))
"""96, 64, 48, 32, ..., 0.0015, 0.00098: what the largest monotone step is chosen from."""

PAPER_STEPS: dict[Optimizer, float] = {"sgd": 0.1, "adam": 0.001}


@dataclass(frozen=True, eq=False)
class Batch:
    """Replicates of one shape, ready to train: their worlds, their starts and their seeds."""

    population: Population
    start: Tables
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Pace:
    """A step size and a number of steps."""

    step_size: float
    steps: int


def find_pace(
    pilots: Sequence[Batch],
    optimizer: Optimizer,
    *,
    step_size: float | None = None,
    steps: int | None = None,
    clock: float | None = None,
    minibatch: int = 100,
    progress: bool = False,
) -> Pace:
    """What is left open of step size and steps, by the rules above; what is given is honoured.

    Args:
        clock: a horizon given as a clock, in place of the clock rule.

    Raises:
        LinrepError: no clock or no step of the grids does.
        DivergenceError: a step size that was given, or the paper's, diverges.
    """
    if step_size is not None and steps is not None:
        return Pace(step_size, steps)
    given = step_size if step_size is not None else PAPER_STEPS.get(optimizer)
    for candidate in STEP_GRID if given is None else (given,):
        try:
            for mark in _marks(candidate, optimizer, clock) if steps is None else [steps]:
                config = TrainConfig(candidate, mark, optimizer, minibatch)
                kl = _divergences(pilots, config, require_monotone=given is None, progress=progress)
                if steps is not None or clock is not None or np.median(kl) < FITTED_KL:
                    return Pace(candidate, mark)
        except (LossRoseError, DivergenceError) as error:
            if given is not None:
                raise
            last = error
            continue
        raise LinrepError(
            f"at clock {CLOCKS[-1]:,} the median KL divergence of the pilots is {np.median(kl):.3g}, not below "
            f"{FITTED_KL}: this setting does not fit; give steps to train it all the same"
        )
    raise LinrepError(
        f"no step size from {STEP_GRID[0]:g} to {STEP_GRID[-1]:.2g} is monotone; give a step size"
    ) from last


def _marks(step_size: float, optimizer: Optimizer, clock: float | None) -> list[int]:
    """The steps at which the clock given, or each of `CLOCKS`, strikes.

    Adam's step size is no measure of time: its clock counts steps.
    """
    unit = 1.0 if optimizer == "adam" else step_size
    return [math.ceil(struck / unit) for struck in ([clock] if clock is not None else CLOCKS)]


def _divergences(
    pilots: Sequence[Batch], config: TrainConfig, *, require_monotone: bool, progress: bool
) -> list[float]:
    """Train every pilot and return its KL divergence, nats."""
    found: list[float] = []
    for batch in pilots:
        trained = train(
            batch.population,
            batch.start,
            config,
            seeds=batch.seeds,
            require_monotone=require_monotone,
            warn=False,
            progress=progress,
        )
        found += (trained.loss.double().cpu().numpy() - batch.population.entropy).tolist()
    return found
