"""Figures of pairs of contexts: arrays in, Figure out."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from linrep.figures.style import PALETTE, empty_figure


def own_among_others(cosines: Float[np.ndarray, "pairs pairs"]) -> Figure:
    """How the cosines of pairs with their own answers are spread, among those with the answers of others.

    Args:
        cosines: pairs in rows, answers in columns, in one order.
    """
    own, others = np.diagonal(cosines), cosines[~np.eye(len(cosines), dtype=bool)]
    edge = np.ceil(np.abs(cosines).max() * 50) / 50  # to the next 0.02, on both sides of zero
    bins = np.linspace(-edge, edge, 2 * round(edge * 50) + 1)
    figure, (axis,) = empty_figure(6.4, 3.2)
    axis.hist(others, bins=bins.tolist(), density=True, color="0.8", label="answers of other pairs")
    axis.hist(own, bins=bins.tolist(), density=True, histtype="step", lw=1.8, color=PALETTE[0], label="own answers")
    axis.axvline(others.mean(), color="0.5", lw=1)
    axis.axvline(own.mean(), color=PALETTE[0], lw=1, ls="--")
    axis.set(xlabel="cosine of the two differences", ylabel="density")
    axis.legend(frameon=False, loc="upper left")
    return figure
