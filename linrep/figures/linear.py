"""Figures of the chapter on what "linear" means: arrays in, Figure out."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, STYLE, empty_figure

MARKERS = ("o", "s", "^", "D")


def token_clouds(
    panels: Mapping[str, Float[np.ndarray, "tokens 3"]],
    clusters: Mapping[str, Sequence[str]],
    pairs: Sequence[Int[np.ndarray, "_ 2"]],
    edges: Mapping[str, Sequence[int]],
) -> Figure:
    """The tokens of several context sets in space, side by side on axes of one length.

    Args:
        panels: by heading, the points, already turned as they shall be seen.
        clusters: by heading, the name of the cluster of each token, written once beside its centre.
        pairs: the counterfactual pairs of each concept.
        edges: by heading, the concepts whose pairs are joined, each with its dash.
    """
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(9.6, 3.9))
    plt.close(figure)
    reach = 1.05 * max(float(np.abs(points).max()) for points in panels.values())
    for place, (heading, points) in enumerate(panels.items()):
        # placed by hand: the automatic layouts leave more white than box around three dimensions
        axis: Any = figure.add_axes((place / len(panels), 0.09, 1 / len(panels), 0.85), projection="3d")
        axis.computed_zorder = False
        for concept in edges[heading]:
            for number, ends in enumerate(pairs[concept]):
                name = f"concept {concept + 1}" if number == 0 else None
                axis.plot(*points[ends].T, color="0.45", lw=1.3, ls=DASHES[concept], zorder=1, label=name)
        _tokens(axis, points, clusters[heading], 0.09 * reach)
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
        axis.set(xticklabels=[], yticklabels=[], zticklabels=[])
        axis.view_init(elev=26, azim=-52)
        axis.set_box_aspect((1, 1, 1), zoom=1.08)
        axis.text2D(0.5, -0.1, heading, transform=axis.transAxes, ha="center", fontsize=10)
    figure.legend(*axis.get_legend_handles_labels(), loc="upper center", ncols=len(pairs), frameon=False, fontsize=9)
    return figure


def _tokens(axis: Any, points: Float[np.ndarray, "tokens 3"], clusters: Sequence[str], lift: float) -> None:
    """The points, one colour and marker for each cluster if they are few, and the clusters' names above them."""
    names = list(dict.fromkeys(clusters))
    for number, name in enumerate(names):
        inside = points[[cluster == name for cluster in clusters]]
        few = len(names) <= len(MARKERS)
        colour, marker = (PALETTE[number], MARKERS[number]) if few else ("0.2", "o")
        axis.scatter(*inside.T, color=[colour], marker=marker, s=28, depthshade=False, zorder=2)
        x, y, z = inside.mean(axis=0)
        axis.text(x, y, z + lift, name, fontsize=9, ha="center", zorder=3)


def seeds_by_set(table: pd.DataFrame, column: str, label: str, marks: Mapping[str, float]) -> Figure:
    """One dot for each seed and context set, and a bar at their mean; open dots are seeds that did not fit.

    Args:
        table: columns contexts, fitted and `column`. marks: label to height, drawn as horizontal lines.
    """
    figure, (axis,) = empty_figure(8.4, 3.2)
    sets = list(dict.fromkeys(table["contexts"]))
    for place, name in enumerate(sets):
        part = table[table["contexts"] == name].sort_values(column)
        spread = place + 0.5 * (np.arange(len(part)) / max(len(part) - 1, 1) - 0.5)
        fitted = part["fitted"].to_numpy(bool)
        values = part[column].to_numpy(float)
        axis.scatter(spread[fitted], values[fitted], s=16, color=[PALETTE[0]])
        axis.scatter(spread[~fitted], values[~fitted], s=16, facecolors="none", edgecolors=[PALETTE[3]])
        axis.plot([place - 0.35, place + 0.35], [values.mean()] * 2, color="black", lw=1.5)
    for number, (text, height) in enumerate(marks.items()):
        axis.axhline(height, color="0.5", lw=1, ls=DASHES[1 + number % 3], label=text, zorder=0)
    axis.set(xticks=range(len(sets)), xticklabels=sets, xlabel="contexts trained on", ylabel=label)
    axis.legend(frameon=False, fontsize=9, loc="lower left")
    return figure
