"""Figures of the paper's tables and of its Figure 5: arrays in, Figure out."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from linrep.figures.style import PALETTE, empty_figure


def training_time(curves: pd.DataFrame, cosines: Mapping[str, str]) -> Figure:
    """Loss and cosines against the clock: means over the seeds, with bands from the smallest to the largest seed.

    Args:
        curves: columns arm ("gd" or "sgd"), clock, loss (nats) and those of `cosines`; sgd is drawn dashed, without
            band.
        cosines: column to label.
    """
    figure, (left, right) = empty_figure(8.4, 3.3, 2)
    for axis, columns in ((left, {"loss": "loss"}), (right, cosines)):
        for number, (column, label) in enumerate(columns.items()):
            for arm, style in (("gd", "-"), ("sgd", "--")):
                by = curves[curves["arm"] == arm].groupby("clock")[column]
                mean = by.mean()
                if arm == "gd":
                    axis.fill_between(mean.index, by.min(), by.max(), color=PALETTE[number], alpha=0.2, lw=0)
                axis.plot(mean.index, mean, color=PALETTE[number], ls=style, label=f"{label}, {arm}")
        axis.set(xlabel="clock (step size × steps)")
        axis.legend(frameon=False, fontsize=9)
    left.set(ylabel="loss (nats)")
    right.set(ylabel="mean cosine")
    return figure
