"""Figures of the chapter on log-odds: tables in, Figure out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, empty_figure


def fit_and_direction(fits: pd.DataFrame, directions: pd.DataFrame) -> Figure:
    """KL divergence of explicit models against T, with the bound, and what their U lacks to 1.

    Args:
        fits: columns penalised, free, bound and product by T.
        directions: columns even, first order, balanced and unscaled by T.
    """
    figure, (left, right) = empty_figure(8.6, 3.4, 2)
    left.plot(fits.index, fits["bound"], color="0.3", ls="-", label="bound")
    for number, (column, marker) in enumerate((("penalised", "o"), ("free", "^"), ("product", "s"))):
        left.plot(fits.index, fits[column], marker, ms=5, color=PALETTE[number], label=column)
    left.set(yscale="log", xlabel="sharpness T", ylabel="KL divergence (nats)", xticks=list(fits.index)[::2])
    left.legend(frameon=False, fontsize=9)
    for number, column in enumerate(("unscaled", "balanced", "even", "first order")):
        shade = PALETTE[number] if number < 3 else "0.3"
        right.plot(directions.index, directions[column], ls=DASHES[number], color=shade, label=column)
    right.set(xscale="log", yscale="log", xlabel="sharpness T", ylabel="1 − U")
    right.legend(frameon=False, fontsize=9)
    return figure


def gaps_along(rows: pd.DataFrame, arms: Sequence[str]) -> Figure:
    """Gaps of the log-odds on agreeing and on contradicting pairs against the clock.

    Lines are medians over seeds, bands run from the 10th to the 90th percentile.

    Args:
        rows: columns arm, seed, clock, agreeing and contradicting (nats).
        arms: the arms shown, in this order.
    """
    figure, axes = empty_figure(8.6, 3.3, 2)
    for axis, gap in zip(axes, ("agreeing", "contradicting"), strict=True):
        for number, arm in enumerate(arms):
            spread = rows[rows["arm"] == arm].groupby("clock")[gap].quantile(np.array([0.1, 0.5, 0.9])).unstack()
            axis.fill_between(spread.index, spread[0.1], spread[0.9], color=PALETTE[number], alpha=0.2, lw=0)
            axis.plot(spread.index, spread[0.5], color=PALETTE[number], ls=DASHES[number], label=arm)
        axis.set(xscale="log", yscale="log", xlabel="clock (step size × steps)", ylabel=f"gap, {gap} pairs (nats)")
    axes[0].legend(frameon=False, fontsize=9)
    return figure


def ranks(table: pd.DataFrame) -> Figure:
    """Largest rank of the projections against the number of neighbours, with the bound 2^n.

    Args:
        table: by number of neighbours; columns "bound 2^n", completed, free and "completed, wider span".
    """
    figure, (axis,) = empty_figure(6.6, 3.2)
    axis.plot(table.index, table["bound 2^n"], color="0.3", ls="-", lw=1, label="$2^n$")
    shown = (("completed", "o"), ("completed, wider span", "s"), ("free", "^"))
    for number, (column, marker) in enumerate(shown):
        axis.plot(table.index, table[column], marker, ms=8, color=PALETTE[number], label=column, mfc="none", mew=1.8)
    axis.set(yscale="log", xlabel="neighbours n", ylabel="rank of the projections", xticks=list(table.index))
    axis.set_yscale("log", base=2)
    axis.set_yticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    axis.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
