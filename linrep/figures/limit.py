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


def on_its_way(
    flows: Mapping[str, pd.DataFrame], descents: Mapping[str, pd.DataFrame], levels: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Two measures against the clock: gradient flow from each start as a line, descent as points, the path in black.

    Args:
        flows: by measure; index clock, a column for each start, and "path". descents: the same, without a path.
        levels: by measure, thin level lines by name.
    """
    figure, axes = empty_figure(8.6, 3.6, len(flows))
    for axis, (measure, table) in zip(axes, flows.items(), strict=True):
        axis.plot(table.index, table["path"], color="black", lw=1.2, ls=DASHES[3], label="path at λ = 1/t")
        for number, start in enumerate(table.columns.drop("path")):
            axis.plot(table.index, table[start], color=PALETTE[number], ls=DASHES[number], label=f"start {start}")
            points = descents[measure][start].dropna()
            axis.plot(points.index, points, color=PALETTE[number], marker=MARKERS[number], ls="", ms=5)
        for name, level in levels[measure].items():
            axis.axhline(level, color="0.5", lw=0.8)
            axis.annotate(name, (table.index[-1], level), fontsize=8, ha="right", va="bottom")
        axis.set(xscale="log", xlabel="clock t", ylabel=measure)
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside right center")
    return figure
