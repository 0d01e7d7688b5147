"""Theorem 5/14: orthogonal starts, and starts that break one hypothesis."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.claims import Claim, Word
from linrep.theory.joint import (
    Classifiers,
    JointPath,
    Points,
    as_pair,
    deviations,
    even_marks,
    joint_descent,
    orthogonal_start,
    pair_step,
    smallest_cosines,
)

DEGENERATE = "(H1) so that √n X = −√2 D"
"""The start that breaks (H1) in a way that keeps the vectors from aligning."""


def orthogonal_batch(
    classifiers: int, *, seeds: Sequence[int], dim: int | None = None
) -> tuple[Float[np.ndarray, "seeds 2 dim"], Float[np.ndarray, "seeds classifiers dim"]]:
    """An orthogonal start for each seed, in n + 2 dimensions if not told otherwise; lengths log-uniform, 0.5 to 1.5.

    Up to a rotation the two lengths are all that an orthogonal start can vary.
    """
    found = []
    for seed in seeds:
        lengths = np.exp(np.random.default_rng([seed, 1]).uniform(np.log(0.5), np.log(1.5), size=2))
        found.append(
            orthogonal_start(
                classifiers,
                dim or classifiers + 2,
                point_length=float(lengths[0]),
                classifier_length=float(lengths[1]),
                seed=seed,
            )
        )
    points, vectors = zip(*found, strict=True)
    return np.stack(points), np.stack(vectors)


def orthogonal_runs(
    sizes: Sequence[int] = (2, 3, 4), *, seeds: range = range(20), multiples: Sequence[float] = (0.5, 1, 20)
) -> pd.DataFrame:
    """Orthogonal starts for m concepts: 500 plain steps held to Theorem 12's recursion, then a long scaled run.

    Args:
        multiples: the plain steps, in units of 2/sqrt(2n).

    Returns:
        One row for each m and seed: falls (the loss never rose, at any of the steps), recursion (the largest relative
        gap between the pair (u, v) of the run and that of Theorem 12's descent), within and matched (smallest cosines
        at the end of the scaled run), depth (−ln ℓ there), law (1 − within over what the rate predicts).
    """
    frames = []
    for concepts in sizes:
        count = 2 ** (concepts - 1)
        points, classifiers = orthogonal_batch(count, seeds=seeds)
        gaps, falls = [], np.ones(len(seeds), dtype=bool)
        for multiple in multiples:
            step = multiple * 2 / np.sqrt(2 * count)
            path = joint_descent(points, classifiers, step=step, marks=range(0, 501, 50))
            gaps.append(recursion_gap(path, step))
            falls &= path.monotone
        path = joint_descent(points, classifiers, step=1.0, marks=(4000,), scaled=True)
        cosines = smallest_cosines(path.points[-1], path.classifiers[-1])
        depth = -path.log_loss[-1]
        squared = (classifiers[:, 0] ** 2).sum(axis=-1)
        law = squared * np.sqrt(count / 2) / (depth + np.log(2 * count))
        frames.append(
            pd.DataFrame(
                {
                    "m": concepts,
                    "seed": list(seeds),
                    "falls": falls & path.monotone,
                    "recursion": np.max(gaps, axis=0),
                    "within": cosines[:, 0],
                    "matched": cosines[:, 1],
                    "depth": depth,
                    "law": (1 - cosines[:, 0]) / law,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def orthogonal_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each m: the worst over the seeds."""
    grouped = runs.groupby("m")
    return pd.DataFrame(
        {
            "k": 2 ** (grouped["m"].first() - 1) + 2,
            "seeds": grouped.size(),
            "loss never rises": grouped["falls"].sum(),
            "follows the recursion": grouped["recursion"].agg(_within),
            "least −ln ℓ": grouped["depth"].min().round(),
            "least cos(Δ, Δ′)": grouped["within"].min(),
            "least cos(Δ, f1 − f0)": grouped["matched"].min(),
            "mean 1 − cos over its law": grouped["law"].mean(),
        }
    )


def recursion_gap(path: JointPath, step: float) -> Float[np.ndarray, " batch"]:
    """The largest distance, relative to |u|, of `as_pair` of a plain run from Theorem 12's descent of its start."""
    first, second = as_pair(path.points, path.classifiers)
    size = np.full(len(first[0]), pair_step(step, path.classifiers.shape[-2]))
    gaps, (u, v), taken = [], (first[0], second[0]), 0
    for place, mark in enumerate(path.marks):
        u, v = _advance(u, v, size, mark - taken)
        taken = mark
        apart = np.linalg.norm(u - first[place], axis=-1) + np.linalg.norm(v - second[place], axis=-1)
        gaps.append(apart / np.linalg.norm(u, axis=-1))
    return np.asarray(np.max(gaps, axis=0))


def broken_starts(*, classifiers: int = 4, seed: int = 0) -> dict[str, tuple[Points, Classifiers]]:
    """Starts in n + 2 dimensions that keep the hypotheses of Theorem 5 or break one: lengths 1 where not broken."""
    points, vectors = orthogonal_start(classifiers, classifiers + 2, seed=seed)
    rng = np.random.default_rng([seed, 2])
    mixed = vectors + 0.3 * rng.standard_normal((classifiers, classifiers)) @ vectors
    apart = points[0] - points[1]
    opposed = -vectors.sum(axis=0) * np.sqrt(2 / classifiers)
    return {
        "none": (points, vectors),
        "(H1) products": (points + 0.5 * vectors[:2], vectors),
        "(H2) angles": (points, mixed / np.linalg.norm(mixed, axis=1, keepdims=True)),
        "(H2) lengths": (points, vectors * np.linspace(0.5, 1.5, classifiers)[:, None]),
        "(H3) angle": (np.stack([points[0], points.sum(axis=0) / np.sqrt(2)]), vectors),
        "(H3) lengths": (points * np.array([[1.0], [2.0]]), vectors),
        DEGENERATE: (np.stack([opposed + apart, opposed - apart]) / 2, vectors),
    }


def broken_arms(*, classifiers: int = 4, seeds: range = range(20), steps: int = 300) -> pd.DataFrame:
    """A scaled run from each of `broken_starts`, over seeds.

    The set √n X + √2 D = 0 repels: errors of rounding leave it after some hundreds of steps.

    Returns:
        One row for each arm and seed: spread (the largest range of the Δ_c·x_j, over their largest size or 1), drift
        (the largest change of Δ_c − D/n or x_j − X/2), depth (−ln ℓ at the end), cosine (the smallest of Theorem 5's).
    """
    frames = []
    made = [broken_starts(classifiers=classifiers, seed=seed) for seed in seeds]
    for arm in made[0]:
        points, vectors = (np.stack([start[arm][part] for start in made]) for part in (0, 1))
        path = joint_descent(points, vectors, step=1.0, marks=even_marks(steps), scaled=True)
        margins = path.classifiers @ path.points.mT
        spread = np.ptp(margins, axis=(-2, -1)) / np.maximum(np.abs(margins).max(axis=(-2, -1)), 1)
        drift = [np.abs(part - part[0]).max(axis=(0, -2, -1)) for part in deviations(path.points, path.classifiers)]
        frames.append(
            pd.DataFrame(
                {
                    "broken": arm,
                    "seed": list(seeds),
                    "monotone": path.monotone,
                    "spread": spread.max(axis=0),
                    "drift": np.maximum(*drift),
                    "depth": -path.log_loss[-1],
                    "cosine": smallest_cosines(path.points[-1], path.classifiers[-1]).min(axis=-1),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def broken_table(arms: pd.DataFrame) -> pd.DataFrame:
    """One row for each arm: the largest spread and drift, the smallest depth and cosine."""
    grouped = arms.groupby("broken", sort=False)
    return pd.DataFrame(
        {
            "seeds": grouped.size(),
            "largest spread": grouped["spread"].max(),
            "largest drift": grouped["drift"].max(),
            "least −ln ℓ": grouped["depth"].min(),
            "least cosine": grouped["cosine"].min(),
        }
    ).rename_axis("hypothesis broken")


def claims(orthogonal: pd.DataFrame | None = None, arms: pd.DataFrame | None = None) -> list[Claim]:
    """Theorem 5; a table that is not given is computed."""
    runs = orthogonal_runs() if orthogonal is None else orthogonal
    arms = broken_arms() if arms is None else arms
    number = float(runs[["within", "matched"]].min().min())
    control = float(arms.loc[arms["broken"] == DEGENERATE, "cosine"].max())
    holds = runs["falls"].all() and runs["recursion"].max() < 1e-9 and number > 0.98 and control < 0.5
    verdict: Word = "holds in range" if holds else "different"
    claim = Claim(
        key="theorem-5",
        statement="trained together from orthogonal starts, the Δg_i(c) turn into one direction, that of f1 − f0",
        source="paper, Theorem 5/14",
        hypotheses="all start vectors orthogonal; the embeddings of one length; the Δ's of one length",
        verdict=verdict,
        measured="smallest cosine, m = 2 to 4 at k = 2^(m−1) + 2, 20 seeds, 4,000 scaled steps",
        number=number,
        broken="Δ_c·x_j = 0, so that √n X + √2 D = 0 (m = 3): largest over 20 seeds, 300 scaled steps",
        control=control,
        where="alignment:thm-joint",
    )
    return [claim]


def _within(gaps: "pd.Series[float]") -> int:
    """How many gaps are within 10⁻⁹."""
    return int((gaps < 1e-9).sum())


def _advance(
    u: Float[np.ndarray, "batch dim"], v: Float[np.ndarray, "batch dim"], step: Float[np.ndarray, " batch"], steps: int
) -> tuple[Float[np.ndarray, "batch dim"], Float[np.ndarray, "batch dim"]]:
    """Some steps of Theorem 12's descent."""
    for _ in range(steps):
        rate = (step * np.exp(-(u * v).sum(axis=-1)))[:, None]
        u, v = u + rate * v, v + rate * u
    return u, v
