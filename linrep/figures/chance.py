"""Figure of the page on chance: arrays in, Figure out."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from linrep.figures.style import PALETTE, empty_figure

MARKERS = {"trained": "o", "drawn independently": "D", "untrained": "s", "relabelled": "_", "Gaussian": "_"}
"""A mark for each row that can be drawn; the last two are nulls, drawn with the range of their draws."""

COLOURS = (0, 3, 1, 2, 4)
"""Places of these rows in the palette."""


def against_chance(numbers: pd.DataFrame, cosines: Mapping[str, str]) -> Figure:
    """For each cosine a panel: by m, what training made of it, and what its controls are.

    Args:
        numbers: index m, cosine and control; columns mean, ± (standard error), low and high, the range of a null's
            draws, NaN where there are none.
        cosines: cosine to the label of its axis.
    """
    figure, axes = empty_figure(10.5, 3.3, len(cosines))
    for axis, (cosine, label) in zip(axes, cosines.items(), strict=True):
        part = numbers[numbers.index.get_level_values("cosine") == cosine].droplevel("cosine")
        sizes = list(part.index.unique("m"))
        axis.axhline(0, color="0.7", lw=0.8, zorder=0)
        for number, control in enumerate(MARKERS):
            rows = part[part.index.get_level_values("control") == control].droplevel("control")
            _one(axis, rows, sizes, control, number)
        axis.set(xticks=range(len(sizes)), xticklabels=sizes, xlabel="concepts m", ylabel=label)
        axis.set_ylim(-0.4, 1.06)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(MARKERS), frameon=False)
    return figure


def _one(axis: Axes, rows: pd.DataFrame, sizes: Sequence[int], control: str, number: int) -> None:
    """One row of marks, beside those of the others."""
    place = [sizes.index(m) + (number - 2) * 0.15 for m in rows.index]
    mean, colour = rows["mean"].to_numpy(float), PALETTE[COLOURS[number]]
    if rows["low"].notna().all():
        reach = [mean - rows["low"].to_numpy(float), rows["high"].to_numpy(float) - mean]
    else:
        reach = [rows["±"].to_numpy(float)] * 2
    axis.errorbar(place, mean, reach, fmt=MARKERS[control], color=colour, ms=6, capsize=2, label=control)
