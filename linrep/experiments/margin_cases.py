"""Theorem 4 where a hypothesis fails: every case of two contexts, and what descent does there."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.theory.joint import even_marks
from linrep.theory.margin import contexts_to_points, log_loss, pair_case, stall_value
from linrep.theory.margin_descent import Descent, descent

CASES = {
    "generic": (None, 1.0),
    "f1 = −2 f0": (-2.0, 1.0),
    "f0 = 0": (None, 0.0),
    "f1 = 0": (0.0, 1.0),
    "f1 = 2 f0": (2.0, 1.0),
    "f1 = 0.5 f0": (0.5, 1.0),
    "f1 = f0": (1.0, 1.0),
    "both 0": (0.0, 0.0),
}
"""The factor that makes f1 of f0 (None: f1 is drawn by itself), and the factor on f0."""

GENERIC = "generic"

CONTROL = "f1 = 2 f0"
"""The control of Theorem 4: f1 ≠ f0, as the paper asks, but not separable."""

FALL = 0.9
"""1 − cosine counts as still falling if the last nine tenths of the steps have made it this much smaller."""

ALIGNED = ("generic", "f1 = −2 f0", "f0 = 0", "f1 = 0")
"""The cases in which all steering vectors take one direction."""


@dataclass(frozen=True, eq=False)
class CaseRuns:
    """Descent in each case from the same starts.

    Attributes:
        names: columns case, seed, ratio (of f1 to f0 where one is given), one row for each problem.
        first, second: f1 and f0. run: each step at the bound 1/(2R²ℓ) of the present loss (1 where R = 0).
    """

    names: pd.DataFrame
    first: Float[np.ndarray, "problems dim"]
    second: Float[np.ndarray, "problems dim"]
    run: Descent

    def pair_cosines(self) -> Float[np.ndarray, "marks problems"]:
        """The smallest cosine between two classifiers."""
        unit = self.run.classifiers / np.linalg.norm(self.run.classifiers, axis=-1, keepdims=True)
        return np.asarray((unit @ unit.mT).min(axis=(-2, -1)))

    def stalls(self) -> Float[np.ndarray, " problems"]:
        """If f1 = α f0, how far the end is from w_0 + (s* − s_0) f0/|f0|², where classifiers stall; else NaN."""
        return np.array([self._stall(place) for place in range(len(self.names))])

    def _stall(self, place: int) -> float:
        first, second = self.first[place], self.second[place]
        if pair_case(first, second) != "positive multiples":
            return float("nan")
        start, end = self.run.classifiers[0, place], self.run.classifiers[-1, place]
        missing = stall_value(float(self.names["ratio"].iloc[place])) - start @ second
        return float(np.abs(end - start - missing[:, None] * second / (second @ second)).max())


def case_runs(*, dim: int = 3, classifiers: int = 4, seeds: range = range(20), steps: int = 3000) -> CaseRuns:
    """N(0, 1) contexts and starts, the same in all cases up to the factors of `CASES`."""
    names, first, second, start = [], [], [], []
    for case, (ratio, size) in CASES.items():
        for seed in seeds:
            drawn = np.random.default_rng([seed, dim, 5]).standard_normal((2 + classifiers, dim))
            second.append(size * drawn[1])
            first.append(drawn[0] if ratio is None else ratio * drawn[1])
            start.append(drawn[2:])
            names.append((case, seed, np.nan if ratio is None else ratio))
    points, starts = contexts_to_points(np.stack(first), np.stack(second)), np.stack(start)
    radius = np.linalg.norm(points, axis=-1).max(axis=-1)
    step = 0.5 / np.where(radius > 0, radius, 1.0) ** 2
    run = descent(points, starts, step=step, marks=even_marks(steps, 40), normalised=True)
    return CaseRuns(pd.DataFrame(names, columns=["case", "seed", "ratio"]), np.stack(first), np.stack(second), run)


def case_rows(runs: CaseRuns) -> pd.DataFrame:
    """One row for each problem.

    Returns:
        Columns case, seed, ratio, kind; first, late and last, the smallest cosine between two classifiers at the start,
        at a tenth of the steps, and in the end; aligns: 1 − cosine fell by a tenth or more from late on;
        loss in the end, mean over classifiers; moved, the longest way of one orthogonal to f1 and f0; stall; monotone.
    """
    points, cosines = contexts_to_points(runs.first, runs.second), runs.pair_cosines()
    kinds = [pair_case(first, second) for first, second in zip(runs.first, runs.second, strict=True)]
    late = cosines[int(np.searchsorted(runs.run.marks, runs.run.marks[-1] / 10))]
    return runs.names.assign(
        kind=kinds,
        first=cosines[0],
        late=late,
        last=cosines[-1],
        aligns=1 - cosines[-1] <= FALL * (1 - late),
        loss=np.exp(log_loss(runs.run.classifiers[-1], points)).mean(axis=-1),
        moved=_off_span(runs.run.classifiers[-1] - runs.run.classifiers[0], points),
        stall=runs.stalls(),
        monotone=np.asarray(runs.run.monotone.all(axis=-1)),
    )


def case_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each case: what it is, medians over the seeds, and how many seeds align."""
    grouped = rows.groupby("case", sort=False)
    return pd.DataFrame(
        {
            "kind": grouped["kind"].first(),
            "cosine at first": grouped["first"].median(),
            "late": grouped["late"].median(),
            "in the end": grouped["last"].median(),
            "loss": grouped["loss"].median(),
            "align": grouped["aligns"].sum(),
            "of": grouped.size(),
        }
    )


def case_lines(runs: CaseRuns, cases: tuple[str, ...] = ("generic", "f0 = 0", CONTROL, "f1 = f0")) -> pd.DataFrame:
    """What the figure draws: for some cases and each mark, the median and the 10th and 90th percentile over seeds.

    Returns:
        Columns case, step, low, middle, high; the start is left out.
    """
    cosines, frames = runs.pair_cosines()[1:], []
    for case in cases:
        part = cosines[:, (runs.names["case"] == case).to_numpy()]
        low, middle, high = np.quantile(part, [0.1, 0.5, 0.9], axis=1)
        line = {"case": case, "step": runs.run.marks[1:], "low": low, "middle": middle, "high": high}
        frames.append(pd.DataFrame(line))
    return pd.concat(frames, ignore_index=True)


def _off_span(
    moves: Float[np.ndarray, "problems classifiers dim"], points: Float[np.ndarray, "problems 2 dim"]
) -> Float[np.ndarray, " problems"]:
    """The largest length of a move's part that is orthogonal to both points."""
    into = np.linalg.pinv(points) @ points  # the projection on their span, (problems, dim, dim)
    return np.asarray(np.linalg.norm(moves - moves @ into, axis=-1).max(axis=-1))
