"""The role of the loss: eight losses, descended on the same worlds from the same starts, followed along the clock.

`loss_record` keeps what they give.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from linrep.errors import DivergenceError, InputError, LinrepError
from linrep.linearity import measure
from linrep.loss import Loss, PopulationLoss
from linrep.pilot import CLOCKS, STEP_EFFECT, STEP_GRID, Batch, Pace, halved
from linrep.population import Population
from linrep.seeds import PILOT_SEEDS
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.start import Tables
from linrep.theory.other_losses import AgreeingLoss, ProbabilityLoss, ProductLoss, label_smoothing, zeros_only
from linrep.train import LossRoseError, TrainConfig, train

CONCEPTS = 3

LOSSES: dict[str, Callable[[Population], Loss]] = {
    "cross-entropy": lambda population: PopulationLoss.of(population, dtype=torch.float64, device="cpu"),
    "smoothing 0.01": lambda population: label_smoothing(population, epsilon=0.01),
    "smoothing 0.1": lambda population: label_smoothing(population, epsilon=0.1),
    "smoothing 0.3": lambda population: label_smoothing(population, epsilon=0.3),
    "probabilities": ProbabilityLoss.of,
    "products": ProductLoss.of,
    "no zeros": AgreeingLoss.of,
    "zeros only": zeros_only,
}
"""The losses by name; see `linrep.theory.other_losses`."""

NUMBERS = ("kl", "leak", "spread", "norm", "U", "E", "UE", "between")
COSINES = ("U", "E", "UE")


def marks_to(horizon: int) -> list[int]:
    """Clocks even in the logarithm, four to a factor of ten, from 10 to the horizon: `CLOCKS` are among them."""
    return [mark for quarter in range(4, 19) if (mark := round(10 ** (quarter / 4))) <= horizon]


def batch_of(dim: int, seeds: Sequence[int]) -> Batch:
    """The book's standard worlds of three concepts, and linear starts in k dimensions."""
    (batch,) = make_batches(Setting(concepts=CONCEPTS, dim=dim), seeds)
    return batch


def follow(
    name: str, dim: int, *, seeds: Sequence[int], pace: Pace, clocks: Sequence[int], require_monotone: bool = False
) -> pd.DataFrame:
    """Descend one loss and look at the tables at some clocks.

    Returns:
        One row for each seed and clock: loss (its name), k, clock, seed, and `NUMBERS` as `look` gives them; monotone,
        whether the loss never rose over the whole run.

    Raises:
        InputError: a loss that there is not. LossRoseError, DivergenceError: as `train`.
    """
    if name not in LOSSES:
        raise InputError(f"there is no loss {name!r}; there are {', '.join(LOSSES)}")
    batch = batch_of(dim, seeds)
    entropy = LOSSES["cross-entropy"](batch.population)
    clock_at = {math.ceil(clock / pace.step_size): clock for clock in clocks}
    rows: list[pd.DataFrame] = []

    def observe(step: int, tables: Tables, loss: Float[Tensor, " replicates"]) -> None:
        found = look(batch.population, entropy, tables)
        rows.append(pd.DataFrame({"loss": name, "k": dim, "clock": clock_at[step], "seed": list(seeds)} | found))

    trained = train(
        batch.population,
        batch.start,
        TrainConfig(pace.step_size, pace.steps),
        seeds=seeds,
        loss=LOSSES[name](batch.population),
        record_at=list(clock_at),
        observe=observe,
        require_monotone=require_monotone,
        warn=False,
    )
    assert trained.monotone is not None  # gradient descent always says
    return pd.concat(rows, ignore_index=True).assign(monotone=np.tile(trained.monotone.numpy(), len(rows)))


def look(population: Population, entropy: Loss, tables: Tables) -> dict[str, Float[np.ndarray, " replicates"]]:
    """What the softmax of the tables says, and how linear they are.

    Args:
        entropy: the cross-entropy of the population.

    Returns:
        kl: KL divergence of p from the softmax, nats. leak: the probability that it leaves on tokens that contradict
        the context, averaged with p(d). spread: the largest range of the logits of a context. norm: |F|² + |G|². U, E,
        UE, between: as everywhere.
    """
    logits = tables[0] @ tables[1].mT
    off = torch.softmax(logits, dim=-1) * torch.from_numpy(~population.consistent)
    found = measure(population, tables).per_replicate()
    return {
        "kl": entropy.value_and_gradient(tables)[0].numpy() - population.entropy,
        "leak": (population.weights * off.sum(dim=-1).numpy()).sum(axis=1),
        "spread": (logits.amax(dim=-1) - logits.amin(dim=-1)).amax(dim=-1).numpy(),
        "norm": sum(table.square().sum(dim=(-2, -1)).numpy() for table in tables),
        "U": found["unembedding"],
        "E": found["embedding"],
        "UE": found["matched"],
        "between": found["between"],
    }


def find_pace(name: str, dim: int, *, clock: int) -> Pace:
    """The largest step of the grid at which the loss of every pilot falls monotonically to the clock, and at which
    halving it moves U, E or UE of no pilot, fitted or not, by 0.005 or more at `CLOCKS` up to it.

    Raises:
        LinrepError: no step of the grid does.
    """
    clocks = [mark for mark in CLOCKS if mark <= clock] or [clock]
    for step_size in STEP_GRID:
        pace = Pace(step_size, math.ceil(clock / step_size))
        try:
            once, twice = (
                follow(name, dim, seeds=PILOT_SEEDS, pace=each, clocks=clocks, require_monotone=True)
                for each in (pace, halved(pace))
            )
        except (LossRoseError, DivergenceError):
            continue
        if step_effect(once, twice) < STEP_EFFECT:
            return pace
    raise LinrepError(f"no step size from {STEP_GRID[0]:g} to {STEP_GRID[-1]:.2g} passes for {name}, k = {dim}")


def step_effect(once: pd.DataFrame, twice: pd.DataFrame) -> float:
    """The largest change of U, E or UE of a seed at a clock when the step is halved; seeds monotone at both steps."""
    change = (once[list(COSINES)] - twice[list(COSINES)])[once["monotone"] & twice["monotone"]].abs()
    return float(change.to_numpy().max())
