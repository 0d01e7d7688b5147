"""Figures of the chapter on orthogonality: tables in, Figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from linrep.figures.style import DASHES, PALETTE, empty_figure
from linrep.theory.orthogonality import RELATIONS


def by_relation(theorem: pd.DataFrame, corollary: pd.DataFrame) -> Figure:
    """Mean |cosine| of Theorem 7 and of Corollary 8, with standard errors, one point for each arm and relation.

    Args:
        theorem, corollary: indexed by arm and relation, with the columns |cosine| and |cosine| ±.
    """
    figure, (left, right) = empty_figure(8.4, 3.4, 2)
    arms = list(dict.fromkeys(theorem.index.get_level_values("arm")))
    for axis, table in ((left, theorem), (right, corollary)):
        for number, relation in enumerate(RELATIONS):
            part = table.xs(relation, level="relation")
            place = np.array([arms.index(arm) for arm in part.index]) + (number - 1) * 0.2
            mean, error = part["|cosine|"].to_numpy(float), part["|cosine| ±"].to_numpy(float)
            axis.errorbar(place, mean, error, fmt="os^"[number], color=PALETTE[number], capsize=3, label=relation)
        axis.set_xticks(range(len(arms)), [arm.replace(" ", "\n", 1) for arm in arms], fontsize=9)
        axis.set_xlim(-0.5, len(arms) - 0.5)
        axis.set_ylim(bottom=0)
    left.set_ylabel("Theorem 7: mean |cosine|")
    right.set_ylabel("Corollary 8: mean |cosine|")
    right.legend(frameon=False, fontsize=9)
    return figure


def dependence(points: Mapping[str, pd.DataFrame]) -> Figure:
    """The model's second difference at ⋄...⋄ against the world's log odds ratio, one panel for each arm.

    Args:
        points: arm to a table with one row for each square: adjacent, true, model.
    """
    figure, axes = empty_figure(3.9 * len(points), 3.5, len(points))
    for axis, (arm, table) in zip(axes, points.items(), strict=True):
        for number, (adjacent, label) in enumerate(((True, "adjacent"), (False, "not adjacent"))):
            part = table[table["adjacent"] == adjacent]
            axis.scatter(part["true"], part["model"], s=9, marker="ox"[number], color=PALETTE[number], label=label)
        ends = np.array([table["true"].min(), table["true"].max()])
        axis.plot(ends, ends, color="0.3", ls="--", lw=1, label="exact log-odds")
        axis.set(xlabel="ln OR of the world", ylabel=f"f(⋄⋄⋄⋄)·□g, {arm}", ylim=(-2.2, 2.2))
    axes[0].legend(frameon=False, fontsize=9)
    return figure


def along_clock(rows: pd.DataFrame, panels: Mapping[str, str], *, dependent: Sequence[str] = ()) -> Figure:
    """Medians over seeds against the clock with bands from the 10th to the 90th percentile, one panel for each column.

    Args:
        rows: columns line, clock and those of `panels`.
        panels: column to its label.
        dependent: the columns that are drawn for the lines of dependent concepts only.
    """
    figure, axes = empty_figure(3.4 * len(panels), 3.5, len(panels))
    lines = list(dict.fromkeys(rows["line"]))
    for axis, (column, label) in zip(axes, panels.items(), strict=True):
        for number, line in enumerate(lines):
            if column not in dependent or not line.startswith("no edges"):
                _band(axis, rows[rows["line"] == line], column, number, line)
        axis.set(xscale="log", xlabel="clock (step size × steps)", ylabel=label)
    axes[0].set_yscale("log")
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0].yaxis.set_major_formatter(ScalarFormatter())
    axes[0].yaxis.set_minor_locator(NullLocator())
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def _band(axis: Axes, rows: pd.DataFrame, column: str, number: int, label: str) -> None:
    """One line with its band."""
    spread = rows.groupby("clock")[column].quantile(np.array([0.1, 0.5, 0.9])).unstack()
    axis.fill_between(spread.index, spread[0.1], spread[0.9], color=PALETTE[number], alpha=0.15, lw=0)
    axis.plot(spread.index, spread[0.5], color=PALETTE[number], ls=DASHES[number % len(DASHES)], label=label)
