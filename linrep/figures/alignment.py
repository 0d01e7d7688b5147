"""Figures of the chapter on alignment: arrays and tables in, Figure out."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, empty_figure

MARKERS = ("o", "s", "^", "D", "v")


def pair_paths(paths: pd.DataFrame) -> Figure:
    """cos(u, v) against the steps taken, one panel for each value of `panel`; a cross ends a line that blew up.

    Args:
        paths: columns panel, line, step, cosine, finite.
    """
    panels = list(dict.fromkeys(paths["panel"]))
    figure, axes = empty_figure(8.6, 3.4, len(panels))
    for axis, panel in zip(axes, panels, strict=True):
        part = paths[paths["panel"] == panel]
        for number, (name, line) in enumerate(part.groupby("line", sort=False)):
            colour, dash = PALETTE[number], _dash(number)
            axis.plot(line["step"] + 1, line["cosine"], color=colour, ls=dash, lw=1.6, label=name)
            if not line["finite"].all():
                axis.plot(line["step"].iloc[-1] + 1, line["cosine"].iloc[-1], "x", color=colour, ms=9, mew=2)
        axis.axhline(0, color="0.8", lw=0.8, zorder=0)
        axis.set(xscale="log", xlabel="steps + 1", ylabel="cos(u, v)", ylim=(-1.05, 1.05))
        axis.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def alignment_against_depth(gaps: pd.DataFrame, residuals: pd.DataFrame) -> Figure:
    """1 − the smallest cosine, and the stationarity residual, against −ln ℓ; medians and the 10th to 90th percentile.

    Args:
        gaps: columns k, depth, gap. residuals: columns k, depth, stationarity. Rows of one k share their depths.
    """
    figure, axes = empty_figure(8.6, 3.4, 2)
    shown = gaps[gaps["k"] > 1]
    _by_dimension(axes[0], shown, "gap")
    _by_dimension(axes[1], residuals, "stationarity")
    for axis, slope, start in ((axes[0], -1.0, 16.0), (axes[1], -0.5, 4.0)):
        depth = np.array([10.0, shown["depth"].max()])
        axis.plot(depth, start * depth**slope, color="0.2", lw=1.2, ls=(0, (1, 2)), label=f"slope −{-slope:g}")
        axis.set(xscale="log", yscale="log", xlabel="−ln loss")
        axis.legend(frameon=False, fontsize=9, loc="lower left")
    axes[0].set_ylabel("1 − smallest cosine")
    axes[1].set_ylabel("KKT stationarity residual")
    return figure


def closeness_along_training(training: pd.DataFrame) -> Figure:
    """Left, shares of entries with a positive product and with a positive bound; right, the least slack of any seed.

    Args:
        training: columns clock, positive, promised, sharp_promised, slack, sharp.
    """
    figure, (left, right) = empty_figure(8.6, 3.4, 2)
    shown = training[training["clock"] > 0]
    shares = {
        "positive": "product > 0",
        "sharp_promised": "bound > 0, ε of four",
        "promised": "bound > 0, ε of all",
    }
    for number, (column, label) in enumerate(shares.items()):
        means = shown.groupby("clock")[column].mean()
        left.plot(means.index, means, color=PALETTE[number], ls=DASHES[number], label=label)
    slacks = {"sharp": "ε of four", "slack": "ε of all"}
    for number, (column, label) in enumerate(slacks.items(), start=1):
        least = shown.groupby("clock")[column].min()
        right.plot(
            least.index, least, color=PALETTE[number], ls=DASHES[number], label=label, marker=MARKERS[number], ms=3
        )
    left.set(xscale="log", xlabel="clock (step size × steps)", ylabel="share of entries", ylim=(-0.03, 1.03))
    right.set(xscale="log", yscale="log", xlabel="clock (step size × steps)", ylabel="least product − bound")
    left.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 0.1))
    right.legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def _by_dimension(axis: Axes, table: pd.DataFrame, column: str) -> None:
    """One line with its band for each k."""
    for dim in table["k"].unique().tolist():
        part, number = table[table["k"] == dim], dim - 1
        spread = part.groupby("depth")[column].quantile(np.array([0.1, 0.5, 0.9])).unstack()
        axis.fill_between(spread.index, spread[0.1], spread[0.9], color=PALETTE[number], alpha=0.2, lw=0)
        axis.plot(spread.index, spread[0.5], color=PALETTE[number], ls=_dash(number), label=f"k = {dim}")


def _dash(number: int) -> object:
    """A dash for each line of a figure."""
    return (*DASHES, (0, (5, 1, 1, 1, 1, 1)))[number % 5]
