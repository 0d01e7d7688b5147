"""Figures of the chapter on room: tables in, Figure out."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, empty_figure


def by_rank(tables: Mapping[str, pd.DataFrame], *, label: str) -> Figure:
    """A measure against the number of leading dimensions, a panel for each order, a line for each arm.

    Args:
        tables: by the name of a panel; index r, a column for each arm.
    """
    figure, axes = empty_figure(3.6 * len(tables), 3.6, len(tables))
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        for number, arm in enumerate(table.columns):
            style = {"color": PALETTE[number], "ls": DASHES[number % 4], "marker": "osD^v"[number % 5], "ms": 4}
            axis.plot(table.index, table[arm], label=arm, **style)
        axis.axhline(0, color="0.6", lw=0.8)
        axis.set(xscale="log", xlabel="leading dimensions r", title=name)
        axis.set_xticks(list(table.index), [str(rank) for rank in table.index], rotation=60)
        axis.minorticks_off()
    top = max(float(table.to_numpy().max()) for table in tables.values())
    for axis in axes:
        axis.set_ylim(-0.1 * top, 1.1 * top)
    axes[0].set(ylabel=label)
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside lower center", ncols=5)
    return figure


def shares(table: pd.DataFrame, marks: Mapping[str, float]) -> Figure:
    """The share at the pair of each family, with the mean of its null.

    Args:
        table: index the family; columns share, fourth.
        marks: shares by name, drawn as lines.
    """
    ordered = table.sort_values("share")
    figure, (axis,) = empty_figure(6.8, 0.25 * len(ordered) + 1.2)
    place = range(len(ordered))
    axis.scatter(ordered["share"], place, color=PALETTE[0], label="squares")
    axis.scatter(ordered["fourth"], place, marker="x", color=PALETTE[1], label="fourth word from another square")
    for number, (name, value) in enumerate(marks.items()):
        axis.axvline(value, color="0.4", lw=1.2, ls=DASHES[1 + number % 3], label=name)
    axis.set(yticks=place, yticklabels=list(ordered.index), xlabel="share of the weight at the pair", xlim=(0, None))
    figure.legend(*axis.get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside lower center", ncols=2)
    return figure


def against_dim(table: pd.DataFrame, column: str, *, label: str) -> Figure:
    """A measure against the width of our own tables, a line for each start.

    Args:
        table: index scale and k.
    """
    figure, (axis,) = empty_figure(5.4, 3.4)
    for number, scale in enumerate(dict.fromkeys(table.index.get_level_values("scale"))):
        line = table.loc[scale][column]
        axis.plot(line.index, line, color=PALETTE[number], ls=DASHES[number], marker="os"[number],
                  label=f"start N(0, {scale:g}²)")  # fmt: skip
    axis.set(xscale="log", xlabel="dimension k", ylabel=label, ylim=(0, None))
    ks = sorted(set(table.index.get_level_values("k")))
    axis.set_xticks(ks, [str(k) for k in ks])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=9, loc="lower left")
    return figure
