"""The step size and the clock, by rules fixed before any comparison and found on pilot seeds only.

Clock: the first of 1,000·10^(j/2), j = 0, 1, 2, ..., at which the median KL divergence over the pilot seeds is below
0.01 nats. Step (gradient descent): the largest of a fixed grid at which the loss of every pilot falls monotonically
over that whole horizon, and at which halving it, at the same clock, moves no cosine of a fitted pilot by 0.005 or more.
SGD and Adam take the paper's steps, 0.1 and 0.001.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from linrep.engine.choice import Engine
from linrep.errors import DivergenceError, LinrepError
from linrep.linearity import measure
from linrep.population import Population
from linrep.start import Tables
from linrep.train import LossRoseError, Optimizer, TrainConfig, train

FITTED_KL = 0.01
"""A replicate is fitted when its KL divergence (its loss minus the entropy floor) is at most this, in nats."""

STEP_EFFECT = 0.005
"""Halving a step that counts must move U, E and UE by less than this."""

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


def halved(pace: Pace) -> Pace:
    """Half the step at the same clock: the check that a result does not depend on the step."""
    return Pace(pace.step_size / 2, pace.steps * 2)


def steps_to(clock: float, step_size: float) -> int:
    """The fewest steps that reach a clock: clock / step_size, rounded up, but for errors of rounding."""
    return math.ceil(round(clock / step_size, 6))


def clock_of(pace: Pace, optimizer: Optimizer) -> float:
    """The clock that a pace ends at: step size times steps, or for Adam, whose step size is no time, its steps."""
    return pace.steps * _unit(pace.step_size, optimizer)


def find_pace(
    pilots: Sequence[Batch],
    optimizer: Optimizer,
    *,
    step_size: float | None = None,
    steps: int | None = None,
    clock: float | None = None,
    minibatch: int = 100,
    biases: bool = False,
    engine: Engine = "auto",
    progress: bool = False,
) -> Pace:
    """What is left open of step size and steps, by the rules above; what is given is honoured.

    Args:
        clock: a horizon given as a clock, in place of the clock rule.

    Raises:
        LinrepError: no clock or no step of the grids does.
        DivergenceError: a step size that was given, or the paper's, diverges.
    """
    given = step_size if step_size is not None else PAPER_STEPS.get(optimizer)
    if given is not None and steps is not None:
        return Pace(given, steps)
    for candidate in STEP_GRID if given is None else (given,):
        marks = [steps] if steps is not None else _marks(candidate, optimizer, clock)
        search = _Search(pilots, optimizer, minibatch, biases, engine, given is None, progress)
        try:
            pace, outcome = search.first_fitted(candidate, marks, fixed=steps is not None or clock is not None)
            if given is not None or search.step_effect(pace, outcome) < STEP_EFFECT:
                return pace
        except (LossRoseError, DivergenceError):
            if given is not None:
                raise
    raise LinrepError(f"no step size from {STEP_GRID[0]:g} to {STEP_GRID[-1]:.2g} passes; give a step size")


def _marks(step_size: float, optimizer: Optimizer, clock: float | None) -> list[int]:
    """The steps at which the clock given, or each of `CLOCKS`, strikes."""
    unit = _unit(step_size, optimizer)
    return [math.ceil(struck / unit) for struck in ([clock] if clock is not None else CLOCKS)]


def _unit(step_size: float, optimizer: Optimizer) -> float:
    """The clock of one step."""
    return 1.0 if optimizer == "adam" else step_size


_Outcome = tuple[Float[np.ndarray, " pilots"], Float[np.ndarray, "pilots 3"]]


@dataclass(frozen=True, eq=False)
class _Search:
    """The pilots and how they are trained."""

    pilots: Sequence[Batch]
    optimizer: Optimizer
    minibatch: int
    biases: bool
    engine: Engine
    require_monotone: bool
    progress: bool

    def first_fitted(self, step_size: float, marks: Sequence[int], *, fixed: bool) -> tuple[Pace, _Outcome]:
        """The first of the marks at which the median pilot is fitted; with `fixed`, the first whatever its fit."""
        for mark in marks:
            pace = Pace(step_size, mark)
            kl, cosines = self.outcome(pace)
            if fixed or np.median(kl) < FITTED_KL:
                return pace, (kl, cosines)
        raise LinrepError(
            f"at clock {CLOCKS[-1]:,} the median KL divergence of the pilots is {np.median(kl):.3g}, not below "
            f"{FITTED_KL}: this setting does not fit; give steps to train it all the same"
        )

    def step_effect(self, pace: Pace, outcome: _Outcome) -> float:
        """The largest change of U, E or UE of a fitted pilot when the step is halved; 0 where none is fitted."""
        (kl, once), (_, twice) = outcome, self.outcome(halved(pace))
        return float(np.abs(once - twice)[kl <= FITTED_KL].max(initial=0.0))

    def outcome(self, pace: Pace) -> _Outcome:
        """KL divergence, nats, and U, E, UE of every pilot trained at a pace."""
        config = TrainConfig(pace.step_size, pace.steps, self.optimizer, self.minibatch, self.biases)
        kl, cosines = [], []
        for batch in self.pilots:
            trained = train(
                batch.population,
                batch.start,
                config,
                seeds=batch.seeds,
                engine=self.engine,
                require_monotone=self.require_monotone,
                warn=False,
                progress=self.progress,
            )
            kl.append(trained.loss.double().cpu().numpy() - batch.population.entropy)
            found = measure(batch.population, (trained.embedding, trained.unembedding)).per_replicate()
            cosines.append(np.stack([found[name] for name in ("unembedding", "embedding", "matched")], axis=1))
        return np.concatenate(kl), np.concatenate(cosines)
