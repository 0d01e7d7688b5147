"""Figures of the chapter on the late phase: tables in, Figure out."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, empty_figure

PARTS = {"leak": "leak", "singles": "single concepts", "interactions": "interactions"}


def parts_along(tables: Mapping[int, pd.DataFrame]) -> Figure:
    """The parts of the KL divergence and 1 − U against the clock, both axes logarithmic; a panel for each m.

    Args:
        tables: by m; index clock, columns of `PARTS` (millinats) and U.
    """
    figure, axes = empty_figure(3.1 * len(tables), 3.3, len(tables))
    for axis, (m, table) in zip(axes, tables.items(), strict=True):
        for number, (column, label) in enumerate(PARTS.items()):
            axis.plot(table.index, table[column] / 1000, color=PALETTE[number], ls=DASHES[number], label=label)
        axis.plot(table.index, 1 - table["U"], color="0.2", lw=2.4, alpha=0.6, label="1 − U")
        axis.axvline(table.index.to_numpy(float)[table["U"].argmax()], color="0.5", lw=1, ls=":")
        axis.set(xscale="log", yscale="log", xlabel="clock (step size × steps)", title=f"{m} concepts")
        axis.set_ylim(1e-6, 3)
    axes[0].set(ylabel="nats; 1 − U")
    axes[-1].legend(frameon=False, fontsize=9, loc="upper right")
    return figure


def doses(lines: Mapping[str, pd.DataFrame], points: pd.DataFrame) -> Figure:
    """1 − U against the clock for each strength of the interactions, and the fall of U of each seed against them.

    Args:
        lines: label to a table with index clock and the column unembedding.
        points: columns floor (nats), fall and m.
    """
    figure, (left, right) = empty_figure(8.6, 3.3, 2)
    for number, (label, table) in enumerate(lines.items()):
        left.plot(
            table.index, 1 - table["unembedding"], color=PALETTE[number], ls=DASHES[number % len(DASHES)], label=label
        )
    left.set(xscale="log", yscale="log", xlabel="clock (step size × steps)", ylabel="1 − U")
    left.legend(frameon=False, fontsize=9)
    for number, (m, part) in enumerate(points.groupby("m")):
        right.plot(part["floor"], part["fall"], "os^"[number % 3], color=PALETTE[number], ms=4.5, label=f"{m} concepts")
    right.set(xlabel="interactions of the world (nats)", ylabel="fall of U from its peak")
    right.legend(frameon=False, fontsize=9)
    right.locator_params(axis="x", nbins=6)
    return figure


def arms_by_size(table: pd.DataFrame) -> Figure:
    """Difference of U to the unablated arm with its interval, for every arm; a marker for each m.

    Args:
        table: index m and arm; columns difference, low, high.
    """
    arms = list(dict.fromkeys(table.index.get_level_values("arm")))
    figure, (axis,) = empty_figure(7.6, 0.36 * len(arms) + 1.2)
    for number, (m, part) in enumerate(table.groupby(level="m")):
        rows = part.droplevel("m")
        place = [arms.index(arm) + (number - 1) * 0.2 for arm in rows.index]
        error = [rows["difference"] - rows["low"], rows["high"] - rows["difference"]]
        axis.errorbar(
            rows["difference"], place, xerr=error, fmt="os^"[number % 3], ms=5, color=PALETTE[number], label=f"m = {m}"
        )
    axis.axvspan(-0.03, 0.03, color="0.85", zorder=0)
    axis.axvline(0, color="0.4", lw=1)
    axis.set(yticks=range(len(arms)), yticklabels=arms, xlabel="U less that of the unablated arm")
    axis.invert_yaxis()
    axis.legend(frameon=False, fontsize=9, loc="upper left")
    return figure
