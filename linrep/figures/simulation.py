"""Figures of the simulated worlds: arrays in, Figure out."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, STYLE, empty_figure


def concept_graph(graph: nx.DiGraph, names: Sequence[str], notes: Sequence[str]) -> Figure:
    """The DAG of the concepts, parents on the left, with a note under each name."""
    figure, (axis,) = empty_figure(6, 3.6)
    layers = dict(enumerate(nx.topological_generations(graph)))
    for layer, nodes in layers.items():
        for node in nodes:
            graph.nodes[node]["layer"] = layer
    places = nx.multipartite_layout(graph, subset_key="layer")
    nx.draw_networkx_nodes(graph, places, node_size=2800, node_color="white", edgecolors=[PALETTE[0]], ax=axis)
    nx.draw_networkx_edges(graph, places, node_size=2800, arrowsize=18, edge_color="0.3", ax=axis)
    for node, (x, y) in places.items():
        axis.text(x, y, names[node], ha="center", va="center", fontsize=11)
        axis.annotate(notes[node], (x, y), (0, -34), textcoords="offset points", ha="center", va="top", fontsize=9)
    axis.margins(0.35, 0.4)
    axis.set_axis_off()
    return figure


def probability_table(
    p: Float[np.ndarray, "contexts tokens"], contexts: Sequence[str], tokens: Sequence[str]
) -> Figure:
    """p(c given d) as a table of shades with its numbers; an empty cell is an exact zero."""
    figure, (axis,) = empty_figure(0.75 * len(tokens) + 2.4, 0.42 * len(contexts) + 1)
    labels = np.where(p > 0, np.char.mod("%.2f", p), "")
    sns.heatmap(
        p, ax=axis, annot=labels, fmt="", cmap="Blues", vmin=0, vmax=1, linewidths=0.5, linecolor="0.85",
        xticklabels=list(tokens), yticklabels=list(contexts), cbar_kws={"label": "p(c given d)"},
    )  # fmt: skip
    axis.set(xlabel="token", ylabel="context")
    axis.tick_params(axis="both", length=0)
    plt.setp(axis.get_yticklabels(), rotation=0)
    return figure


def unembedding_cube(
    points: Float[np.ndarray, "tokens 3"],
    pairs: Sequence[Int[np.ndarray, "_ 2"]],
    names: Sequence[str],
    labels: Sequence[str],
) -> Figure:
    """Unembeddings of a three-dimensional space as points.

    An edge joins each counterfactual pair, coloured by concept.
    """
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(5.2, 4.6), layout="constrained")
        axis = figure.add_subplot(projection="3d", computed_zorder=False)
    plt.close(figure)
    for concept, (pair, name) in enumerate(zip(pairs, names, strict=True)):
        for number, ends in enumerate(pair):
            label = name if number == 0 else None
            axis.plot(*points[ends].T, color=PALETTE[concept], lw=2.2, ls=("-", "--", ":")[concept % 3], label=label)
    axis.scatter(*points.T, color="black", s=16, depthshade=False)
    for point, label in zip(points, labels, strict=True):
        axis.text(*(point * 1.12), label, fontsize=9)
    axis.set_box_aspect((1, 1, 1))
    axis.set(xticklabels=[], yticklabels=[], zticklabels=[])
    axis.legend(title="concept", loc="upper left", frameon=False, fontsize=9)
    return figure


def against_clock(record: pd.DataFrame, cosines: Mapping[str, str], marks: Mapping[str, float]) -> Figure:
    """KL divergence, and departures from a common direction, against the clock, both axes logarithmic.

    Lines are medians over seeds, bands run from the 10th to the 90th percentile.

    Args:
        record: columns seed, clock, kl and those of `cosines`; what is drawn is one minus the cosine.
        cosines: column to label.
        marks: label to clock, drawn as vertical lines.
    """
    figure, (left, right) = empty_figure(8.4, 3.3, 2)
    shown = record[record["clock"] > 0]
    _bands(left, shown, {"kl": "KL divergence"})
    _bands(right, shown.assign(**{column: 1 - shown[column] for column in cosines}), cosines)
    left.set(xscale="log", yscale="log", xlabel="clock (step size × steps)", ylabel="KL divergence (nats)")
    right.set(xscale="log", yscale="log", xlabel="clock (step size × steps)", ylabel="1 − mean cosine")
    for axis in (left, right):
        for number, (label, clock) in enumerate(marks.items()):
            axis.axvline(clock, color="0.4", lw=1, ls=("--", ":", "-.")[number % 3], label=label)
    right.legend(frameon=False, fontsize=9)
    return figure


def _bands(axis: Axes, record: pd.DataFrame, columns: Mapping[str, str]) -> None:
    """One line with its band for each column."""
    for number, (column, label) in enumerate(columns.items()):
        spread = record.groupby("clock")[column].quantile(np.array([0.1, 0.5, 0.9])).unstack()
        axis.fill_between(spread.index, spread[0.1], spread[0.9], color=PALETTE[number], alpha=0.2, lw=0)
        axis.plot(spread.index, spread[0.5], color=PALETTE[number], ls=("-", "--", "-.")[number % 3], label=label)


def beside_paper(table: pd.DataFrame, *, xlabel: str = "concepts m") -> Figure:
    """Ours and the paper's mean cosines with standard errors; one panel for each cosine, the cells along the axis."""
    cosines = list(dict.fromkeys(table.index.get_level_values("cosine")))
    figure, axes = empty_figure(2.9 * len(cosines), 3, len(cosines))
    lowest = min(float((table[source] - table[f"{source} ±"]).min()) for source in ("ours", "paper"))
    for axis, cosine in zip(axes, cosines, strict=True):
        part = table.xs(cosine, level="cosine")
        for number, (source, marker) in enumerate((("ours", "o"), ("paper", "s"))):
            place = np.arange(len(part)) + (number - 0.5) * 0.2
            error = part[f"{source} ±"].to_numpy(float)
            mean = part[source].to_numpy(float)
            axis.errorbar(place, mean, error, fmt=marker, color=PALETTE[number], capsize=3, label=source)
        axis.set(xticks=range(len(part)), xticklabels=part.index, xlabel=xlabel, ylabel=f"mean cosine {cosine}")
        axis.set_ylim(min(0.94, lowest - 0.005), 1.0)
    axes[0].legend(frameon=False, loc="lower right")
    return figure


def growth_still(
    courses: Mapping[str, Float[np.ndarray, "frames tokens 3"]],
    pairs: Sequence[Int[np.ndarray, "_ 2"]],
    names: Sequence[str],
    clocks: Sequence[int],
) -> Figure:
    """Words in space at some clocks: a row for each course, a column for each clock."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(2.6 * len(clocks), 2.7 * len(courses)), layout="constrained")
        axes = figure.subplots(len(courses), len(clocks), subplot_kw={"projection": "3d"}, squeeze=False)
    plt.close(figure)
    for row, (title, points) in zip(axes, courses.items(), strict=True):
        for axis, clock, places in zip(row, clocks, points, strict=True):
            for concept, pair in enumerate(pairs):
                for ends in pair:
                    axis.plot(*places[ends].T, color=PALETTE[concept], lw=1.8, ls=DASHES[concept])
            axis.scatter(*places.T, color="black", s=10, depthshade=False)
            for place, name in zip(places, names, strict=True):
                axis.text(*(place * 1.2), name, fontsize=7, ha="center")
            axis.set(xlim=(-0.7, 0.7), ylim=(-0.7, 0.7), zlim=(-0.7, 0.7), box_aspect=(1, 1, 1))
            axis.set_axis_off()
            axis.set_title(f"{title}, clock {clock:,}", fontsize=9)
    return figure
