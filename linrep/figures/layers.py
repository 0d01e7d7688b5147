"""Figures of the chapters on layers and on steering: tables in, Figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, empty_figure


def courses(tables: Mapping[str, pd.DataFrame], untrained: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean own cosine by layer with its interval, the mean absolute cosine with others, and untrained models.

    Args:
        tables: by the name of a panel; index layer; columns own, low, high, others.
        untrained: for the same panels, a column for each model.
    """
    figure, axes = empty_figure(3.8 * len(tables), 3.4, len(tables))
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        layer = table.index.to_numpy()
        axis.plot(layer, table["own"], color=PALETTE[0], marker="o", ms=3, label="own words")
        axis.fill_between(layer, table["low"], table["high"], color=PALETTE[0], alpha=0.2, lw=0)
        axis.plot(layer, table["others"], color=PALETTE[1], ls=DASHES[1], label="other words, mean |cosine|")
        for number, column in enumerate(untrained[name]):
            label = "own words, untrained" if number == 0 else None
            axis.plot(layer, untrained[name][column], color="0.55", ls=DASHES[2], label=label)
        axis.axhline(0, color="0.7", lw=0.8)
        axis.set(xlabel="layer", title=name)
    axes[0].set(ylabel="cosine, mean over concepts")
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside lower center", ncols=3)
    return figure


def by_concept(table: pd.DataFrame, *, largest: float) -> Figure:
    """Own cosines of concepts (rows) by layer (columns).

    Args:
        largest: the cosine at which the colours end, on both sides of zero.
    """
    figure, (axis,) = empty_figure(0.19 * table.shape[1] + 2.8, 0.24 * len(table) + 1)
    sns.heatmap(table, ax=axis, cmap="RdBu_r", vmin=-largest, vmax=largest, yticklabels=True, xticklabels=5,
                cbar_kws={"label": "cosine with its own words", "shrink": 0.7})  # fmt: skip
    axis.set(xlabel="layer", ylabel="")
    axis.tick_params(axis="both", length=0, labelsize=9)
    return figure


def effects(tables: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> Figure:
    """Means with intervals, a panel for each measure, a row for each direction.

    Args:
        tables: by the label of a panel; index direction; the measure, low and high.
        columns: the measure of each panel.
    """
    rows = max(len(table) for table in tables.values())
    figure, axes = empty_figure(3.7 * len(tables), 0.32 * rows + 1.1, len(tables))
    for axis, column, (label, table) in zip(axes, columns, tables.items(), strict=True):
        place, mean = np.arange(len(table))[::-1], table[column].to_numpy(float)
        axis.hlines(place, table["low"], table["high"], color=PALETTE[0], lw=1.5)
        axis.scatter(mean, place, color=PALETTE[0], zorder=3)
        axis.axvline(0, color="0.6", lw=0.8)
        axis.set(yticks=place, yticklabels=list(table.index), xlabel=label)
    return figure
