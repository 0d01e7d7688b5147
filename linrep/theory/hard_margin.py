"""The margin problem in full: the least nuclear norm of logits with equal logits on the support of every context.

Where A(d) are the tokens that can follow context d: L(d, c) is one number for all c in A(d), and at least 1 less for
every other c. No probability enters. A matrix M with rows that sum to zero, M ≤ 0 off the support and spectral norm 1
proves the lower bound −Σ M(d, c) over the pairs off the support (prop-limit-certificate).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from linrep.errors import InputError
from linrep.population import Population
from linrep.theory.convex import GAP, require_cvxpy, require_small, run_program

Logits = Float[np.ndarray, "contexts tokens"]
Support = Bool[np.ndarray, "contexts tokens"]

DENSE = 1_000
"""Entries of L up to which the interior-point solver is used; above it takes half a minute, and SCS a second."""

PRECISION = 1e-7
"""Of SCS, absolute and relative."""


@dataclass(frozen=True, eq=False)
class HardMargin:
    """A solution of the full problem with its certificate.

    Attributes:
        logits: exactly feasible up to rounding, rows with mean zero. value: their nuclear norm, an upper bound.
        witness: M. bound: the lower bound that it proves.
    """

    logits: Logits
    value: float
    witness: Logits
    bound: float

    @property
    def gap(self) -> float:
        """How far the value can be above the least one, as a part of it."""
        return (self.value - self.bound) / self.value

    @property
    def gram(self) -> Float[np.ndarray, "tokens tokens"]:
        """G Gᵀ of balanced unembeddings: the root of LᵀL."""
        _, sizes, right = np.linalg.svd(self.logits, full_matrices=False)
        return np.asarray((right.T * sizes) @ right)


def solve_margin(population: Population) -> HardMargin:
    """The margin problem on the contexts and tokens of a population; p(c) plays no part in it.

    Raises:
        InputError: no context that excludes a token, or no cvxpy.
        LinrepError: the solver fails.
    """
    support = population.consistent
    telling = ~support.all(axis=1)  # the others get zero logits, in every optimum
    if not telling.any():
        raise InputError(
            f"none of the {len(support)} contexts excludes a token; the margin problem needs one that does"
        )
    found = _solve(support[telling])
    rows: list[Logits] = []
    for part in (found.logits, found.witness):
        whole = np.zeros(support.shape)
        whole[telling] = part
        rows.append(whole)
    return HardMargin(rows[0], found.value, rows[1], found.bound)


def certified(logits: Logits, multipliers: Logits, support: Support) -> HardMargin:
    """A nearly feasible point and a nearly feasible dual one, made feasible, with the bounds that they give.

    Args:
        logits: any whose margins are nearly 1. multipliers: M, nearly. support: the tokens of A(d), in each row one.
    """
    share = support / support.sum(axis=1, keepdims=True)
    below = (share * logits).sum(axis=1, keepdims=True) - logits
    feasible = np.where(support, 0, -np.maximum(below, 1))
    feasible = feasible - feasible.mean(axis=1, keepdims=True)
    value = float(np.linalg.svd(feasible, compute_uv=False).sum())
    witness = np.where(support, multipliers, np.minimum(multipliers, 0))
    witness = witness - share * witness.sum(axis=1, keepdims=True)
    witness = witness / np.linalg.norm(witness, 2)
    return HardMargin(feasible, value, witness, float(-witness[~support].sum()))


def require_margins(logits: Logits, support: Support, *, tolerance: float) -> None:
    """Refuse logits that break a constraint by more than a tolerance.

    Raises:
        InputError: names the largest difference within a support, or the least margin.
    """
    inside = np.where(support, logits, np.nan)
    spread = float((np.nanmax(inside, axis=1) - np.nanmin(inside, axis=1)).max())
    if spread > tolerance:
        raise InputError(f"logits differ by {spread:.3g} on a support; at most {tolerance:g} is allowed")
    outside = np.where(support, -np.inf, logits).max(axis=1)
    least = float((np.nanmin(inside, axis=1) - outside).min())
    if least < 1 - tolerance:
        raise InputError(f"the least margin is {least:.3g}; at least 1 less {tolerance:g} is allowed")


def _solve(support: Support) -> HardMargin:
    """The program for contexts that all exclude a token."""
    cvxpy = require_cvxpy()
    rows, _ = np.nonzero(support)
    others, _ = np.nonzero(~support)
    logits, level = cvxpy.Variable(support.shape), cvxpy.Variable(len(support))
    equal, margin = logits[support] == level[rows], logits[~support] <= level[others] - 1
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.normNuc(logits)), [equal, margin])
    what = f"margin problem of {len(support)} contexts"
    if support.size <= DENSE:
        run_program(problem, what, solver=cvxpy.CLARABEL)
    else:
        run_program(problem, what, solver=cvxpy.SCS, eps_abs=PRECISION, eps_rel=PRECISION)
    multipliers = np.zeros(support.shape)
    # the Lagrangian's gradient: M + (multipliers) = 0, whichever sign the solver gives to those of equalities
    multipliers[support], multipliers[~support] = -equal.dual_value, -margin.dual_value
    found = certified(logits.value, multipliers, support)
    require_small(found.gap, what, allowed=GAP)
    return found
