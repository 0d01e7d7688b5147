"""Figures of the chapter on balance: tables in, Figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, empty_figure

MARKERS = ("o", "s", "^", "D", "v")


def drift_by_step(rows: pd.DataFrame, panels: Mapping[str, tuple[str, int]]) -> Figure:
    """One dot for each seed against the step, on logarithmic axes, and a line of the slope that theory gives.

    Args:
        rows: columns step, seed and those of `panels`. panels: column to its label and its slope.
    """
    figure, axes = empty_figure(4.2 * len(panels), 3.3, len(panels))
    for axis, (column, (label, power)) in zip(axes, panels.items(), strict=True):
        middle = rows.groupby("step")[column].median()
        steps = middle.index.to_numpy(float)
        line = middle.to_numpy(float)[-1] * (steps / steps[-1]) ** power
        axis.scatter(rows["step"], rows[column], s=12, color=[PALETTE[0]], label="one seed")
        axis.plot(steps, line, color="0.3", ls="--", lw=1, label=f"slope {power}")
        axis.set(xscale="log", yscale="log", xlabel="step size η", ylabel=label, xticks=steps)
        axis.set_xticks([], minor=True)
        axis.set_xticklabels([f"1/{round(1 / step)}" if step < 1 else f"{step:g}" for step in steps])
    axes[0].legend(frameon=False, fontsize=9)
    return figure


def by_scale(rows: pd.DataFrame, sizes: Sequence[int], lines: Mapping[str, str]) -> Figure:
    """Columns against the scale of the start, one panel for each number of concepts: medians and ranges over seeds.

    Args:
        rows: columns m, scale, and those of `lines`. lines: column to its label.
    """
    figure, axes = empty_figure(4.2 * len(sizes), 3.5, len(sizes))
    shown = rows[rows["m"].isin(list(sizes))][list(lines)].to_numpy(float)
    least, most = shown.min(), shown.max()
    for axis, size in zip(axes, sizes, strict=True):
        for number, (column, label) in enumerate(lines.items()):
            _band(axis, rows[rows["m"] == size], column, number, label)
        axis.set(xscale="log", yscale="log", xlabel="scale S of the start", ylim=(least / 1.5, most * 1.5))
        axis.set_title(f"m = k = {size}", fontsize=10)
    axes[0].set_ylabel("|cosine|")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def departure_by_imbalance(rows: pd.DataFrame) -> Figure:
    """One dot for each run, its departure against what the imbalance allows; above the line would be a contradiction.

    Args:
        rows: columns m, departure, allowed.
    """
    figure, (axis,) = empty_figure(5.2, 3.6)
    for number, (size, part) in enumerate(rows.groupby("m")):
        axis.scatter(part["allowed"], part["departure"], s=16, color=[PALETTE[number]], marker=MARKERS[number % 5],
                     label=f"m = k = {size}")  # fmt: skip
    ends = np.array([rows["allowed"].min(), rows["allowed"].max()])
    axis.plot(ends, ends, color="0.3", ls="--", lw=1, label="2 tan(α/2)")
    axis.set(xscale="log", yscale="log", xlabel="2 tan(α/2), from imbalance and logits", ylabel="departure of |cosine|")
    axis.legend(frameon=False, fontsize=8)
    return figure


def _band(axis: Axes, rows: pd.DataFrame, column: str, number: int, label: str) -> None:
    """The median of one column over the seeds at each scale, and the range from the least to the largest."""
    spread = rows.groupby("scale")[column].quantile(np.array([0.0, 0.5, 1.0])).unstack()
    axis.fill_between(spread.index, spread[0.0], spread[1.0], color=PALETTE[number], alpha=0.15, lw=0)
    axis.plot(
        spread.index, spread[0.5], color=PALETTE[number], ls=DASHES[number], marker=MARKERS[number], ms=4, label=label
    )
