"""Figures of the chapter on gradient descent: arrays and tables in, Figure out."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from linrep.figures.style import DASHES, PALETTE, empty_figure

MARKERS = ("o", "s", "^", "D", "v")


def plane_paths(
    points: Float[np.ndarray, "2 2"],
    nearest: Float[np.ndarray, " 2"],
    paths: Float[np.ndarray, "marks classifiers 2"],
) -> Figure:
    """Two points, their segment and its nearest point to the origin; classifiers on their way, and where they end.

    Args:
        points: x_1 and x_2. nearest: γŵ. paths: each classifier at some moments, the start first.
    """
    figure, (left, right) = empty_figure(8.6, 3.8, 2)
    left.plot(*points.T, color="0.5", lw=1.2, zorder=1)
    _arrow(left, points[0], PALETTE[0], "x₁ = f₁", (6, 2))
    _arrow(left, points[1], PALETTE[1], "x₂ = −f₀", (-62, 2))
    _arrow(left, nearest, (0.1, 0.1, 0.1), "γŵ", (5, 5))
    left.axline((0, 0), (-nearest[1], nearest[0]), color="0.1", lw=1, ls=(0, (1, 2)))
    left.set(xlim=(-0.8, 1.9), ylim=(-0.8, 1.4), aspect="equal")
    for number in range(paths.shape[1]):
        path = paths[:, number]
        right.plot(*path.T, color=PALETTE[number + 2], ls=DASHES[number % 4], lw=1.6)
        right.plot(*path[0], MARKERS[number], color=PALETTE[number + 2], ms=6)
    right.axline((0, 0), (float(nearest[0]), float(nearest[1])), color="0.1", lw=1, ls=(0, (1, 2)), zorder=0)
    reach = float(1.05 * np.abs(paths).max())
    right.set(xlim=(-2.5, reach), ylim=(-2.5, reach), aspect="equal")
    for axis in (left, right):
        axis.set(xlabel="first axis", ylabel="second axis")
    return figure


def pace_and_cases(pace: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """Left, 1 − cos(Δ, ŵ) against the logarithm of the number of steps; right, cosines of classifiers in some cases.

    Args:
        pace: columns run (plain, anew), clock, low, middle, high, promise.
        cases: columns case, step, low, middle, high.
    """
    figure, (left, right) = empty_figure(8.6, 3.6, 2)
    anew, plain = (pace[pace["run"] == name] for name in ("anew", "plain"))
    left.fill_between(anew["clock"], anew["low"], anew["high"], color=PALETTE[0], alpha=0.2, lw=0)
    left.plot(anew["clock"], anew["middle"], color=PALETTE[0], label="steps set anew")
    left.plot(plain["clock"], plain["middle"], "o", color=PALETTE[1], ms=3.5, label="plain steps", markevery=2)
    left.plot(anew["clock"], anew["promise"], color=PALETTE[2], ls="--", label="the theorem's bound")
    end = anew.iloc[-1]
    clock = np.array([10.0, end["clock"]])
    left.plot(clock, 2.5 * end["middle"] * (clock / end["clock"]) ** -2.0, color="0.2", ls=":", label="slope −2")
    left.set(xscale="log", yscale="log", xlabel="ln(number of steps at the bound)", ylabel="1 − cosine to ŵ")
    left.legend(frameon=False, fontsize=9, loc="lower left")
    for number, (name, line) in enumerate(cases.groupby("case", sort=False)):
        colour = PALETTE[number]
        for edge in ("low", "high"):
            right.plot(line["step"], line[edge], color=colour, ls=DASHES[number % 4], lw=0.5)
        right.plot(line["step"], line["middle"], color=colour, ls=DASHES[number % 4], lw=2, label=str(name))
    right.set(xscale="log", xlabel="steps", ylabel="smallest cosine of two Δ", ylim=(-1.05, 1.05))
    right.legend(frameon=False, fontsize=9, loc="center right", bbox_to_anchor=(1, 0.5))
    return figure


def fixed_embeddings(lines: pd.DataFrame) -> Figure:
    """Mean cosine within a concept, and the KL divergence, against the clock, one line for each arm.

    Args:
        lines: columns arm, clock, cosine, kl.
    """
    figure, axes = empty_figure(8.6, 3.6, 2)
    _arms(axes[0], lines, "cosine")
    _arms(axes[1], lines, "kl")
    axes[0].set(ylabel="mean cosine of a concept's Δ", ylim=(-0.05, 1.05))
    axes[1].set(ylabel="KL, nats", yscale="log")
    axes[1].legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def _arrow(
    axis: Axes,
    tip: Float[np.ndarray, " 2"],
    colour: tuple[float, float, float],
    name: str,
    shift: tuple[float, float],
) -> None:
    """An arrow from the origin, with its name beside its tip."""
    end = (float(tip[0]), float(tip[1]))
    axis.annotate("", end, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": 2})
    axis.annotate(name, end, shift, textcoords="offset points", color=colour)


def _arms(axis: Axes, lines: pd.DataFrame, column: str) -> None:
    """One line for each arm."""
    for number, (name, line) in enumerate(lines.groupby("arm", sort=False)):
        style = {"color": PALETTE[number], "ls": DASHES[number % 4], "marker": MARKERS[number], "ms": 4}
        axis.plot(line["clock"], line[column], label=str(name), **style)
    axis.set(xscale="log", xlabel="clock (step size × steps)")
