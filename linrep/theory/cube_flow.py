"""Gradient flow with the symmetries of the cube: fair coins under fair masks, from a symmetric start, to any clock.

Tables g(c) = Σ_S β_r χ_S(c) u_S and f(d) = Σ_{S ⊆ K} α_{κ,r} χ_S(d) u_S, with r = |S|, K the κ concepts that d
knows, and u_S orthonormal, keep this form under gradient flow (ours). With M the pattern of −E, E the gradient in the
logits, and q_{κ,r} as in eq-limit-sizes with M in the place of −h,

    dα_{κ,r}/dt = 2^m q_{κ,r} β_r,    dβ_r/dt = Σ_κ C(m − r, κ − r) 2^κ q_{κ,r} α_{κ,r}.

Logits on a support are equal throughout, so nothing is lost to rounding at late clocks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp

from linrep.errors import InputError, LinrepError
from linrep.theory.cube_margin import Pattern, Sizes, krawtchouk
from linrep.theory.loss_optima import linearity_of
from linrep.theory.regularised_path import scaled_gradient

TOLERANCE = 1e-9
"""Relative, of each step of the solver; absolute a hundredth of it."""

LATEST = 1e300
"""The last clock: beyond it probabilities leave the normal numbers, as at λ = 1/t on the path."""

Coefficients = Float[np.ndarray, "rows degrees"]


@dataclass(frozen=True, eq=False)
class CubeFlow:
    """The tables at one clock.

    Attributes:
        clock: t.
        tables: row κ, from 1 to m, has α_{κ,r} for r = 1..m, zero where r > κ; row 0 has β_r.
    """

    clock: float
    tables: Coefficients

    @property
    def logits(self) -> Pattern:
        """The pattern h_κ(j): the logits are −h, less a constant of each context."""
        return pattern_of(self.tables)

    @property
    def weights(self) -> Sizes:
        """β_r², the weight |b_S|² of each set of r concepts in the unembeddings."""
        return np.asarray(self.tables[0] ** 2)

    @property
    def linearity(self) -> float:
        """U of the unembeddings: the vectors b_S are orthogonal, so it depends on their lengths only."""
        return linearity_of(self.weights.tolist())


def cube_flow(concepts: int, scale: float, clocks: Sequence[float]) -> list[CubeFlow]:
    """The flow from tables whose coefficients are all `scale`.

    Args:
        clocks: ascending, positive, at most `LATEST`.

    Raises:
        InputError: concepts below 2, a scale that is not positive, or clocks out of range.
        LinrepError: the solver fails.
    """
    _check(concepts, scale, clocks)
    start = np.tril(np.full((concepts + 1, concepts), scale), -1)  # row κ has the degrees up to κ
    start[0] = scale

    def velocity(log_time: float, flat: np.ndarray) -> np.ndarray:
        return speed(flat.reshape(start.shape), math.exp(-log_time)).reshape(-1)

    times = [math.log1p(clock) for clock in clocks]
    found = solve_ivp(velocity, (0, times[-1]), start.reshape(-1), method="LSODA", t_eval=times,
                      rtol=TOLERANCE, atol=TOLERANCE / 100)  # fmt: skip
    if not found.success:
        raise LinrepError(f"the flow's solver stopped before clock {clocks[-1]:g}: {found.message}")
    return [CubeFlow(clock, state.reshape(start.shape)) for clock, state in zip(clocks, found.y.T, strict=True)]


def pattern_of(tables: Coefficients) -> Pattern:
    """h_κ(j) = L_κ(0) − L_κ(j), L_κ(j) = Σ_r α_{κ,r} β_r K_r(j; κ)."""
    concepts = tables.shape[1]
    logits = np.zeros((concepts + 1, concepts + 1))
    for known in range(1, concepts + 1):
        for wrong in range(known + 1):
            sums = [krawtchouk(r, wrong, known) for r in range(1, known + 1)]
            logits[known, wrong] = (tables[known, :known] * tables[0, :known]) @ sums
    return np.tril(logits[:, :1] - logits)


def speed(tables: Coefficients, strength: float) -> Coefficients:
    """dα/dt and dβ/dt, both divided by λ = `strength`; at λ = 1/t that is d/d ln t, and well scaled at every t."""
    concepts = tables.shape[1]
    force = scaled_gradient(pattern_of(tables), strength)
    found = np.zeros_like(tables)
    for known in range(1, concepts + 1):
        for r in range(1, known + 1):
            pushes = [krawtchouk(j, r, known) for j in range(known + 1)]
            pull = 2.0**-known * float(force[known, : known + 1] @ pushes)
            found[known, r - 1] = 2.0**concepts * pull * tables[0, r - 1]
            found[0, r - 1] += math.comb(concepts - r, known - r) * 2.0**known * pull * tables[known, r - 1]
    return found


def _check(concepts: int, scale: float, clocks: Sequence[float]) -> None:
    """Refuse what is no flow."""
    if concepts < 2:
        raise InputError(f"concepts is {concepts}; the flow needs 2 or more")
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"scale is {scale}; it must be a positive number")
    steps = np.diff([0.0, *clocks])
    if not len(clocks) or not (steps > 0).all() or clocks[-1] > LATEST:
        raise InputError(f"clocks are {list(clocks)}; they must ascend from above 0 to at most {LATEST:g}")
