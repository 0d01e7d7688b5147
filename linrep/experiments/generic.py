"""Theorem 5 without its start: generic starts in small spaces, and the KKT point that they approach."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from linrep.claims import Claim, Word
from linrep.experiments.joint import DEGENERATE
from linrep.theory.joint import (
    Classifiers,
    JointPath,
    Points,
    even_marks,
    joint_descent,
    kkt_residuals,
    smallest_cosine_of_all,
    smallest_cosines,
)


def generic_starts(
    dims: Sequence[int] = (1, 2, 3, 4), *, classifiers: int = 4, seeds: range = range(20)
) -> tuple[pd.DataFrame, Points, Classifiers]:
    """N(0, 1) starts in each of some dimensions; smaller spaces are padded with zeros, which descent leaves alone.

    Returns:
        Columns k and seed, one row for each problem; its points; its classifiers.
    """
    width = max(dims)
    names = [(dim, seed) for dim in dims for seed in seeds]
    vectors = np.zeros((len(names), 2 + classifiers, width))
    for place, (dim, seed) in enumerate(names):
        vectors[place, :, :dim] = np.random.default_rng([seed, dim]).standard_normal((2 + classifiers, dim))
    return pd.DataFrame(names, columns=["k", "seed"]), vectors[:, :2], vectors[:, 2:]


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs from `generic_starts`: which problem each is (columns k, seed), and their common path."""

    names: pd.DataFrame
    path: JointPath

    def rows(self) -> pd.DataFrame:
        """One row for each problem and mark: k, seed, mark, monotone, depth, cosine, within, matched, ratio_low, _high.

        depth is −ln ℓ, cosine the smallest between any two of all vectors, within and matched the smallest between two
        Δ's and between a Δ and f1 − f0, the ratios the range of |Δ_c|/|x_j|.
        """
        frames = []
        for place, mark in enumerate(self.path.marks):
            points, vectors = self.path.points[place], self.path.classifiers[place]
            lengths = [np.linalg.norm(part, axis=-1) for part in (points, vectors)]
            pairwise = smallest_cosines(points, vectors)
            frames.append(
                self.names.assign(
                    mark=mark,
                    monotone=self.path.monotone,
                    depth=-self.path.log_loss[place],
                    cosine=smallest_cosine_of_all(points, vectors),
                    within=pairwise[:, 0],
                    matched=pairwise[:, 1],
                    ratio_low=lengths[1].min(axis=1) / lengths[0].max(axis=1),
                    ratio_high=lengths[1].max(axis=1) / lengths[0].min(axis=1),
                )
            )
        return pd.concat(frames, ignore_index=True)

    def residuals(self) -> pd.DataFrame:
        """KKT residuals from where ℓ < 1 on: columns k, seed, depth, stationarity, complementarity."""
        frames: list[pd.DataFrame] = []
        for value, points, vectors in zip(self.path.log_loss, self.path.points, self.path.classifiers, strict=True):
            below = value < 0
            if below.any():
                found = kkt_residuals(points[below], vectors[below])
                part = self.names[below].assign(depth=-value[below], stationarity=found.stationarity)
                frames.append(part.assign(complementarity=found.complementarity))
        return pd.concat(frames, ignore_index=True)


def generic_runs(
    dims: Sequence[int] = (1, 2, 3, 4),
    *,
    classifiers: int = 4,
    seeds: range = range(20),
    step: float = 1.0,
    steps: int = 4000,
    scaled: bool = True,
    train_points: bool = True,
) -> Runs:
    """Descent from `generic_starts`.

    Args:
        step, scaled: see `joint_descent`. train_points: without it f stays as it is, as in Theorem 4.
    """
    names, points, vectors = generic_starts(dims, classifiers=classifiers, seeds=seeds)
    rates = (1.0 if train_points else 0.0, 1.0)
    path = joint_descent(points, vectors, step=step, marks=even_marks(steps), scaled=scaled, rates=rates)
    return Runs(names, path)


def at_depth(rows: pd.DataFrame, columns: Sequence[str], levels: Sequence[float]) -> pd.DataFrame:
    """Columns of each problem where −ln ℓ passes some levels, between the two marks around each.

    The logarithm of the column (a positive number) is taken to be linear in that of the depth. Problems that do not get
    to a level have no row for it.
    """
    found = []
    for (dim, seed), part in rows[rows["depth"] > 0].groupby(["k", "seed"]):
        depth = np.log(part["depth"].to_numpy())
        for level in levels:
            if depth[0] <= np.log(level) <= depth[-1]:
                values = {
                    name: np.exp(np.interp(np.log(level), depth, np.log(np.maximum(part[name].to_numpy(), 1e-16))))
                    for name in columns
                }
                found.append({"k": dim, "seed": seed, "depth": level} | values)
    return pd.DataFrame(found)


def generic_table(runs: Runs) -> pd.DataFrame:
    """One row for each k: how many seeds got below loss 1, and the ends of the runs."""
    rows = runs.rows()
    last = rows[rows["mark"] == rows["mark"].max()].groupby("k")
    start = rows[rows["mark"] == 0].groupby("k")
    return pd.DataFrame(
        {
            "seeds": last.size(),
            "monotone": last["monotone"].sum(),
            "below loss 1 at first": start["depth"].agg(_positive),
            "in the end": last["depth"].agg(_positive),
            "least cosine at first": start["cosine"].min(),
            "in the end ": last["cosine"].min(),
            "least |Δ|/|x|": last["ratio_low"].min(),
            "largest |Δ|/|x|": last["ratio_high"].max(),
        }
    )


def curves(
    runs: Runs, levels: Sequence[float] = tuple(np.geomspace(1, 400, 25).tolist())
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the figure draws: 1 − least cosine (column gap), and stationarity, of each problem at common −ln ℓ."""
    gaps = at_depth(_with_gap(runs.rows()), ["gap"], levels)
    return gaps, at_depth(runs.residuals(), ["stationarity"], levels)


def residual_table(runs: Runs, levels: Sequence[float] = (1, 10, 100, 400)) -> pd.DataFrame:
    """Medians over seeds at some depths: 1 − least cosine, and the stationarity of the KKT conditions, for each k."""
    gaps, residuals = curves(runs, levels)
    table: dict[str, pd.DataFrame] = {
        "1 − least cosine": gaps.pivot_table("gap", "k", "depth", aggfunc="median"),
        "stationarity": residuals.pivot_table("stationarity", "k", "depth", aggfunc="median"),
    }
    return pd.concat(table, axis=1)


def difference_table(first: Runs, second: Runs, levels: Sequence[float]) -> pd.DataFrame:
    """By how much 1 − least cosine differs between two sets of runs where −ln ℓ is the same, k = 1 left out.

    (In one dimension all cosines are 1 or −1.)
    """
    both = [at_depth(_with_gap(runs.rows()), ["gap"], levels).set_index(["k", "seed", "depth"])["gap"]
            for runs in (first, second)]  # fmt: skip
    apart = (both[0] - both[1]).dropna().abs().reset_index()
    grouped = apart[apart["k"] > 1].groupby("depth")["gap"]
    return pd.DataFrame(
        {
            "runs compared": grouped.size(),
            "median difference": grouped.median(),
            "share below 0.01": grouped.agg(_below),
            "largest": grouped.max(),
        }
    ).rename_axis("−ln ℓ")


def fixed_table(trained: Runs, fixed: Runs) -> pd.DataFrame:
    """The smallest cos(Δ_c, f1 − f0) of a run at its end, by k: with both sides trained, and with f left as it is."""
    grouped = {name: _ends(runs).groupby("k")["matched"] for name, runs in (("trained", trained), ("fixed", fixed))}
    table = pd.DataFrame(
        {
            "trained, least": grouped["trained"].min(),
            "fixed, least": grouped["fixed"].min(),
            "fixed, median": grouped["fixed"].median(),
        }
    )
    return table.dropna()


def claims(arms: pd.DataFrame, generic: Runs | None = None) -> list[Claim]:
    """Ours on generic starts.

    Args:
        arms: of `joint.broken_arms`. generic: of `generic_runs`; made if not given.
    """
    last = _ends(generic_runs() if generic is None else generic)
    number = float(last[["within", "matched"]].min().min())
    control = float(arms.loc[arms["broken"] == DEGENERATE, "cosine"].max())
    verdict: Word = "new" if (last["depth"] > 0).all() and number > 0.95 and control < 0.5 else "undecided"
    claim = Claim(
        key="generic-start",
        statement="no orthogonality is needed: once the loss is below 1 all vectors turn into one direction, at any k",
        source="ours",
        hypotheses="gradient flow; loss below 1 at some time",
        verdict=verdict,
        measured="smallest cosine of two Δ's or of Δ and f1 − f0, k = 1 to 4, m = 3, 20 seeds each, 4,000 scaled steps",
        number=number,
        broken="loss below 1: a start from which it stays at 2n (m = 3): largest over 20 seeds, 300 scaled steps",
        control=control,
        where="alignment:thm-generic",
    )
    return [claim]


def _ends(runs: Runs) -> pd.DataFrame:
    """The rows of the last mark."""
    rows = runs.rows()
    found: pd.DataFrame = rows[rows["mark"] == rows["mark"].max()]
    return found


def _with_gap(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the column gap, 1 − cosine."""
    return rows.assign(gap=1 - rows["cosine"])


def _positive(values: "pd.Series[float]") -> int:
    """How many are positive."""
    return int((values > 0).sum())


def _below(values: "pd.Series[float]") -> float:
    """The share below 0.01."""
    return float((values < 0.01).mean())
