"""Gradient descent on the hidden binary classification, and the bounds that its convergence is proved with.

See `linrep.theory.margin` for points, classifiers and the loss ℓ(w) = Σ_j exp(−w·x_j).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from jaxtyping import Bool, Float

from linrep.errors import DivergenceError, InputError
from linrep.theory.margin import log_loss, place, require_marks
from linrep.train import RISE

LARGEST_LOSS = 1e300
"""A loss above this has left the numbers that a step can be taken with."""

TOLERANCE = RISE[torch.float64]
"""The relative rise of the loss in one step that still counts as none: the book's rule for float64."""


def step_bound(
    points: Float[np.ndarray, "*batch points dim"], start: Float[np.ndarray, "*batch classifiers dim"]
) -> Float[np.ndarray, "*batch"]:
    """1/(2R²ℓ), R the longest point, ℓ the largest loss of a classifier at the start: our hypothesis on the step.

    Raises:
        InputError: all points of a problem are zero.
    """
    radius = np.linalg.norm(points, axis=-1).max(axis=-1)
    if not (radius > 0).all():
        raise InputError(f"all points of problem {place(~(radius > 0))} are zero: there is nothing to descend")
    return np.asarray(0.5 * np.exp(-log_loss(start, points).max(axis=-1)) / radius**2)


def cosine_gap_bound(
    points: Float[np.ndarray, "*batch points dim"],
    start: Float[np.ndarray, "*batch classifiers dim"],
    length: Float[np.ndarray, "*batch classifiers"],
    margin: Float[np.ndarray, "*batch"],
) -> Float[np.ndarray, "*batch classifiers"]:
    """The theorem's bound C/(γ|w|) on 1 − cos(w, ŵ), C = γ|w_0| + 1 + ln ℓ(w_0), at classifiers of these lengths."""
    wide = margin[..., None]
    constant = wide * np.linalg.norm(start, axis=-1) + 1 + log_loss(start, points)
    return np.asarray(constant / (wide * length))


@dataclass(frozen=True, eq=False)
class Descent:
    """Classifiers along a run of gradient descent on ℓ.

    Attributes:
        marks: the steps recorded; 0 is the start.
        classifiers: w at each mark.
        monotone: whether the loss of a classifier never rose over the whole run.
        finite: whether it never passed `LARGEST_LOSS`; one that did stays where it was.
    """

    marks: tuple[int, ...]
    classifiers: Float[np.ndarray, "marks *batch classifiers dim"]
    monotone: Bool[np.ndarray, "*batch classifiers"]
    finite: Bool[np.ndarray, "*batch classifiers"]


def descent(
    points: Float[np.ndarray, "*batch points dim"],
    start: Float[np.ndarray, "*batch classifiers dim"],
    *,
    step: float | Float[np.ndarray, "*batch"],
    marks: Sequence[int],
    normalised: bool = False,
    freeze: bool = False,
) -> Descent:
    """Gradient descent on ℓ for every classifier, w ← w − step·∇ℓ(w), recorded at the marks.

    Args:
        step: one for each problem, or one for all. With `normalised` each step is divided by ℓ(w) first: descent on
            ln ℓ, which has the same gradient flow lines, walked at another speed.
        freeze: leave a classifier whose loss leaves the numbers where it is, instead of an error.

    Raises:
        InputError: a step that is not positive, or marks that are none, negative or not increasing.
        DivergenceError: a loss passed `LARGEST_LOSS`.
    """
    if not (np.isfinite(step) & (step > 0)).all():
        raise InputError(f"the smallest step is {np.min(step)}; steps must be positive numbers")
    require_marks(marks)
    walk = _Walk(points, start, np.asarray(step)[..., None, None], normalised=normalised, freeze=freeze)
    kept, taken = [], 0
    for mark in marks:
        for _ in range(taken, mark):
            walk.step()
        taken = mark
        kept.append(walk.classifiers)
    walk.look()
    return Descent(tuple(marks), np.stack(kept), walk.monotone, walk.finite)


class _Walk:
    """The state of a run: the coefficients a of w = w_0 + Σ_j a_j x_j, the loss seen last, and what was seen of it.

    Descent moves w by multiples of the points only, so a step needs their inner products, not their coordinates.
    """

    def __init__(
        self,
        points: Float[np.ndarray, "*batch points dim"],
        start: Float[np.ndarray, "*batch classifiers dim"],
        step: Float[np.ndarray, "*batch 1 1"],
        *,
        normalised: bool,
        freeze: bool,
    ) -> None:
        self._start, self._points, self._first = start, points, start @ points.mT
        self._gram, self._coefficients = points @ points.mT, np.zeros_like(self._first)
        self._step, self._normalised, self._freeze = step, normalised, freeze
        self._last = np.full(start.shape[:-1], np.inf)
        self.monotone, self.finite = np.ones(start.shape[:-1], dtype=bool), np.ones(start.shape[:-1], dtype=bool)

    @property
    def classifiers(self) -> Float[np.ndarray, "*batch classifiers dim"]:
        """w at this moment."""
        return np.asarray(self._start + self._coefficients @ self._points)

    def step(self) -> None:
        """One step of every classifier."""
        self._coefficients += self._step * self.look()

    def look(self) -> Float[np.ndarray, "*batch classifiers points"]:
        """exp(−w·x_j), divided by the loss for normalised steps; takes note of the loss."""
        products = self._first + self._coefficients @ self._gram
        if self._normalised:
            # Point by point: with few points numpy is slow to reduce over their axis.
            least = reduce(np.minimum, np.moveaxis(products, -1, 0))[..., None]
            terms = np.exp(least - products)
            total = reduce(np.add, np.moveaxis(terms, -1, 0))[..., None]
            loss = (np.log(total) - least)[..., 0]
            self.monotone &= loss <= self._last + TOLERANCE
            self._last = loss
            return np.asarray(terms / total)
        with np.errstate(over="ignore"):  # seen below as a loss that is too large
            terms = np.exp(-products)
        loss = terms.sum(axis=-1)
        self.monotone &= loss <= self._last * (1 + TOLERANCE)
        self._last = loss
        return terms if loss.max() <= LARGEST_LOSS else self._stopped(terms, loss)

    def _stopped(
        self, terms: Float[np.ndarray, "*batch classifiers points"], loss: Float[np.ndarray, "*batch classifiers"]
    ) -> Float[np.ndarray, "*batch classifiers points"]:
        """The terms with those of diverged classifiers set to zero."""
        if not self._freeze:
            raise DivergenceError(f"the loss of classifier {place(loss > LARGEST_LOSS)} diverged; try a smaller step")
        self.finite &= loss <= LARGEST_LOSS
        return np.where(self.finite[..., None], terms, 0.0)
