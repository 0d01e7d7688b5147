"""Theorem 4: the pace of descent, the sizes of its steps, and what they show, as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.experiments.margin_run import SHARE, Course, Problems, along_clock, plain_run
from linrep.theory.margin import longest, two_point_direction
from linrep.theory.margin_descent import Descent, descent, step_bound

REGULAR, RIGHT_ANGLE = "as drawn", "x₁·x₂ = |x₂|²"
"""Rows of `drift_table`: the problems, and those in which x_1 − x_2 is at a right angle to x_2."""

LEANS = {"x₁·x₂ = |x₂|²/2": 0.5, RIGHT_ANGLE: 1.0, "x₁·x₂ = 2|x₂|²": 2.0}
"""Where x_1 is moved to: the right angle, and one place on each side of it."""


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


def step_rows(problems: Problems, *, factors: Sequence[float] = (1, 2, 4, 10, 100), steps: int = 2000) -> pd.DataFrame:
    """Plain descent at multiples of each classifier's own bound, one row for each multiple and classifier.

    Returns:
        Columns multiple, opposed (f1·f0 ≤ 0), monotone, finite.
    """
    count, dim = problems.start.shape[-2:]
    points, start = np.repeat(problems.points, count, axis=0), problems.start.reshape(-1, 1, dim)
    bound = step_bound(points, start)
    opposed = (points[:, 0] * points[:, 1]).sum(axis=-1) >= 0  # x_1·x_2 = −f1·f0
    frames = []
    for multiple in factors:
        run = descent(points, start, step=multiple * bound, marks=(steps,), freeze=True)
        found = {"opposed": opposed, "monotone": run.monotone[:, 0], "finite": run.finite[:, 0]}
        frames.append(pd.DataFrame(found | {"multiple": multiple}))
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


def leaning(problems: Problems, lean: float) -> Problems:
    """The same with x_1 moved along x_2 until x_1·x_2 = lean |x_2|²; 1 makes κ_2 = 0, up to rounding."""
    first, second = problems.points[:, 0], problems.points[:, 1]
    share = (first * second).sum(axis=-1) / (second**2).sum(axis=-1)
    return replace(problems, points=np.stack([first + (lean - share)[:, None] * second, second], axis=1))


def drifts(problems: Problems, *, steps: int = 5000) -> Float[np.ndarray, "problems classifiers"]:
    """How far the part of Δ_c orthogonal to ŵ still moves in the last nine tenths of a run with steps set anew."""
    size = SHARE * 0.5 / longest(problems.points) ** 2
    run = descent(problems.points, problems.start, step=size, marks=(steps // 10, steps), normalised=True)
    moved, along = run.classifiers[1] - run.classifiers[0], two_point_direction(problems.points).direction[:, None]
    return np.asarray(np.linalg.norm(moved - (moved * along).sum(axis=-1, keepdims=True) * along, axis=-1))


def drift_table(problems: Problems) -> pd.DataFrame:
    """`drifts` of the problems as they are and with x_1 moved: percentiles over classifiers."""
    sets = {REGULAR: problems} | {name: leaning(problems, lean) for name, lean in LEANS.items()}
    found = {name: drifts(moved) for name, moved in sets.items()}
    rows = {name: [*np.quantile(drift, [0.1, 0.5, 0.9]), drift.max()] for name, drift in found.items()}
    return pd.DataFrame(rows, index=["10 %", "median", "90 %", "largest"]).T


def multiples(problems: Problems) -> Problems:
    """The control of Theorem 4: the same starts and x_2, and x_1 = −2 x_2, that is f1 = 2 f0."""
    second = problems.points[:, 1]
    return replace(problems, points=np.stack([-2 * second, second], axis=1))


def stalled_cosines(problems: Problems, *, steps: int = 20_000) -> Float[np.ndarray, " problems"]:
    """`pair_cosines` after a run as in `anew_run`, which wants a margin, on `multiples` of the problems."""
    moved = multiples(problems)
    size = SHARE * 0.5 / longest(moved.points) ** 2
    return pair_cosines(descent(moved.points, moved.start, step=size, marks=(steps,), normalised=True))


def pair_cosines(run: Descent) -> Float[np.ndarray, " problems"]:
    """The smallest cosine between two classifiers of a problem at the end of a run."""
    last = run.classifiers[-1]
    unit = last / np.linalg.norm(last, axis=-1, keepdims=True)
    return np.asarray((unit @ unit.mT).min(axis=(-2, -1)))


def pair_table(cosines: Mapping[str, Float[np.ndarray, " problems"]]) -> pd.DataFrame:
    """Each problem's smallest cosine, over problems: smallest, median, largest."""
    rows = {name: [found.min(), np.median(found), found.max()] for name, found in cosines.items()}
    return pd.DataFrame(rows, index=["smallest", "median", "largest"]).T


def what_makes_it_fast(trained: Problems, drawn: Problems) -> dict[str, Problems]:
    """Trained problems, and the same with one thing changed; random problems beside them."""
    return {
        "trained": trained,
        "trained, f half as long": replace(trained, points=0.5 * trained.points),
        "trained, starts 5 times as long": replace(trained, start=5 * trained.start),
        "random": drawn,
        "random, starts a fifth as long": replace(drawn, start=0.2 * drawn.start),
    }


def speed_table(sets: Mapping[str, Problems], steps: Sequence[int] = (450, 3000)) -> pd.DataFrame:
    """Medians: γ/R, the length of the start's part orthogonal to ŵ, and 1 − cos(Δ_c, ŵ) after some plain steps."""
    rows = {}
    for name, problems in sets.items():
        run = plain_run(problems, steps=max(steps))
        along = run.margin.direction[:, None]
        off = problems.start - (problems.start * along).sum(axis=-1, keepdims=True) * along
        gaps = along_clock(run, run.gaps(), steps)
        rows[name] = {
            "γ/R": np.median(run.margin.margin / longest(problems.points)),
            "start off ŵ": np.median(np.linalg.norm(off, axis=-1)),
        } | {f"{number:,} steps": np.median(gap) for number, gap in zip(steps, gaps, strict=True)}
    return pd.DataFrame(rows).T
