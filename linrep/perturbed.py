"""The exact loss with one thing added to it: weight decay, or gradient noise whose amount is known.

Both are losses that gradient descent can be asked to descend (`linrep.loss.Loss`), so that every other thing of a run,
worlds, starts, step and clock, stays as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from linrep.errors import InputError
from linrep.loss import Loss, PopulationLoss
from linrep.seeds import stream
from linrep.start import Tables


@dataclass(frozen=True, eq=False)
class Decayed:
    """A loss plus λ/2 (|F|² + |G|²), Frobenius norms: weight decay.

    Raises:
        InputError: a decay that is not a positive number.
    """

    loss: Loss
    decay: float

    def __post_init__(self) -> None:
        """Refuse numbers that are no decay."""
        if not (math.isfinite(self.decay) and self.decay > 0):
            raise InputError(f"decay is {self.decay}; it must be a positive number")

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The loss with its penalty, and the gradient of both."""
        value, gradient = self.loss.value_and_gradient(tables)
        penalty = sum(table.square().sum(dim=(-2, -1)) for table in tables)
        of_embedding, of_unembedding = (
            slope.add(table, alpha=self.decay) for slope, table in zip(gradient, tables, strict=True)
        )
        return value + self.decay / 2 * penalty, (of_embedding, of_unembedding)


class Noisy:
    """The exact loss with normal noise in its gradient, alike in all entries and directions.

    At each look the noise has, in total, the variance that the mean gradient over a minibatch of `batch` pairs has at
    the same tables. What it lacks is the minibatches' preference for some directions.

    Args:
        batch: pairs of the minibatch whose noise is matched in amount.
        seeds: one for each replicate; the noise of a replicate does not depend on the others.

    Raises:
        InputError: a batch below 1.
    """

    def __init__(self, loss: PopulationLoss, *, batch: int, seeds: Sequence[int]) -> None:
        if batch < 1:
            raise InputError(f"batch is {batch}; it must be 1 or more")
        self._loss, self._batch = loss, batch
        self._generators = [stream(seed, "sampling", part=1) for seed in seeds]

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The exact loss, and its gradient with noise."""
        value, gradient = self._loss.value_and_gradient(tables)
        entries = sum(table[0].numel() for table in tables)
        scale = (sampling_variance(self._loss, tables, gradient) / (self._batch * entries)).sqrt()[:, None, None]
        of_embedding, of_unembedding = (slope + scale * self._normal(slope) for slope in gradient)
        return value, (of_embedding, of_unembedding)

    def _normal(self, like: Float[Tensor, "replicates rows dim"]) -> Float[Tensor, "replicates rows dim"]:
        """Standard normal numbers, each replicate's from its own stream."""
        drawn = np.stack([generator.standard_normal(like.shape[1:]) for generator in self._generators])
        return torch.from_numpy(drawn).to(like)


def sampling_variance(loss: PopulationLoss, tables: Tables, gradient: Tables) -> Float[Tensor, " replicates"]:
    """The total variance of the gradient of one pair (d, c) drawn from p(d, c), over all entries of F and G.

    The gradient of one pair is Σ_c' p̂(c' given d) g(c') − g(c) in f(d), and (p̂(c' given d) − [c' = c]) f(d) in g(c').

    Args:
        gradient: that of the loss at the tables, its mean.
    """
    embedding, unembedding = tables
    predicted = (embedding @ unembedding.mT).softmax(dim=-1)
    mean = predicted @ unembedding
    of_rows = (
        mean.square().sum(dim=-1, keepdim=True)
        - 2 * mean @ unembedding.mT
        + unembedding.square().sum(dim=-1).unsqueeze(-2)
    )
    of_columns = predicted.square().sum(dim=-1, keepdim=True) - 2 * predicted + 1
    squares = of_rows + of_columns * embedding.square().sum(dim=-1, keepdim=True)
    second = (loss.pair * squares).sum(dim=(-2, -1))
    return (second - sum(slope.square().sum(dim=(-2, -1)) for slope in gradient)).clamp(min=0)
