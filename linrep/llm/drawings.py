"""The figures of a probe's report, with captions and alternative texts, and the files that they become."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from linrep.figures.probe import cosine_heatmaps, own_against_others, rows_by_columns, within_against_null
from linrep.llm.summary import matrices, within_table
from linrep.llm.tsv import plain

NAMES = ("within", "between", "own-and-others", "contexts-and-words")
FORMATS = ("png", "svg")
FILES = tuple(f"{name}.{kind}" for name in NAMES for kind in FORMATS)
"""Every file that a folder of figures may get."""

MOST_DRAWN = 60
"""Concepts on one axis; a figure of more would be no longer read."""

LONGEST = 30
"""Characters of a name in a figure."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure of a report.

    Attributes:
        name: one of `NAMES`. caption: below it. alt: what it shows, for those who do not see it.
    """

    name: str
    caption: str
    alt: str
    figure: Figure


def drawings(found: Mapping[str, Any]) -> list[Drawing]:
    """The figures of a report of `linrep.llm.full_probe`; one that would show more than `MOST_DRAWN` is left out."""
    drawn = []
    if len(found["measured"]) <= MOST_DRAWN:
        drawn.append(_within(found))
        if len(found["measured"]) > 1:
            drawn.append(_between(found))
    if "alignment" in found:
        alignment = found["alignment"]
        if len(alignment["rows"]) <= MOST_DRAWN:
            drawn.append(_own_and_others(alignment))
        if max(len(alignment["rows"]), len(alignment["columns"])) <= MOST_DRAWN:
            drawn.append(_contexts_and_words(alignment))
    return drawn


def picture(figure: Figure, kind: str) -> bytes:
    """A figure as the content of a file: png at 150 dots an inch, or svg with its text as text.

    The same figure always gives the same bytes. A sign that the font lacks is a box in png.
    """
    options: dict[str, Any] = {"dpi": 150} if kind == "png" else {"metadata": {"Date": None}}
    options |= {"bbox_inches": "tight", "pad_inches": 0.1}  # no name is cut, however long
    content = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "linrep", "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(content, format=kind, **options)
    return content.getvalue()


def files(drawn: Sequence[Drawing]) -> dict[str, bytes]:
    """The content of every file of a folder of figures, by its name."""
    return {f"{each.name}.{kind}": picture(each.figure, kind) for each in drawn for kind in FORMATS}


def _within(found: Mapping[str, Any]) -> Drawing:
    table = within_table(found, product="euclidean")
    low, high = table["within"].idxmin(), table["within"].idxmax()
    above = int((table["within"] > table["shuffled"]).sum())
    return Drawing(
        "within",
        "Mean cosine within each concept with its standard error over pairs, and the mean over shuffled partners; "
        "Euclidean.",
        f"A dot for each of {len(table)} concept(s), from {_number(table['within'].min())} for {plain(str(low))} to "
        f"{_number(table['within'].max())} for {plain(str(high))}, and a cross for its shuffled partners; {above} of "
        "the dots are to the right of their cross.",
        within_against_null(table.rename(index=_label)),
    )


def _between(found: Mapping[str, Any]) -> Drawing:
    names = found["measured"]
    shown = {product: matrices(found, names)[product] for product in ("euclidean", "causal")}
    off = ~np.eye(len(names), dtype=bool)
    sizes = {product: float(np.abs(matrix[off]).mean()) for product, matrix in shown.items()}
    return Drawing(
        "between",
        "Mean cosine between the steering vectors of each two concepts; above, the Euclidean product, below, the "
        "causal one.",
        f"Two square heat maps of {len(names)} by {len(names)} concepts. Off the diagonal the mean absolute value is "
        f"{_number(sizes['euclidean'])} in the upper one and {_number(sizes['causal'])} in the lower one.",
        cosine_heatmaps(shown, [_label(name) for name in names], largest=_largest(*shown.values())),
    )


def _own_and_others(alignment: Mapping[str, Any]) -> Drawing:
    lines = [line for line in alignment["products"]["euclidean"]["concepts"] if line["own"] is not None]
    table = pd.DataFrame(
        [[line["own"], *line["interval"], line["others"]] for line in lines],
        index=[_label(line["name"]) for line in lines],
        columns=["own", "low", "high", "others"],
        dtype=float,
    )
    return Drawing(
        "own-and-others",
        "Cosine of each concept's context direction with the direction of its own words, with its 95 % interval, and "
        "the mean absolute cosine with other concepts' words; Euclidean.",
        f"A dot with a bar for each of {len(table)} concept(s), from {_number(table['own'].min())} to "
        f"{_number(table['own'].max())}, and a cross for other concepts.",
        own_against_others(table, null={}),
    )


def _contexts_and_words(alignment: Mapping[str, Any]) -> Drawing:
    rows, columns = alignment["rows"], alignment["columns"]
    table = pd.DataFrame(alignment["products"]["euclidean"]["cosines"], index=rows, columns=columns)
    own = [name for name in rows if name in columns]
    matched = alignment["products"]["euclidean"]["matched"]
    table = table[[*own, *(name for name in columns if name not in own)]]
    return Drawing(
        "contexts-and-words",
        "Cosine of each context concept's direction with each word concept's, Euclidean. The concepts' own columns "
        "come first.",
        f"A heat map of {len(rows)} row(s) and {len(columns)} column(s); {matched} of {len(own)} rows with words of "
        "their own have their largest value there.",
        rows_by_columns(table.rename(index=_label, columns=_label), largest=_largest(table.to_numpy(float))),
    )


def _largest(*matrices: np.ndarray) -> float:
    """Where the colours end: the largest size, but never so small that rounding looks like something."""
    return max(0.1, *(float(np.abs(matrix).max()) for matrix in matrices))


def _label(name: str) -> str:
    """A name as matplotlib takes it: cut, and a dollar no sign of mathematics."""
    text = plain(name)
    return (text if len(text) <= LONGEST else f"{text[:LONGEST]}…").replace("$", r"\$")


def _number(value: float) -> str:
    return f"{value:.2f}"
