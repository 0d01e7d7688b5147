"""Figure of the engine's cost: arrays in, Figure out."""

import pandas as pd
from matplotlib.figure import Figure

from linrep.figures.style import PALETTE, empty_figure


def cost_of_a_logit(table: pd.DataFrame, *, xlabel: str) -> Figure:
    """ns a logit against the index of the table, both axes logarithmic: plain torch, compiled, and the limit."""
    figure, (axis,) = empty_figure(5.4, 3.4)
    lines = {"plain torch, wall": "s--", "one thread": "o-", "all threads, wall": "^-", "limit, a core": "k:"}
    for number, (column, style) in enumerate(lines.items()):
        color = {} if style.startswith("k") else {"color": PALETTE[number]}
        axis.plot(table.index, table[column], style, label=column, **color)
    axis.set(xscale="log", yscale="log", xlabel=xlabel, ylabel="ns a logit")
    axis.set_xticks(table.index.tolist(), [str(value) for value in table.index])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=9)
    return figure
