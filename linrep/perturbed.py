"""The exact loss with one thing changed: weight decay, gradient noise whose amount is known, or Adam's scaling.

All are losses that gradient descent can be asked to descend (`linrep.loss.Loss`), so that every other thing of a run,
worlds, starts, step and clock, stays as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

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


class AdamScaled:
    """The exact loss with the step of Adam (betas .9 and .999, epsilon 1e-8) in place of its gradient.

    Descending it at step η is Adam at rate η without the noise of minibatches. It keeps running means: one object
    serves one run, which has to ask for each step once.
    """

    _FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._means: list[tuple[Tensor, Tensor]] = []
        self._steps = 0

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The exact loss, and Adam's step over its rate."""
        value, gradient = self._loss.value_and_gradient(tables)
        self._steps += 1
        self._means = self._means or [(torch.zeros_like(slope), torch.zeros_like(slope)) for slope in gradient]
        of_embedding, of_unembedding = map(self._scaled, self._means, gradient)
        return value, (of_embedding, of_unembedding)

    def _scaled(self, means: tuple[Tensor, Tensor], slope: Tensor) -> Tensor:
        """The mean of gradients over the root of the mean of their squares, both corrected for their zero start."""
        first, second = means
        first.lerp_(slope, 1 - self._FIRST)
        second.lerp_(slope.square(), 1 - self._SECOND)
        root = (second / (1 - self._SECOND**self._steps)).sqrt()
        return first / (1 - self._FIRST**self._steps) / (root + self._EPSILON)


class Noisy:
    """The exact loss with normal noise in its gradient.

    Even noise is alike in all entries and directions, and has in total the variance that the mean gradient over a
    minibatch of `batch` pairs has at the same tables. Noise of the shape "covariance" has the minibatch's covariance.

    Args:
        batch: pairs of the minibatch whose noise is matched.
        seeds: one for each replicate; the noise of a replicate does not depend on the others.
        only: leave the noise of the other table out.

    Raises:
        InputError: a batch below 1.
    """

    def __init__(
        self,
        loss: PopulationLoss,
        *,
        batch: int,
        seeds: Sequence[int],
        shape: Literal["even", "covariance"] = "even",
        only: Literal["F", "G"] | None = None,
    ) -> None:
        if batch < 1:
            raise InputError(f"batch is {batch}; it must be 1 or more")
        self._loss, self._batch, self._shape, self._only = loss, batch, shape, only
        self._generators = [stream(seed, "sampling", part=1) for seed in seeds]

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The exact loss, and its gradient with noise."""
        value, gradient = self._loss.value_and_gradient(tables)
        draw = self._even if self._shape == "even" else self._like_minibatches
        of_embedding, of_unembedding = draw(tables, gradient)
        found = (
            gradient[0] if self._only == "G" else gradient[0] + of_embedding,
            gradient[1] if self._only == "F" else gradient[1] + of_unembedding,
        )
        return value, found

    def _even(self, tables: Tables, gradient: Tables) -> Tables:
        """The same standard deviation in every entry of F and G."""
        entries = sum(table[0].numel() for table in tables)
        scale = (sampling_variance(self._loss, tables, gradient) / (self._batch * entries)).sqrt()[:, None, None]
        return scale * self._normal(gradient[0]), scale * self._normal(gradient[1])

    def _like_minibatches(self, tables: Tables, gradient: Tables) -> Tables:
        """Σ sqrt(p(d, c)) ξ (gradient of the pair less its mean) over all pairs, ξ standard normal, by sqrt(batch)."""
        embedding, unembedding = tables
        weights = self._loss.pair.sqrt() * self._normal(self._loss.pair)
        predicted = (embedding @ unembedding.mT).softmax(dim=-1)
        error = weights.sum(dim=-1, keepdim=True) * predicted - weights
        whole = weights.sum(dim=(-2, -1), keepdim=True)
        scale = self._batch**-0.5
        of_embedding = scale * (error @ unembedding - whole * gradient[0])
        return of_embedding, scale * (error.mT @ embedding - whole * gradient[1])

    def _normal(self, like: Float[Tensor, "replicates rows columns"]) -> Float[Tensor, "replicates rows columns"]:
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
