"""Figures of the chapters on width: tables in, Figure out."""

from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

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
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside right center")
    return figure


def grids(tables: Mapping[int, pd.DataFrame], *, label: str) -> Figure:
    """A measure by width and start, a panel for each m; the row of k = m is framed.

    Args:
        tables: by m; index k, a column for each start.
    """
    rows = max(len(table) for table in tables.values())
    figure, axes = empty_figure(3.3 * len(tables), 0.4 * rows + 1.2, len(tables))
    for axis, (m, table) in zip(axes, tables.items(), strict=True):
        sns.heatmap(table, ax=axis, cmap="viridis", vmin=0, vmax=1, annot=True, fmt=".2f", cbar=False, linewidths=0.5,
                    annot_kws={"fontsize": 8})  # fmt: skip
        place = list(table.index).index(m)
        axis.add_patch(Rectangle((0, place), table.shape[1], 1, fill=False, ec="black", lw=2, clip_on=False))
        axis.set(title=f"{m} concepts", xlabel=f"start: scale S, {label}", ylabel="dimension k")
        axis.tick_params(length=0, labelsize=8)
    return figure


def against_width(tables: Mapping[str, pd.DataFrame], column: str, *, label: str) -> Figure:
    """A cosine with its standard error against k/m, a panel for each start, a line for each m.

    Args:
        tables: by the name of a panel; index m and k; columns `column` and `column` with " ±".
    """
    figure, axes = empty_figure(3.6 * len(tables), 3.3, len(tables))
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        for number, m in enumerate(dict.fromkeys(table.index.get_level_values("m").tolist())):
            rows = table.loc[m]
            style = {"color": PALETTE[number], "ls": DASHES[number % 4], "marker": "osD^v"[number], "ms": 4}
            axis.errorbar(rows.index / m, rows[column], rows[f"{column} ±"], label=f"m = {m}", capsize=2, **style)
        axis.axvline(1, color="0.5", lw=1, ls=":")
        axis.set(xscale="log", xlabel="k / m", title=name, ylim=(0, 1.02))
        axis.set_xticks([0.5, 1, 2, 4, 8], ["½", "1", "2", "4", "8"])
        axis.minorticks_off()
    axes[0].set(ylabel=label)
    axes[-1].legend(frameon=False, fontsize=9)
    return figure


def courses(tables: Mapping[str, pd.DataFrame], column: str, *, label: str) -> Figure:
    """A measure against the clock, a panel for each start, a line for each k.

    Args:
        tables: by the name of a panel; index k and clock.
    """
    figure, axes = empty_figure(3.6 * len(tables), 3.3, len(tables))
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        for number, (k, part) in enumerate(table[column].groupby(level="k")):
            line = part.droplevel("k")
            style = {"color": PALETTE[number % 10], "ls": DASHES[number % 4], "marker": "osD^vP*"[number % 7], "ms": 4}
            axis.plot(line.index, line, label=f"k = {k}", **style)
        axis.set(xscale="log", xlabel="clock (step size × steps)", title=name, ylim=(0, 1.02))
    axes[0].set(ylabel=label)
    axes[-1].legend(frameon=False, fontsize=8, ncols=2)
    return figure


def effects(tables: Mapping[str, pd.DataFrame], cosines: Sequence[str] = ("U", "E")) -> Figure:
    """What each arm adds to two cosines, with 90 % intervals; a panel for each k.

    Args:
        tables: by the name of a panel; index arm and cosine; columns difference, low, high.
    """
    arms = list(dict.fromkeys(next(iter(tables.values())).index.get_level_values("arm")))
    figure, axes = empty_figure(4.4 * len(tables), 0.27 * len(arms) + 1.2, len(tables))
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        for number, cosine in enumerate(cosines):
            part = table.xs(cosine, level="cosine").loc[arms]
            place = [row + (number - 0.5) * 0.3 for row in range(len(arms))]
            error = [part["difference"] - part["low"], part["high"] - part["difference"]]
            axis.errorbar(
                part["difference"], place, xerr=error, fmt="os"[number], ms=4, color=PALETTE[number], label=cosine
            )
        axis.axvspan(-0.03, 0.03, color="0.85", zorder=0)
        axis.axvline(0, color="0.4", lw=1)
        axis.set(
            yticks=range(len(arms)), yticklabels=arms if axis is axes[0] else [], xlabel="arm less descent", title=name
        )
        axis.invert_yaxis()
    axes[-1].legend(frameon=False, fontsize=9)
    return figure


def statement(table: pd.DataFrame, cosines: Sequence[str] = ("U", "E"), *, linear: float) -> Figure:
    """Two cosines with their standard errors, a row for each setting, settings in groups.

    Args:
        table: index group and row; a column for each cosine, and one with " ±" for its standard error.
        linear: from where on a cosine is shaded as linear.
    """
    groups = list(dict.fromkeys(table.index.get_level_values(0)))
    places: list[float] = []
    row = 0.0
    figure, (axis,) = empty_figure(6.8, 0.23 * (len(table) + 1.6 * len(groups)) + 0.8)
    for group in groups:
        axis.text(-0.01, row, group, transform=axis.get_yaxis_transform(), ha="right", va="center", weight="bold",
                  fontsize=9)  # fmt: skip
        part = table.loc[group]
        rows = [row + 1 + place for place in range(len(part))]
        for number, cosine in enumerate(cosines):
            moved = [place + (number - 0.5) * 0.3 for place in rows]
            axis.errorbar(part[cosine], moved, xerr=part[f"{cosine} ±"], fmt="os"[number], ms=4, color=PALETTE[number],
                          label=cosine if group == groups[0] else None)  # fmt: skip
        places, row = places + rows, rows[-1] + 1.6
    axis.axvspan(linear, 1, color="0.85", zorder=0)
    axis.set(xlim=(0, 1.02), ylim=(row - 0.6, -0.8), yticks=places, xlabel="mean cosine",
             yticklabels=table.index.get_level_values(1))  # fmt: skip
    axis.tick_params(labelsize=8)
    axis.grid(axis="x", color="0.93")
    axis.legend(frameon=False, fontsize=9, loc="lower left")
    return figure
