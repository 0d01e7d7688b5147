"""Figures of the chapter on the limit: tables in, Figure out."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, empty_figure

HATCHES = ("", "//", "..", "xx")
MARKERS = ("o", "s", "^", "D")


def shares_and_linearity(shares: pd.DataFrame, linearity: Mapping[str, pd.Series]) -> Figure:
    """Left the parts of the nuclear norm by degree, stacked, against m; right U of some logits against m.

    Args:
        shares: one row for each m, one column for each degree, rows sum to 1. linearity: name to U by m.
    """
    figure, axes = empty_figure(8.6, 3.4, 2)
    bottom = np.zeros(len(shares))
    for number, (degree, part) in enumerate(shares.items()):
        axes[0].bar(shares.index, part, bottom=bottom, color=PALETTE[number], hatch=HATCHES[number], width=0.8,
                    edgecolor="white", label=f"degree {degree}")  # fmt: skip
        bottom = bottom + part.to_numpy()
    axes[0].set(xlabel="concepts m", ylabel="part of the nuclear norm", xticks=shares.index, ylim=(0, 1))
    axes[0].legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    for number, (name, values) in enumerate(linearity.items()):
        axes[1].plot(values.index, values, color=PALETTE[number], ls=DASHES[number], marker=MARKERS[number], ms=4,
                     label=name)  # fmt: skip
    axes[1].set(xlabel="concepts m", ylabel="mean cosine U", xticks=shares.index, ylim=(-0.03, 1.05))
    axes[1].legend(frameon=False, fontsize=8, loc="center right")
    return figure


def along_the_path(rows: pd.DataFrame, limits: Mapping[int, float]) -> Figure:
    """U against the decades of 1/λ, one line for each m, and the value of the margin problem as a thin line.

    Args:
        rows: columns m, strength, U. limits: U of the margin problem by m.
    """
    figure, (axis,) = empty_figure(5.8, 3.6)
    for number, (m, part) in enumerate(rows.groupby("m")):
        decades = -np.log10(part["strength"])
        axis.plot(decades, part["U"], color=PALETTE[number], ls=DASHES[number], marker=MARKERS[number], ms=4,
                  label=f"m = {m}")  # fmt: skip
        axis.axhline(limits[int(str(m))], color=PALETTE[number], lw=0.8, ls=DASHES[number])
    ticks = [1, 3, 10, 30, 100, 300]
    axis.set(xscale="log", xlabel="decades of 1/λ", ylabel="mean cosine U", ylim=(0, 1.05))
    axis.set_xticks(ticks, labels=[str(tick) for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.legend(frameon=False)
    return figure
