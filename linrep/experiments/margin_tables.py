"""Theorem 4: the pace of descent, the sizes of its steps, and what they show, as tables."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.experiments.margin_run import SHARE, Course, Problems, along_clock
from linrep.theory.margin import longest, two_point_direction
from linrep.theory.margin_descent import descent, step_bound


def pace_table(plain: Course, anew: Course, steps: Sequence[float] = (1e2, 1e3, 1e4, 1e6, 1e9, 1e12)) -> pd.DataFrame:
    """1 − cos(Δ_c, ŵ) at some numbers of steps at the bound, of a plain run and of one whose step is set anew.

    Median, 90th percentile; then 2|Δ_c|²(1 − cos)/|q|², whose limit is 1: 10th percentile, median, 90th percentile.
    Runs that ended before are left out; reached is the number of the others.
    """
    both = [along_clock(course, course.gaps(), steps).reshape(len(steps), -1) for course in (plain, anew)]
    law = along_clock(anew, anew.laws(), steps).reshape(len(steps), -1)
    rows = {}
    for place, number in enumerate(steps):
        reached = ~np.isnan(both[1][place])
        far, ratio = both[1][place][reached], law[place][reached]
        rows[f"10^{round(np.log10(number))}"] = {
            "plain, median": np.median(both[0][place]),
            "anew, median": np.median(far),
            "90 %": np.quantile(far, 0.9),
            "law, 10 %": np.quantile(ratio, 0.1),
            "median": np.median(ratio),
            "90 % ": np.quantile(ratio, 0.9),
            "reached": int(reached.sum()),
        }
    return pd.DataFrame(rows).T.astype({"reached": int}).rename_axis("steps")


def difference_table(first: Course, others: dict[str, Course], steps: Sequence[float]) -> pd.DataFrame:
    """By how much 1 − cos differs between a run and others at the same clock: median and largest over classifiers."""
    base, rows = along_clock(first, first.gaps(), steps), []
    for name, course in others.items():
        apart = np.abs(along_clock(course, course.gaps(), steps) - base)
        for place, number in enumerate(steps):
            found = {"median": np.median(apart[place]), "largest": apart[place].max()}
            rows.append({"against": name, "steps": f"10^{round(np.log10(number))}"} | found)
    return pd.DataFrame(rows).set_index(["against", "steps"])


def pace_lines(plain: Course, anew: Course, *, last: float = 100.0) -> pd.DataFrame:
    """What the figure draws: 1 − cos(Δ_c, ŵ) and the theorem's bound against the number of steps at the bound.

    Args:
        last: the largest ln(steps) that is drawn of the run whose step is set anew.

    Returns:
        Columns run, clock (ln steps), low, middle, high (10th, 50th, 90th percentile of the gaps), promise (median).
        Only the classifiers that get to the last clock, so that each line is of the same ones throughout.
    """
    frames = []
    kept = anew.clock[-1] > last
    for name, course, end in (("plain", plain, float(plain.clock.max())), ("anew", anew, last)):
        clock = np.geomspace(np.log(10.0), end - 1e-6, 30)
        gaps = along_clock(course, course.gaps(), np.expm1(clock).tolist())[:, kept]
        promises = along_clock(course, course.promises(), np.expm1(clock).tolist())[:, kept]
        low, middle, high = np.quantile(gaps, [0.1, 0.5, 0.9], axis=1)
        line = {"run": name, "clock": clock, "low": low, "middle": middle, "high": high}
        frames.append(pd.DataFrame(line | {"promise": np.median(promises, axis=1)}))
    return pd.concat(frames, ignore_index=True)


def step_rows(problems: Problems, *, multiples: Sequence[float] = (1, 2, 10, 100), steps: int = 2000) -> pd.DataFrame:
    """Plain descent at multiples of the theorem's bound, one row for each multiple and classifier.

    Returns:
        Columns multiple, opposed (f1·f0 ≤ 0), monotone, finite.
    """
    bound = step_bound(problems.points, problems.start)
    opposed = (problems.points[:, 0] * problems.points[:, 1]).sum(axis=-1) >= 0  # x_1·x_2 = −f1·f0
    frames = []
    for multiple in multiples:
        run = descent(problems.points, problems.start, step=multiple * bound, marks=(steps,), freeze=True)
        shown = np.broadcast_to(opposed[:, None], run.monotone.shape).ravel()
        found = {"multiple": multiple, "opposed": shown, "monotone": run.monotone.ravel(), "finite": run.finite.ravel()}
        frames.append(pd.DataFrame(found))
    return pd.concat(frames, ignore_index=True)


def step_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Counts of classifiers for each sign of f1·f0 and each multiple."""
    named = rows.assign(product=np.where(rows["opposed"], "f1·f0 ≤ 0", "f1·f0 > 0"))
    grouped = named.groupby(["product", "multiple"])
    return pd.DataFrame(
        {
            "classifiers": grouped.size(),
            "loss never rises": grouped["monotone"].sum(),
            "blown up": grouped.size() - grouped["finite"].sum(),
        }
    )


def borderline(problems: Problems) -> Problems:
    """The same with x_1 moved until x_1 − x_2 is at a right angle to x_2: κ_2 = 0, up to rounding."""
    first, second = problems.points[:, 0], problems.points[:, 1]
    share = (first * second).sum(axis=-1) / (second**2).sum(axis=-1)
    return replace(problems, points=np.stack([first + (1 - share)[:, None] * second, second], axis=1))


def drifts(problems: Problems, *, steps: int = 5000) -> Float[np.ndarray, "problems classifiers"]:
    """How far the part of Δ_c orthogonal to ŵ still moves in the last nine tenths of a run with steps set anew."""
    size = SHARE * 0.5 / longest(problems.points) ** 2
    run = descent(problems.points, problems.start, step=size, marks=(steps // 10, steps), normalised=True)
    moved, along = run.classifiers[1] - run.classifiers[0], two_point_direction(problems.points).direction[:, None]
    return np.asarray(np.linalg.norm(moved - (moved * along).sum(axis=-1, keepdims=True) * along, axis=-1))


def smallest_pair_cosine(course: Course) -> float:
    """The smallest cosine between two classifiers of a problem at the end of a run, over all problems."""
    last = course.run.classifiers[-1]
    unit = last / np.linalg.norm(last, axis=-1, keepdims=True)
    return float((unit @ unit.mT).min())
