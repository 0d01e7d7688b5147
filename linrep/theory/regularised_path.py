"""Cross-entropy with weight decay at unlimited width, for m fair independent concepts under fair masks.

Over tables of any width the least of loss + λ/2 (|F|² + |G|²) is that of loss + λ |L|_* over logits L, where |L|_* is
the nuclear norm: a convex problem, with an optimum that has the symmetries of the cube. With u = h − ln(1/λ) in the
place of h it stays well scaled at any λ. Its optimality is checked by the gradient E of the loss: −E/λ must have
spectral norm 1 and inner product |L|_* with L (eq-limit-kkt).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import comb

from linrep.errors import InputError
from linrep.loss import PopulationLoss
from linrep.population import Population
from linrep.theory.convex import require_cvxpy, require_small, run_program
from linrep.theory.cube_margin import (
    PRESENT,
    Pattern,
    Sizes,
    cell_rows,
    cells,
    degree_maps,
    degree_sizes,
    entry_counts,
    nuclear_norm,
)
from linrep.theory.loss_optima import linearity_of

SMALL = 1e-5
"""Below this λ the logarithm ln(1 + x) of the loss is replaced by x, which is of the size of λ: an error of that part.
The residual is computed with the logarithm."""

LEAST = 1e-300
"""The least λ: below it probabilities leave the normal numbers."""

RESIDUAL = 1e-3
"""The largest residual of a point that counts as solved."""


@dataclass(frozen=True, eq=False)
class PathPoint:
    """The optimum at one strength of the decay.

    Attributes:
        strength: λ. logits: the pattern h_κ(j), the logits −h less a constant of each context.
        sizes: σ_1..σ_m of the logits. slack: the singular values of −E/λ by degree; 1 where a degree is present.
        residual: the larger of how far these exceed 1, and |1 − ⟨−E/λ, L⟩/|L|_*|: zero iff this is the optimum.
    """

    strength: float
    logits: Pattern
    sizes: Sizes
    slack: Sizes
    residual: float

    @property
    def degrees(self) -> list[int]:
        """The degrees that are present."""
        return (1 + np.flatnonzero(self.sizes > PRESENT * self.sizes.max())).tolist()

    @property
    def linearity(self) -> float:
        """U of the unembeddings, which are balanced at the optimum."""
        return linearity_of(self.sizes.tolist())


def critical_strength(concepts: int) -> float:
    """(3/16)^(m/2)/√3: the least λ at which the optimum is zero, the spectral norm of the gradient at zero logits."""
    return float((3 / 16) ** (concepts / 2) / math.sqrt(3))


def solve_path(concepts: int, strength: float, *, degree: int | None = None) -> PathPoint:
    """The optimum at one λ.

    Args:
        degree: the largest degree allowed, for optima of a part of the problem; None for all.

    Raises:
        InputError: concepts below 2, a λ that is not between `LEAST` and the critical one, or no cvxpy.
        LinrepError: the solver fails.
    """
    if concepts < 2:
        raise InputError(f"concepts is {concepts}; the path needs 2 or more")
    if not LEAST <= strength < critical_strength(concepts):
        raise InputError(
            f"strength is {strength:g}; allowed are {LEAST:g} to below {critical_strength(concepts):.3g}, "
            f"where the logits of {concepts} concepts become zero"
        )
    cvxpy = require_cvxpy()
    known, wrong = cells(concepts)
    shifted = cvxpy.Variable(len(known))  # u = h − ln(1/λ)
    depth = shifted + math.log(1 / strength)
    maps = degree_maps(concepts)
    rows = [cell_rows(maps, r) for r in range(1, concepts + 1)]
    norms = [math.comb(concepts, r) * cvxpy.norm(row @ depth) for r, row in enumerate(rows, start=1)]
    allowed = [row @ depth == 0 for row in rows[degree:]] if degree else []
    problem = cvxpy.Problem(cvxpy.Minimize(_scaled_loss(shifted, concepts, strength) + sum(norms)), allowed)
    what = f"the path of {concepts} concepts at {strength:g}"
    run_program(problem, what, solver=cvxpy.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    logits = np.zeros((concepts + 1,) * 2)
    logits[known, wrong] = shifted.value + math.log(1 / strength)
    point = checked(logits, strength, degree=degree)
    require_small(point.residual, what, allowed=RESIDUAL)
    return point


def checked(logits: Pattern, strength: float, *, degree: int | None = None) -> PathPoint:
    """A point with its singular values and how far it is from the optimum, among degrees up to the one given."""
    force = scaled_gradient(logits, strength)
    sizes, slack = degree_sizes(logits), degree_sizes(force)
    total = nuclear_norm(sizes)
    inner = float((entry_counts(len(logits) - 1) * force * -logits).sum())
    residual = max(float(slack[:degree].max()) - 1, abs(1 - inner / total)) if total > 0 else math.inf
    return PathPoint(strength, logits, sizes, slack, residual)


def scaled_gradient(logits: Pattern, strength: float) -> Pattern:
    """−E/λ, E the gradient of the cross-entropy in the logits: rows sum to zero, entries off the support are negative.

    With w = 2^(−m − κ) = p(d) and S = Σ_j C(κ, j) e^(−h), an entry off the support has E = w e^(−h)/(2^(m−κ) (1 + S)).
    """
    concepts = len(logits) - 1
    known, wrong = cells(concepts)
    odds = np.zeros_like(logits)
    odds[known, wrong] = np.exp(math.log(1 / strength) - logits[known, wrong])  # e^(−h)/λ
    span = np.arange(concepts + 1)
    each = comb(span[:, None], span)
    total = (each * odds).sum(axis=1)
    force: Pattern = -odds / (2.0 ** (2 * concepts) * (1 + strength * total))[:, None]
    force[:, 0] = -(each * force).sum(axis=1)
    return force


def direct(
    population: Population, strength: float, *, dim: int, seed: int
) -> tuple[float, Float[np.ndarray, "tokens dim"]]:
    """The same problem in F and G by L-BFGS from a random start, with no symmetry used: an independent check.

    Returns:
        The least of loss + λ/2 (|F|² + |G|²) found, in nats, and G.

    Raises:
        InputError: a population of more than one replicate.
    """
    if population.replicates != 1:
        raise InputError(f"the population has {population.replicates} replicates; allowed is 1")
    loss = PopulationLoss.of(population, dtype=torch.float64, device="cpu")
    shapes = (1, len(population.contexts), dim), (1, len(population.tokens), dim)
    cut = shapes[0][1] * dim

    def decayed(flat: Float[np.ndarray, " all"]) -> tuple[float, Float[np.ndarray, " all"]]:
        parts = torch.from_numpy(flat[:cut]).reshape(shapes[0]), torch.from_numpy(flat[cut:]).reshape(shapes[1])
        value, slopes = loss.value_and_gradient(parts)
        slope = torch.cat([each.reshape(-1) for each in slopes]).numpy()
        return float(value) + strength / 2 * float(flat @ flat), slope + strength * flat

    start = np.random.default_rng(seed).standard_normal(cut + shapes[1][1] * dim)
    options = {"maxiter": 50_000, "maxfun": 100_000, "ftol": 1e-15, "gtol": 1e-10}
    found = minimize(decayed, start, jac=True, method="L-BFGS-B", options=options)
    return float(found.fun), np.asarray(found.x[cut:].reshape(shapes[1][1:]))


def decayed_loss(point: PathPoint) -> float:
    """Loss + λ |L|_* at a point, in nats: what `direct` must find. Contexts leave m/2 concepts open on average."""
    floor = len(point.sizes) / 2 * math.log(2)
    return floor + divergence(point) + point.strength * nuclear_norm(point.sizes)


def divergence(point: PathPoint) -> float:
    """KL at a point, in nats, averaged over contexts; (m/2) ln 2 where the logits are zero."""
    concepts = len(point.sizes)
    known, wrong = cells(concepts)
    inside = np.zeros_like(point.logits)
    inside[known, wrong] = comb(known, wrong) * np.exp(-point.logits[known, wrong])
    share = comb(concepts, np.arange(concepts + 1)) / 2.0**concepts
    return float(share @ np.log1p(inside.sum(axis=1)))


def solve_paths(sizes: Sequence[int], strengths: Sequence[float]) -> dict[tuple[int, float], PathPoint]:
    """The optima of some numbers of concepts at some λ; a λ at which the logits of an m are zero is left out."""
    return {(m, each): solve_path(m, each) for m in sizes for each in strengths if each < critical_strength(m)}


def _scaled_loss(shifted: Any, concepts: int, strength: float) -> Any:
    """(loss less its floor)/λ as a convex expression of u: Σ_κ C(m, κ) 2^(−m) ln(1 + λ Σ_j C(κ, j) e^(−u))/λ."""
    cvxpy = require_cvxpy()
    known, wrong = cells(concepts)
    terms = []
    for count in range(1, concepts + 1):
        here = known == count
        powers = np.log(comb(count, wrong[here])) - shifted[np.flatnonzero(here)]
        share = math.comb(concepts, count) / 2**concepts
        if strength < SMALL:
            terms.append(share * cvxpy.sum(cvxpy.exp(powers)))
        else:
            whole = cvxpy.hstack([0, powers + math.log(strength)])
            terms.append(share / strength * cvxpy.log_sum_exp(whole))
    return sum(terms)
