"""The statistics that the verdicts use; thin over scipy.stats."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

from linrep.errors import InputError

Verdict = Literal["reproduced", "different", "undecided"]

MARGIN = 0.03
LEVEL = 0.05


@dataclass(frozen=True)
class Estimate:
    """A mean over `count` independent runs, with the standard error of that mean."""

    mean: float
    stderr: float
    count: int


def estimate(values: Float[np.ndarray, " runs"]) -> Estimate:
    """Mean and standard error of independent runs; the error of a single run is not known and is NaN.

    Raises:
        InputError: no values, or one that is not finite.
    """
    if len(values) == 0 or not np.isfinite(values).all():
        raise InputError(f"{len(values)} value(s), all of which must be finite: need at least 1")
    stderr = float(stats.sem(values)) if len(values) > 1 else float("nan")
    return Estimate(float(np.mean(values)), stderr, len(values))


@dataclass(frozen=True)
class Comparison:
    """Two estimates side by side.

    Attributes:
        difference: first minus second.
        low, high: the interval of the difference at confidence 1 − 2·LEVEL, the one that two one-sided tests use.
        verdict: see `compare`.
    """

    difference: float
    low: float
    high: float
    verdict: Verdict


def compare(ours: Estimate, theirs: Estimate, *, margin: float = MARGIN, level: float = LEVEL) -> Comparison:
    """Equivalence of two means by two one-sided Welch tests (Schuirmann 1987), from means and standard errors.

    The rule, fixed before any comparison: "reproduced" when both one-sided tests reject a difference of `margin` or
    more at `level`; otherwise "different" when a two-sided test rejects equality at `level`; otherwise "undecided".

    Raises:
        InputError: an estimate from fewer than two runs.
    """
    if min(ours.count, theirs.count) < 2:
        raise InputError(f"estimates from {ours.count} and {theirs.count} run(s); a comparison needs 2 or more of each")
    difference = ours.mean - theirs.mean
    variances = np.array([ours.stderr**2, theirs.stderr**2])
    stderr = float(np.sqrt(variances.sum()))
    freedom = variances.sum() ** 2 / (variances**2 / [ours.count - 1, theirs.count - 1]).sum() if stderr else np.inf
    return _judge(difference, stderr, float(freedom), margin, level)


def compare_paired(
    ours: Float[np.ndarray, " runs"],
    theirs: Float[np.ndarray, " runs"],
    *,
    margin: float = MARGIN,
    level: float = LEVEL,
) -> Comparison:
    """The same rule for two arms that share their seeds: two one-sided t tests on the differences, seed by seed.

    Raises:
        InputError: fewer than two pairs, or values that are not finite.
    """
    if len(ours) < 2:
        raise InputError(f"{len(ours)} pair(s); a comparison needs 2 or more")
    found = estimate(np.asarray(ours - theirs))
    return _judge(found.mean, found.stderr, found.count - 1, margin, level)


def _judge(difference: float, stderr: float, freedom: float, margin: float, level: float) -> Comparison:
    """The interval and the verdict."""
    low, high = (difference + stderr * stats.t.ppf([level, 1 - level], freedom)).tolist()
    half = stderr * float(stats.t.ppf(1 - level / 2, freedom))
    verdict: Verdict = "undecided"
    if -margin < low and high < margin:
        verdict = "reproduced"
    elif abs(difference) > half:
        verdict = "different"
    return Comparison(difference, low, high, verdict)
