"""Figures of the chapters on width: tables in, Figure out."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, empty_figure


def shares_along(table: pd.DataFrame, columns: Mapping[str, str], *, chance: float) -> Figure:
    """Shares by degree against the clock, a panel for each k.

    Args:
        table: index k and clock. columns: column of the table to label.
        chance: the share of degree one in a table of normal rows.
    """
    dims = list(dict.fromkeys(table.index.get_level_values("k")))
    figure, axes = empty_figure(3.8 * len(dims), 3.3, len(dims))
    for axis, k in zip(axes, dims, strict=True):
        part = table.loc[k]
        for number, (column, label) in enumerate(columns.items()):
            style = {"color": PALETTE[number], "ls": DASHES[number % 4], "marker": "osD^v"[number]}
            axis.plot(part.index, part[column], label=label, ms=4, **style)
        axis.axhline(chance, color="0.5", lw=1, ls=":")
        axis.set(xscale="log", xlabel="clock (step size × steps)", title=f"k = {k}", ylim=(0, 1.02))
    axes[0].set(ylabel="share of weight")
    axes[-1].legend(frameon=False, fontsize=9, loc="center right")
    return figure
