"""The look that all figures share: colours, ground, and an empty figure to draw in."""

from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "figure.dpi": 110,
}
PALETTE = sns.color_palette("colorblind")
DASHES = ("-", "--", ":", "-.")
"""Lines differ in dash as well as in colour, so that they can be told apart in grey."""


def empty_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure, in inches, and its axes in a row; it is closed for pyplot, so that a notebook shows it once."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, columns, figsize=(width, height), layout="constrained", squeeze=False)
    plt.close(figure)
    return figure, list(axes[0])
