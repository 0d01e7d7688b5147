"""Figures of the chapter on the role of the loss: tables in, Figure out."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, empty_figure

STYLES: Mapping[str, tuple[int, int]] = {
    "cross-entropy": (0, 0),
    "zeros only": (2, 1),
    "probabilities": (1, 3),
    "smoothing 0.01": (9, 2),
    "smoothing 0.1": (4, 0),
    "smoothing 0.3": (6, 1),
    "products": (3, 2),
    "no zeros": (7, 3),
}
"""Place in the palette and in the dashes of each loss, in the order of the legend; the same in both figures."""


def along_the_clock(curves: pd.DataFrame) -> Figure:
    """U and the probability left on contradicting tokens against the clock.

    Lines are means over seeds (of the logarithm on the right), bands one standard error to either side.

    Args:
        curves: columns loss, clock, U, "U ±", "log leak", "log leak ±".
    """
    figure, (left, right) = empty_figure(8.8, 3.6, 2)
    _lines(left, curves, "U")
    left.set(xscale="log", xlabel="clock (step size × steps)", ylabel="U", ylim=(-0.1, 1.03))
    _lines(right, curves, "log leak")
    right.set(xscale="log", xlabel="clock (step size × steps)", ylabel="ln of the probability on contradicting tokens")
    right.legend(*left.get_legend_handles_labels(), frameon=False, fontsize=8, loc="lower left")
    return figure


def towards_the_optimum(curves: pd.DataFrame, optima: Mapping[str, float]) -> Figure:
    """U against the clock, with the U of the optimum where a loss has one that is computed.

    Args:
        curves: columns loss, clock, U, "U ±". optima: U at the optimum of some losses, by name.
    """
    figure, (axis,) = empty_figure(6.6, 3.6)
    _lines(axis, curves, "U")
    end = curves["clock"].max()
    for name, value in optima.items():
        axis.plot([1.15 * end], [value], "<", color=PALETTE[STYLES[name][0]], ms=6, clip_on=False)
    axis.set(xscale="log", xlabel="clock (step size × steps)", ylabel="U", ylim=(-0.05, 0.72))
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.03, 0.5))
    return figure


def _lines(axis: Axes, curves: pd.DataFrame, column: str) -> None:
    """One line and one band for each loss."""
    for name, (shade, dash) in STYLES.items():
        part = curves[curves["loss"] == name]
        if len(part):
            mean, error = part[column], part[f"{column} ±"]
            axis.fill_between(part["clock"], mean - error, mean + error, color=PALETTE[shade], alpha=0.2, lw=0)
            axis.plot(part["clock"], mean, color=PALETTE[shade], ls=DASHES[dash], lw=1.6, label=name)
