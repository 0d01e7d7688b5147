"""How fast a logit is driven to infinity: one context, two tokens, one of them impossible (thm-loss-rate).

Let y = f·g, g in the place of g₁ − g₀, be the log-odds against the impossible token, δ = 1/(1 + e^y) the probability
left on it, and a(y) minus the derivative of the loss in y. The gradient flow of f and g obeys, whatever their start,

    dy/dt = a(y) sqrt(4 y² + κ),    κ = |f + g|² |f − g|², which never changes.

Cross-entropy has a = δ, squared error of the two probabilities a = 4 δ² (1 − δ).
"""

import itertools
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from scipy.integrate import cumulative_simpson

from linrep.errors import InputError

Kind = Literal["cross-entropy", "probabilities"]

FINE = 4096
"""Intervals of y between two of the levels asked for."""


def pull(gap: Float[np.ndarray, "*batch"], kind: str) -> Float[np.ndarray, "*batch"]:
    """a(y): minus the derivative in y of ln(1 + e^(−y)), or of 2 δ².

    Raises:
        InputError: a loss that there is not.
    """
    if kind not in get_args(Kind):
        raise InputError(f"loss is {kind!r}; allowed are {', '.join(get_args(Kind))}")
    with np.errstate(over="ignore"):  # e^y too large for a float: δ is 0 then
        left = 1 / (1 + np.exp(gap))
    return np.asarray(left if kind == "cross-entropy" else 4 * left**2 * (1 - left))


def invariant(
    first: Float[np.ndarray, "*batch dim"], second: Float[np.ndarray, "*batch dim"]
) -> Float[np.ndarray, "*batch"]:
    """κ = |f + g|² |f − g|²."""
    return np.asarray(((first + second) ** 2).sum(axis=-1) * ((first - second) ** 2).sum(axis=-1))


def times(gaps: Float[np.ndarray, " levels"], kind: str, *, kappa: float) -> Float[np.ndarray, " levels"]:
    """The times at which the flow of the factors reaches some values of y, from the first of them at time 0.

    Raises:
        InputError: levels that do not increase, or a κ that is negative, or 0 with y ≤ 0, where it never passes 0.
    """
    if len(gaps) < 2 or (np.diff(gaps) <= 0).any():
        raise InputError(f"{len(gaps)} levels given; need two or more that increase")
    if kappa < 0 or (kappa == 0 and gaps[0] <= 0):
        raise InputError(
            f"kappa is {kappa} with a first level {gaps[0]}; allowed are positive ones, or 0 with a positive level"
        )
    places = np.concatenate([np.linspace(low, high, FINE, endpoint=False) for low, high in itertools.pairwise(gaps)])
    fine = np.append(places, gaps[-1])
    slowness = 1 / (pull(fine, kind) * np.sqrt(4 * fine**2 + kappa))
    return np.asarray(cumulative_simpson(slowness, x=fine, initial=0.0)[::FINE])
