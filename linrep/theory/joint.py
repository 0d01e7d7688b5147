"""Theorem 5/14 of the paper: classifiers and points, unembeddings and embeddings, trained together.

The points are x_1 = f(d(i→1)) and x_2 = −f(d(i→0)), only concept i known; the classifiers are the n = 2^(m−1) steering
vectors Δ_c = Δg_i(c). The loss is ℓ = Σ_c Σ_j exp(−Δ_c·x_j), X = Σ_j x_j = f1 − f0, D = Σ_c Δ_c. Points are arrays
(*batch, 2, dim), classifiers (*batch, n, dim).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from linrep.errors import DivergenceError, InputError
from linrep.geometry import unit
from linrep.theory.margin import place, require_marks
from linrep.train import RISE

Points = Float[np.ndarray, "*batch 2 dim"]
Classifiers = Float[np.ndarray, "*batch classifiers dim"]

TOLERANCE = next(iter(RISE.values()))
"""The relative rise of the loss in one step that still counts as none: the book's rule for float64."""

LARGEST_LOG_LOSS = 300.0
"""Beyond this ln ℓ a run has diverged."""


def orthogonal_start(
    classifiers: int, dim: int, *, point_length: float = 1.0, classifier_length: float = 1.0, seed: int
) -> tuple[Float[np.ndarray, "2 dim"], Float[np.ndarray, "classifiers dim"]]:
    """Theorem 5's start: all 2 + n vectors mutually orthogonal, the points of one length, the classifiers of another.

    Raises:
        InputError: a length that is not positive, or a space too small for that many orthogonal vectors.
    """
    if min(point_length, classifier_length) <= 0:
        raise InputError(f"lengths are {point_length} and {classifier_length}; both must be positive")
    if dim < classifiers + 2:
        raise InputError(f"dim is {dim}; {classifiers + 2} mutually orthogonal vectors need {classifiers + 2} or more")
    axes, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, classifiers + 2)))
    return point_length * axes.T[:2], classifier_length * axes.T[2:]


@dataclass(frozen=True, eq=False)
class JointPath:
    """A run of gradient descent on ℓ in points and classifiers.

    Attributes:
        marks: the steps recorded; 0 is the start.
        points, classifiers: the vectors at each mark. log_loss: ln ℓ there.
        monotone: whether the loss never rose in any step.
    """

    marks: tuple[int, ...]
    points: Float[np.ndarray, "marks *batch 2 dim"]
    classifiers: Float[np.ndarray, "marks *batch classifiers dim"]
    log_loss: Float[np.ndarray, "marks ..."]
    monotone: Bool[np.ndarray, "*batch"]


def joint_descent(
    points: Points,
    classifiers: Classifiers,
    *,
    step: float,
    marks: Sequence[int],
    scaled: bool = False,
    rates: tuple[float, float] = (1.0, 1.0),
) -> JointPath:
    """Gradient descent on ℓ, recorded at the marks: x_j += η Σ_c e^(−Δ_c·x_j) Δ_c, Δ_c += η Σ_j e^(−Δ_c·x_j) x_j.

    Args:
        scaled: divide each step by ℓ(1 + |θ|²), θ all vectors together: the same flow lines, walked at a speed at which
            −ln ℓ grows by about the same amount in every step. Dividing by ℓ alone is not enough: the curvature of
            ln ℓ grows like |θ|², and a fixed fraction of |θ| each step stops short of the limit direction.
        rates: factors on the steps of points and of classifiers. (1, 2) is training g, whose two ends both move Δ_c;
            (0, 1) leaves the points as they are.

    Raises:
        InputError: a step that is not positive, or marks that are none, negative or not increasing.
        DivergenceError: ln ℓ passed `LARGEST_LOG_LOSS`.
    """
    if not (np.isfinite(step) and step > 0):
        raise InputError(f"the step is {step}; it must be a positive number")
    require_marks(marks)
    kept, wanted = [], set(marks)
    last, monotone = np.full(points.shape[:-2], np.inf), np.ones(points.shape[:-2], dtype=bool)
    for taken in range(marks[-1] + 1):
        value, share = _terms(points, classifiers)
        _require_finite(value, taken)
        monotone &= value <= last + TOLERANCE
        last = value
        if taken in wanted:
            kept.append((points, classifiers, value))
        weight = step * (share / _scale(points, classifiers) if scaled else share * np.exp(value)[..., None, None])
        points, classifiers = (
            points + rates[0] * weight.mT @ classifiers,
            classifiers + rates[1] * weight @ points,
        )
    seen_points, seen_classifiers, values = (np.stack(part) for part in zip(*kept, strict=True))
    return JointPath(tuple(marks), seen_points, seen_classifiers, values, monotone)


def as_pair(
    points: Points, classifiers: Classifiers, *, rates: tuple[float, float] = (1.0, 1.0)
) -> tuple[Float[np.ndarray, "*batch dim"], Float[np.ndarray, "*batch dim"]]:
    """The two vectors u ∝ X and v ∝ D whose descent is Theorem 12's while all Δ_c·x_j are equal: u·v = D·X/(2n).

    With rates (ρ_x, ρ_Δ), u = sqrt(n ρ_Δ) X/s and v = sqrt(2 ρ_x) D/s, s² = 2n sqrt(2n ρ_x ρ_Δ).
    """
    count = classifiers.shape[-2]
    shrink = np.sqrt(2 * count * np.sqrt(2 * count * rates[0] * rates[1]))
    return (
        np.sqrt(count * rates[1]) * points.sum(axis=-2) / shrink,
        np.sqrt(2 * rates[0]) * classifiers.sum(axis=-2) / shrink,
    )


def pair_step(step: float, classifiers: int, *, rates: tuple[float, float] = (1.0, 1.0)) -> float:
    """The step of that pair's descent: η sqrt(2n ρ_x ρ_Δ)."""
    return float(step * np.sqrt(2 * classifiers * rates[0] * rates[1]))


def deviations(
    points: Points, classifiers: Classifiers
) -> tuple[Float[np.ndarray, "*batch 2 dim"], Float[np.ndarray, "*batch classifiers dim"]]:
    """x_j − X/2 and Δ_c − D/n, which never change while all Δ_c·x_j are equal."""
    return (
        points - points.mean(axis=-2, keepdims=True),
        classifiers - classifiers.mean(axis=-2, keepdims=True),
    )


def smallest_cosines(points: Points, classifiers: Classifiers) -> Float[np.ndarray, "*batch 2"]:
    """The smallest cosine between two classifiers, and between a classifier and X = f1 − f0: Theorem 5's two claims.

    Raises:
        InputError: fewer than two classifiers, or a zero vector.
    """
    if classifiers.shape[-2] < 2:
        raise InputError(f"{classifiers.shape[-2]} classifier(s) given; a cosine between two needs 2 or more")
    directions = _unit(classifiers, "classifier")
    difference = _unit(points.sum(axis=-2, keepdims=True), "f1 − f0")
    within = (directions @ directions.mT).min(axis=(-2, -1))
    return np.stack([within, (directions @ difference.mT).min(axis=(-2, -1))], axis=-1)


def smallest_cosine_of_all(points: Points, classifiers: Classifiers) -> Float[np.ndarray, "*batch"]:
    """The smallest cosine between any two of the 2 + n vectors.

    Raises:
        InputError: a zero vector.
    """
    directions = np.concatenate([_unit(points, "point"), _unit(classifiers, "classifier")], axis=-2)
    return np.asarray((directions @ directions.mT).min(axis=(-2, -1)))


@dataclass(frozen=True, eq=False)
class Residuals:
    """How far θ, scaled to smallest margin 1, is from a KKT point of: minimise |θ|²/2 with every Δ_c·x_j ≥ 1.

    Attributes:
        stationarity: |θ̂ − Σ λ ∇(Δ_c·x_j)|/|θ̂|, at most 2. complementarity: Σ λ (Δ̂_c·x̂_j − 1)/|θ̂|².
    """

    stationarity: Float[np.ndarray, "*batch"]
    complementarity: Float[np.ndarray, "*batch"]


def kkt_residuals(points: Points, classifiers: Classifiers) -> Residuals:
    """Both residuals, with the multipliers of gradient flow: λ = |θ| e^(−Δ_c·x_j)/|∇ℓ| (Lyu and Li 2020).

    Raises:
        InputError: a margin Δ_c·x_j that is not positive: θ cannot be scaled to meet the constraints.
    """
    margins = classifiers @ points.mT
    least = margins.min(axis=(-2, -1))
    if not (least > 0).all():
        raise InputError(f"the smallest margin is {least.min():.3g}; a KKT residual needs all of them positive")
    share = _terms(points, classifiers)[1]
    pull = np.concatenate([share.mT @ classifiers, share @ points], axis=-2)  # −∇ℓ/ℓ
    theta = np.concatenate([points, classifiers], axis=-2)
    length, strength = (np.sqrt((array**2).sum(axis=(-2, -1))) for array in (theta, pull))
    apart = theta / length[..., None, None] - pull / strength[..., None, None]
    excess = (share * (margins / least[..., None, None] - 1)).sum(axis=(-2, -1))
    stationarity = np.asarray(np.sqrt((apart**2).sum(axis=(-2, -1))))
    return Residuals(stationarity, np.asarray(excess * least / (length * strength)))


def even_marks(steps: int, count: int = 80) -> tuple[int, ...]:
    """The start, the end, and marks between them that are even in the logarithm: at most `count` + 1 of them."""
    return tuple(sorted({0, *(int(mark) for mark in np.geomspace(1, steps, count).round())}))


def _terms(
    points: Points, classifiers: Classifiers
) -> tuple[Float[np.ndarray, "*batch"], Float[np.ndarray, "*batch classifiers 2"]]:
    """ln ℓ, and e^(−Δ_c·x_j)/ℓ."""
    margins = classifiers @ points.mT
    least = margins.min(axis=(-2, -1), keepdims=True)
    terms = np.exp(least - margins)
    total = terms.sum(axis=(-2, -1), keepdims=True)
    return np.asarray((np.log(total) - least)[..., 0, 0]), terms / total


def _scale(points: Points, classifiers: Classifiers) -> Float[np.ndarray, "*batch 1 1"]:
    """1 + |θ|²."""
    squares = (points**2).sum(axis=(-2, -1), keepdims=True) + (classifiers**2).sum(axis=(-2, -1), keepdims=True)
    return np.asarray(1 + squares)


def _require_finite(value: Float[np.ndarray, "*batch"], taken: int) -> None:
    """Refuse a loss that has left the numbers a step can be taken with."""
    bad = ~(value <= LARGEST_LOG_LOSS)
    if bad.any():
        raise DivergenceError(
            f"the loss of problem {place(np.asarray(bad))} diverged at step {taken}; try a smaller step"
        )


def _unit(vectors: Float[np.ndarray, "*batch rows dim"], what: str) -> Float[np.ndarray, "*batch rows dim"]:
    """Vectors of length 1; refuses a zero one by name."""
    return np.asarray(unit(torch.from_numpy(vectors), what=what).numpy())
