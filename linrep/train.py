"""Training F and G, all replicates in one batch: gradient descent on the exact loss, SGD and Adam on minibatches.

The clock of gradient descent is step size times steps. A replicate's result does not depend on the others in its batch.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm import tqdm

from linrep.engine.choice import Engine, compiled
from linrep.errors import DivergenceError, InputError, StepSizeWarning
from linrep.loss import Loss, PopulationLoss
from linrep.minibatches import CHUNK, Sampled
from linrep.population import Population
from linrep.start import Tables
from linrep.steppers import Stepper, TorchDescent, TorchSampled

Optimizer = Literal["gd", "sgd", "adam"]
Observer = Callable[[int, Tables, Float[Tensor, " replicates"]], bool | None]

RISE = {torch.float64: 1e-9, torch.float32: 1e-6}
"""The relative rise of the loss in one step, above which gradient descent does not count as monotone."""

BLOCKS: dict[Optimizer, int] = {"gd": 50, "sgd": CHUNK, "adam": CHUNK}
"""Steps between two looks at the losses."""


class LossRoseError(ArithmeticError):
    """The loss rose where a monotone fall was demanded."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train: gd takes the exact gradient; sgd and adam draw `batch` pairs a step (paper: 100).

    With biases, a vector that all rows of F have in common is trained beside F, as in a linear layer with a bias.
    """

    step_size: float
    steps: int
    optimizer: Optimizer = "gd"
    batch: int = 100
    biases: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that describe no training."""
        check_training(self.optimizer, self.step_size, self.steps, self.batch)


@dataclass(frozen=True, eq=False)
class Trained:
    """The tables after training.

    Attributes:
        embedding: F, one row for each context.
        unembedding: G, one row for each token.
        loss: the exact population loss at the end, in nats.
        monotone: whether the loss never rose; None for optimisers that do not see the exact loss.
        steps: steps taken, fewer than asked for when an observer stopped the run.
    """

    embedding: Float[Tensor, "replicates contexts dim"]
    unembedding: Float[Tensor, "replicates tokens dim"]
    loss: Float[Tensor, " replicates"]
    monotone: Bool[Tensor, " replicates"] | None
    steps: int


def train(
    population: Population,
    start: Tables,
    config: TrainConfig,
    *,
    seeds: Sequence[int],
    loss: Loss | None = None,
    engine: Engine = "auto",
    record_at: Sequence[int] = (),
    observe: Observer | None = None,
    require_monotone: bool = False,
    warn: bool = True,
    progress: bool = False,
) -> Trained:
    """Train every replicate from its start; `start` itself is left as it is.

    Args:
        seeds: one for each replicate: names it in errors, and seeds the minibatches.
        loss: what gd descends and `Trained.loss` reports; None for the exact cross-entropy of the population.
        engine: how steps are computed; the two ways agree to rounding, and draw the same minibatches.
        record_at: steps after which `observe(step, tables, loss)` is called with the exact loss; 0 is the start. An
            observer that returns True ends the run.
        require_monotone: end with LossRoseError as soon as the loss is seen to rise (gd only).
        warn: warn of replicates whose loss rose; without it they are only marked.
        progress: show a bar with an estimate on a terminal.

    Raises:
        InputError: a loss other than the cross-entropy with sgd or adam, whose minibatches are drawn for that one; an
            engine that cannot do what is asked.
        DivergenceError: a loss is no longer finite; names the replicate, the step and a smaller step size.
        TooLargeError: the tables would not fit in memory.

    Warns:
        StepSizeWarning: gradient descent whose loss rose in some replicate.
    """
    stepper = _stepper(population, start, config, seeds=seeds, loss=loss, engine=engine)
    watch = _Watch(config, seeds, start[0].dtype)
    marks, most = set(record_at), BLOCKS[config.optimizer]
    taken, stopped = 0, False
    with tqdm(total=config.steps, desc=f"{config.optimizer}, {len(seeds)} replicates", unit="step",
              disable=None if progress else True, leave=False) as bar:  # fmt: skip
        while True:
            if taken in marks and observe is not None:
                stopped = bool(observe(taken, stepper.tables(), watch.finite(stepper.value(), taken)))
            if stopped or taken == config.steps:
                break
            following = min([mark for mark in marks if mark > taken], default=config.steps)
            end = min(taken + most, config.steps, following)
            watch.block(stepper.advance(end - taken), taken)
            if require_monotone and watch.rose.any():
                raise LossRoseError
            bar.update(end - taken)
            taken = end
    final = watch.finite(stepper.value(), taken)
    return Trained(*stepper.tables(), final, watch.verdict(final, warn=warn), taken)


def check_training(optimizer: str, step_size: float | None, steps: int | None, batch: int) -> None:
    """Refuse values that describe no training; None is a value yet to be found.

    Raises:
        InputError: names the value and what is allowed.
    """
    if optimizer not in get_args(Optimizer):
        raise InputError(f"optimizer is {optimizer!r}; allowed are {', '.join(get_args(Optimizer))}")
    if step_size is not None and not (math.isfinite(step_size) and step_size > 0):
        raise InputError(f"step-size is {step_size}; it must be a positive number")
    for name, count in (("steps", steps), ("batch", batch)):
        if count is not None and count < 1:
            raise InputError(f"{name} is {count}; it must be 1 or more")


class _Watch:
    """Looks at the losses of each step: finite, and under gradient descent never rising."""

    def __init__(self, config: TrainConfig, seeds: Sequence[int], dtype: torch.dtype) -> None:
        self._config, self._seeds, self._tolerance = config, seeds, RISE[dtype]
        self._last: Tensor | None = None
        self.rose = torch.zeros(len(seeds), dtype=torch.bool)

    def finite(self, loss: Float[Tensor, " replicates"], step: int) -> Float[Tensor, " replicates"]:
        """The loss itself, or DivergenceError."""
        bad = (~torch.isfinite(loss)).nonzero()
        if len(bad):
            replicate, size = int(bad[0]), self._config.step_size
            raise DivergenceError(
                f"replicate {replicate} (seed {self._seeds[replicate]}) diverged at step {step} "
                f"with step size {size:g}; try step size {size / 2:g}"
            )
        return loss

    def block(self, losses: Float[Tensor, "steps replicates"], first: int) -> None:
        """Take in the losses before each of some consecutive steps."""
        if not torch.isfinite(losses).all():
            for offset, loss in enumerate(losses):
                self.finite(loss, first + offset)
        if self._config.optimizer == "gd":
            series = losses if self._last is None else torch.cat([self._last[None], losses])
            self.rose |= (series[1:] > series[:-1] * (1 + self._tolerance)).any(dim=0).cpu()
            self._last = losses[-1]

    def verdict(self, final: Float[Tensor, " replicates"], *, warn: bool) -> Bool[Tensor, " replicates"] | None:
        """Which replicates fell monotonically to the end, and a warning of those that did not."""
        if self._config.optimizer != "gd":
            return None
        if self._last is not None:
            self.rose |= (final > self._last * (1 + self._tolerance)).cpu()
        if warn and self.rose.any():
            seeds = [seed for seed, rose in zip(self._seeds, self.rose.tolist(), strict=True) if rose]
            warnings.warn(
                f"the loss rose in {len(seeds)} of {len(self._seeds)} replicates (seeds {_some(seeds)}): step size "
                f"{self._config.step_size:g} is above their monotone range, so they do not count as gradient descent",
                StepSizeWarning,
                stacklevel=3,
            )
        return ~self.rose


def _some(seeds: Sequence[int], most: int = 8) -> str:
    """Up to `most` seeds, for a message."""
    return ", ".join(map(str, seeds[:most])) + (", ..." if len(seeds) > most else "")


def _stepper(
    population: Population,
    start: Tables,
    config: TrainConfig,
    *,
    seeds: Sequence[int],
    loss: Loss | None,
    engine: Engine,
) -> Stepper:
    """What takes the steps."""
    if loss is not None and config.optimizer != "gd":
        raise InputError(f"a loss of one's own is descended by gd only; the optimizer is {config.optimizer}")
    device, step_size, biases = str(start[0].device), config.step_size, config.biases
    sampled = Sampled(seeds, config.batch, step_size, config.optimizer == "adam", biases)
    if compiled(engine, device=device, own_loss=loss is not None):
        from linrep.engine.steppers import FusedDescent, FusedSampled  # numba takes a second to import

        if config.optimizer == "gd":
            return FusedDescent(population, start, step_size=step_size, biases=biases)
        return FusedSampled(population, start, sampled)
    exact = loss or PopulationLoss.of(population, dtype=start[0].dtype, device=device)
    if config.optimizer == "gd":
        return TorchDescent(start, exact, step_size=step_size, biases=biases)
    return TorchSampled(population, start, exact, sampled)
