"""Theorem 4 of the paper: the hidden binary classification and its max-margin direction.

The two contexts in which only concept i is known give the points x_1 = f(d(i→1)) and x_2 = −f(d(i→0)). Each Δg_i(c) is
a classifier w through the origin with loss ℓ(w) = Σ_j exp(−w·x_j), and all of them see the same points. Points are the
rows of an array (points, dim), classifiers the rows of an array (classifiers, dim); leading batch axes are problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import nnls

from linrep.errors import InputError

Case = Literal["separable", "one is zero", "both are zero", "positive multiples"]

SMALLEST_MARGIN = 1e-12
"""A margin below this part of the longest point cannot be told from none in double precision."""


@dataclass(frozen=True, eq=False)
class Margin:
    """A unit vector ŵ and γ = min_j ŵ·x_j, the largest that this minimum can be over unit vectors."""

    direction: Float[np.ndarray, "*batch dim"]
    margin: Float[np.ndarray, "*batch"]


def contexts_to_points(
    first: Float[np.ndarray, "*batch dim"], second: Float[np.ndarray, "*batch dim"]
) -> Float[np.ndarray, "*batch 2 dim"]:
    """The points of the hidden classification, x_1 = f1 and x_2 = −f0, from f1 = f(d(i→1)) and f0 = f(d(i→0))."""
    return np.stack([first, -second], axis=-2)


def max_margin_direction(points: Float[np.ndarray, "points dim"]) -> Margin:
    """The hard-margin direction through the origin of any number of points.

    Least distance programming as non-negative least squares (Lawson and Hanson, chapter 23): minimise |E u − e| over
    u ≥ 0 with E = [Xᵀ; 1ᵀ] and e = (0, ..., 0, 1). The residual's first entries are the nearest point of the points'
    convex hull to the origin times a positive number, so they point along ŵ; they vanish when the hull holds the
    origin.

    Raises:
        InputError: no points, a point that is zero or not finite, or points that are not separable.
    """
    size = longest(points)
    scaled = points / size  # so that the tolerance is a relative one
    system = np.vstack([scaled.T, np.ones(len(points))])
    target = np.append(np.zeros(points.shape[1]), 1.0)
    weights, _ = nnls(system, target, maxiter=100 * len(points) + 100)
    nearest = scaled.T @ weights
    if np.linalg.norm(nearest) <= SMALLEST_MARGIN:
        raise InputError(f"{len(points)} points that are not separable: no direction has a positive product with all")
    direction = nearest / np.linalg.norm(nearest)
    return Margin(direction, np.asarray((points @ direction).min()))


def two_point_direction(points: Float[np.ndarray, "*batch 2 dim"]) -> Margin:
    """The same for two points, in closed form: towards the nearest point to the origin on the segment between them.

    Raises:
        InputError: a point that is zero or not finite, or two that are not separable; with the index of the problem.
    """
    size = longest(points)
    first, second = points[..., 0, :], points[..., 1, :]
    across = first - second
    length = (across**2).sum(axis=-1)
    share = np.divide((first * across).sum(axis=-1), length, where=length > 0, out=np.zeros_like(length))
    nearest = first - np.clip(share, 0, 1)[..., None] * across
    norm = np.linalg.norm(nearest, axis=-1)
    bad = norm <= SMALLEST_MARGIN * size
    if bad.any():
        raise InputError(f"the two points of problem {place(bad)} are not separable: they point away from each other")
    direction = nearest / norm[..., None]
    return Margin(direction, np.asarray((points @ direction[..., None])[..., 0].min(axis=-1)))


def pair_case(first: Float[np.ndarray, " dim"], second: Float[np.ndarray, " dim"]) -> Case:
    """Which case of the corrected Theorem 4 the contexts f1 and f0 are; all but "separable" and "one is zero" break it.

    Raises:
        InputError: an embedding that is not finite.
    """
    lengths = [float(np.linalg.norm(vector)) for vector in (first, second)]
    if not np.isfinite(lengths).all():
        raise InputError(f"embeddings of length {lengths[0]} and {lengths[1]}; they must be finite")
    if min(lengths) == 0:
        return "both are zero" if max(lengths) == 0 else "one is zero"
    apart = np.linalg.norm(first / lengths[0] - second / lengths[1])
    return "positive multiples" if apart <= SMALLEST_MARGIN else "separable"


def stall_value(ratio: float) -> float:
    """Where Δ·f0 stalls when f1 = α f0: ln α / (1 + α), the minimum of exp(−α s) + exp(s).

    Raises:
        InputError: an α that is not positive.
    """
    if not ratio > 0:
        raise InputError(f"the ratio is {ratio}; f1 must be a positive multiple of f0")
    return float(np.log(ratio) / (1 + ratio))


def log_loss(
    classifiers: Float[np.ndarray, "*batch classifiers dim"], points: Float[np.ndarray, "... points dim"]
) -> Float[np.ndarray, "*batch classifiers"]:
    """ln ℓ(w) = ln Σ_j exp(−w·x_j) of each classifier; it neither overflows nor underflows. Leading axes broadcast."""
    return np.asarray(np.logaddexp.reduce(-classifiers @ points.mT, axis=-1))


def limit_offset(
    points: Float[np.ndarray, "*batch 2 dim"], start: Float[np.ndarray, "*batch classifiers dim"]
) -> Float[np.ndarray, "*batch classifiers dim"]:
    """q, the part of w orthogonal to ŵ in the limit of gradient flow on two separable points.

    With w = w_0 + A x_1 + B x_2, y = w_0·(x_1 − x_2) and κ_j = |x_j|² − x_1·x_2 the orbit is
    (e^(κ_2 B) − 1)/κ_2 = e^y (e^(κ_1 A) − 1)/κ_1. If κ_1, κ_2 > 0 both points support ŵ, and κ_2 B − κ_1 A tends to
    y + ln(κ_2/κ_1). If κ_1 < 0 only x_1 does, and B tends to ln(1 + κ_2 e^y/|κ_1|)/κ_2; the other way round for κ_2.

    Raises:
        InputError: points that are not separable, or a κ of zero (no finite limit) where the points differ.
    """
    found = two_point_direction(points)
    products = points @ points.mT
    between = products[..., 0, 1]
    kappa = np.stack([products[..., 0, 0] - between, products[..., 1, 1] - between])[..., None]
    same = (points[..., 0, :] == points[..., 1, :]).all(axis=-1)[..., None]
    if ((kappa == 0) & ~same).any():
        raise InputError("the segment between the two points is at a right angle to one of them: no finite limit")
    ahead = np.einsum("...cd,...d->...c", start, points[..., 0, :] - points[..., 1, :])
    size = np.log(np.where(same, 1.0, np.abs(kappa)))
    both = (kappa > 0).all(axis=0)
    second = np.logaddexp(0, ahead + size[1] - size[0]) / np.where(kappa[1] > 0, kappa[1], 1.0)
    first = np.logaddexp(0, -ahead + size[0] - size[1]) / np.where(kappa[0] > 0, kappa[0], 1.0)
    # Where both grow for ever, only their imbalance matters: any A and B with this κ_2 B − κ_1 A differ along ŵ.
    second = np.where(both, (ahead + size[1] - size[0]) / np.where(kappa[1] > 0, kappa[1], 1.0), second)
    first = np.where(both | (kappa[0] < 0), 0.0, first)
    second = np.where(kappa[1] < 0, 0.0, second)
    moved = start + np.where(same, 0.0, first)[..., None] * points[..., None, 0, :]
    moved = moved + np.where(same, 0.0, second)[..., None] * points[..., None, 1, :]
    along = found.direction[..., None, :]
    return np.asarray(moved - (moved * along).sum(axis=-1, keepdims=True) * along)


def longest(points: Float[np.ndarray, "*batch points dim"]) -> Float[np.ndarray, "*batch"]:
    """R = max_j |x_j|; refuses no points, and a point without a direction."""
    if points.shape[-2] == 0:
        raise InputError("0 points given; a margin needs at least 1")
    norms = np.linalg.norm(points, axis=-1)
    bad = ~(np.isfinite(norms) & (norms > 0))
    if bad.any():
        raise InputError(f"point {place(bad)} is zero or not finite: no direction separates it from the origin")
    return np.asarray(norms.max(axis=-1))


def place(bad: Bool[np.ndarray, "..."]) -> tuple[int, ...]:
    """The index of the first true entry."""
    return tuple(int(place) for place in np.argwhere(bad)[0])


def require_marks(marks: Sequence[int]) -> None:
    """Refuse moments of a run that are none, negative or not increasing.

    Raises:
        InputError: names them.
    """
    if not marks or min(marks) < 0 or list(marks) != sorted(set(marks)):
        raise InputError(f"marks are {list(marks)}; they must be increasing numbers of steps")
