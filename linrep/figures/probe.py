"""Figures of a language model's unembedding: arrays in, Figure out."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float
from matplotlib.figure import Figure

from linrep.figures.style import PALETTE, STYLE, empty_figure


def cosine_heatmaps(
    matrices: Mapping[str, Float[np.ndarray, "concepts concepts"]], names: Sequence[str], *, largest: float
) -> Figure:
    """Mean cosine between the steering vectors of each two concepts, one panel above the other for each inner product.

    Args:
        largest: the cosine at which the colours end, on both sides of zero.
    """
    size = 0.2 * len(names)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(matrices),
            1,
            figsize=(size + 2.6, len(matrices) * (size + 0.3) + 1),
            layout="constrained",
            squeeze=False,
        )
    plt.close(figure)
    for number, (axis, (title, matrix)) in enumerate(zip(axes[:, 0], matrices.items(), strict=True)):
        last = number == len(matrices) - 1
        sns.heatmap(
            matrix, ax=axis, cmap="RdBu_r", vmin=-largest, vmax=largest, square=True, yticklabels=list(names),
            xticklabels=list(names) if last else False, cbar_kws={"label": f"mean cosine, {title}", "shrink": 0.7},
        )  # fmt: skip
        axis.tick_params(axis="both", length=0, labelsize=9)
    return figure


def within_against_null(table: pd.DataFrame) -> Figure:
    """Mean cosine within each concept, with its standard error, beside that of shuffled partners.

    Args:
        table: index the concept; columns within, stderr, shuffled.
    """
    ordered = table.sort_values("within")
    figure, (axis,) = empty_figure(6.4, 0.26 * len(ordered) + 1)
    place = np.arange(len(ordered))
    axis.hlines(place, ordered["shuffled"], ordered["within"], color="0.85", lw=1.5)
    within, error = ordered["within"].to_numpy(float), ordered["stderr"].to_numpy(float)
    axis.errorbar(within, place, xerr=error, fmt="o", color=PALETTE[0], capsize=2, label="word pairs")
    axis.scatter(ordered["shuffled"], place, marker="x", color=PALETTE[1], label="shuffled partners")
    axis.axvline(0, color="0.6", lw=0.8)
    axis.set(yticks=place, yticklabels=list(ordered.index), xlabel="mean cosine within the concept")
    axis.legend(frameon=False, loc="lower right")
    return figure


def own_against_others(table: pd.DataFrame, *, null: Mapping[str, Float[np.ndarray, " concepts"]]) -> Figure:
    """Cosine of each concept's context direction with its own word direction, with its interval, above what chance has.

    Args:
        table: index the concept; columns own, low, high, others.
        null: upper bounds of what chance gives, by label, in the order of the table.
    """
    order = np.argsort(table["own"].to_numpy(float))
    ordered, place = table.iloc[order], np.arange(len(table))
    figure, (axis,) = empty_figure(6.4, 0.26 * len(ordered) + 1)
    own = ordered["own"].to_numpy(float)
    axis.hlines(place, ordered["low"], ordered["high"], color=PALETTE[0], lw=1.5)
    axis.scatter(own, place, color=PALETTE[0], label="its own words")
    axis.scatter(ordered["others"], place, marker="x", color=PALETTE[1], label="other concepts, mean |cosine|")
    for number, (label, values) in enumerate(null.items()):
        axis.scatter(values[order], place, marker="|", s=60, color=PALETTE[2 + number], label=label)
    axis.axvline(0, color="0.6", lw=0.8)
    axis.set(yticks=place, yticklabels=list(ordered.index), xlabel="cosine of the two directions")
    axis.legend(frameon=False, loc="lower right", fontsize=9)
    return figure


def rows_by_columns(table: pd.DataFrame, *, largest: float) -> Figure:
    """Cosines of context concepts (rows) with word concepts (columns).

    Args:
        largest: the cosine at which the colours end, on both sides of zero.
    """
    height = max(0.27 * len(table) + 1.8, 3.8)  # the names of the columns need their room, however few the rows
    figure, (axis,) = empty_figure(0.27 * table.shape[1] + 2.4, height)
    sns.heatmap(table, ax=axis, cmap="RdBu_r", vmin=-largest, vmax=largest, square=True,
                cbar_kws={"label": "cosine", "shrink": 0.7}, xticklabels=True, yticklabels=True)  # fmt: skip
    axis.set(xlabel="directions of words", ylabel="directions of contexts")
    axis.tick_params(axis="both", length=0, labelsize=9)
    return figure
