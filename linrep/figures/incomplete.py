"""Figures of incomplete worlds: arrays in, Figure out."""

import pandas as pd
from matplotlib.figure import Figure

from linrep.figures.style import PALETTE, empty_figure

MARKERS = "osD"


def fewer_dimensions(table: pd.DataFrame) -> Figure:
    """Mean cosines with standard errors against the dimension k; a panel for each number of concepts.

    Args:
        table: index m and k; for each cosine a column of its name, and one of its name and " ±".
    """
    sizes = list(dict.fromkeys(table.index.get_level_values("m")))
    cosines = [str(name) for name in table if not str(name).endswith("±")]
    figure, axes = empty_figure(3.6 * len(sizes), 3.2, len(sizes))
    for axis, m in zip(axes, sizes, strict=True):
        part = table.loc[m]
        for number, name in enumerate(cosines):
            place = part.index + (number - 1) * 0.06
            style = {"marker": MARKERS[number], "color": PALETTE[number], "label": name}
            axis.errorbar(place, part[name], part[f"{name} ±"], capsize=3, **style)
        axis.set(xticks=part.index, xlabel="dimension k", title=f"{m} concepts")
    lowest = float((table[cosines] - table[[f"{name} ±" for name in cosines]].to_numpy()).min().min())
    for axis in axes:
        axis.set_ylim(min(0.7, lowest - 0.02), 1.01)
    axes[0].set(ylabel="mean cosine")
    axes[0].legend(frameon=False, loc="lower right")
    return figure


def cosines_by_clock(table: pd.DataFrame, paper: pd.DataFrame) -> Figure:
    """Mean cosines against the clock, a panel for each cell, with the paper's as dotted lines.

    Args:
        table: index cell and clock; columns the cosines.
        paper: index cell and cosine; column paper.
    """
    cells = list(dict.fromkeys(table.index.get_level_values("cell")))
    cosines = list(dict.fromkeys(paper.index.get_level_values("cosine")))
    figure, axes = empty_figure(3.6 * len(cells), 3.2, len(cells))
    for axis, cell in zip(axes, cells, strict=True):
        for number, name in enumerate(cosines):
            line = table.loc[cell, name]
            axis.plot(line.index, line, marker=MARKERS[number], color=PALETTE[number], label=f"{name}, ours")
            axis.axhline(paper.loc[(cell, name), "paper"], color=PALETTE[number], ls=":", label=f"{name}, the paper")
        axis.set(xscale="log", xlabel="clock (step size × steps)", title=cell)
        axis.set_ylim(0, 1.02)
    axes[0].set(ylabel="mean cosine")
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside right center")
    return figure
