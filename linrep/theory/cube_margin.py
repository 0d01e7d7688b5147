"""The margin problem on complete sets, reduced by the symmetries of the cube (thm-limit-cube).

A pattern is a matrix whose entry (d, c) depends on two numbers only: κ, the concepts that d knows, and j, those of them
that c contradicts. It is kept as an array of shape (m + 1, m + 1), entry [κ, j], zero where j > κ. The characters χ_S
are the right singular vectors of a pattern, with one singular value σ_r for all C(m, r) sets S of r concepts.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import comb

from linrep.concepts import all_tokens
from linrep.contexts import UNKNOWN, all_contexts
from linrep.errors import InputError
from linrep.memory import require_memory
from linrep.theory.convex import GAP, require_cvxpy, require_small, run_program
from linrep.theory.loss_optima import linearity_of

Pattern = Float[np.ndarray, "known mismatches"]
Sizes = Float[np.ndarray, " degrees"]

PRESENT = 1e-4
"""A degree is present if its singular value is above this part of the largest one."""

LARGEST = 24
"""Concepts: the binomials and powers of two of larger cubes leave the range in which the solver is accurate."""


@dataclass(frozen=True, eq=False)
class CubeMargin:
    """A solution of the reduced problem with its certificate.

    Attributes:
        margins: the pattern h_κ(j): 0 at j = 0, at least 1 elsewhere, exactly. Logits are −h, less the mean of a row.
        sizes: σ_1..σ_m of the logits, σ_r for each of C(m, r) sets.
        value: their nuclear norm, an upper bound of the least one.
        witness: the pattern of a matrix M of spectral norm 1 that proves the lower bound (prop-limit-certificate).
        slack: τ_1..τ_m, the singular values of M; if value and bound agree, no optimum has a degree with τ_r < 1.
        bound: the lower bound, for all feasible logits, invariant or not.
    """

    margins: Pattern
    sizes: Sizes
    value: float
    witness: Pattern
    slack: Sizes
    bound: float

    @property
    def concepts(self) -> int:
        """m, the number of concepts."""
        return len(self.sizes)

    @property
    def gap(self) -> float:
        """How far the value can be above the least one, as a part of it."""
        return (self.value - self.bound) / self.value

    @property
    def degrees(self) -> list[int]:
        """The degrees that are present."""
        return (1 + np.flatnonzero(self.sizes > PRESENT * self.sizes.max())).tolist()

    @property
    def left_open(self) -> float:
        """What part of its nuclear norm any optimum can have in a degree that is not present: max 2 gap/(1 − τ_r²)."""
        absent = [self.slack[r - 1] for r in range(1, self.concepts + 1) if r not in self.degrees]
        return max((2 * self.gap / (1 - float(each) ** 2) for each in absent), default=0.0)

    @property
    def rank(self) -> int:
        """The rank of the logits: C(m, r) for each degree r that is present."""
        return sum(math.comb(self.concepts, r) for r in self.degrees)

    @property
    def linearity(self) -> float:
        """U of the unembeddings of balanced factors."""
        return linearity_of(self.sizes.tolist())


def solve_cube(concepts: int) -> CubeMargin:
    """The least nuclear norm among logits a_κ − h_κ(j) with h_κ(0) = 0 and h_κ(j) ≥ 1: m(m + 1)/2 unknowns.

    Raises:
        InputError: concepts below 2 or above `LARGEST`, or no cvxpy.
        LinrepError: the solver fails.
    """
    _require_size(concepts)
    cvxpy = require_cvxpy()
    known, wrong = cells(concepts)
    unknown = cvxpy.Variable(len(known))
    maps = degree_maps(concepts)
    norms = [math.comb(concepts, r) * cvxpy.norm(cell_rows(maps, r) @ unknown) for r in range(1, concepts + 1)]
    margin = unknown >= 1
    problem = cvxpy.Problem(cvxpy.Minimize(sum(norms)), [margin])
    what = f"margin problem of {concepts} concepts"
    run_program(problem, what, solver=cvxpy.CLARABEL)
    found = certified(_on_cells(unknown.value, known, wrong), _on_cells(margin.dual_value, known, wrong))
    require_small(found.gap, what, allowed=GAP)
    return found


def certified(margins: Pattern, multipliers: Pattern) -> CubeMargin:
    """A feasible point and a dual one, made exactly feasible, with the bounds that they give.

    Args:
        margins: h_κ(j), raised to 1 where it is below. multipliers: of h_κ(j) ≥ 1, raised to 0.
    """
    concepts = len(margins) - 1
    off = _off_support(concepts)
    feasible = np.where(off, np.maximum(margins, 1), 0)
    sizes = degree_sizes(feasible)
    forces = np.where(off, np.maximum(multipliers, 0), 0)
    witness = -np.divide(forces, entry_counts(concepts), out=np.zeros_like(forces), where=off)
    each = comb(np.arange(concepts + 1)[:, None], np.arange(concepts + 1))  # entries of one row, up to 2^(m−κ)
    witness[:, 0] = -(each * witness).sum(axis=1)  # so that rows sum to zero
    slack = degree_sizes(witness)
    top = slack.max()
    bound = float(forces.sum() / top)
    return CubeMargin(feasible, sizes, nuclear_norm(sizes), witness / top, slack / top, bound)


def degree_maps(concepts: int) -> Float[np.ndarray, "degrees known mismatches"]:
    """The array A for which σ_r² = Σ_κ (Σ_j A[r, κ, j] h_κ(j))², r from 0 to m (eq-limit-sizes).

    A[r, κ, j] = 2^(m/2) sqrt(C(m − r, κ − r) 2^(−κ)) K_j(r; κ), K the Krawtchouk polynomial.
    """
    span = range(concepts + 1)
    maps = np.zeros((concepts + 1,) * 3)
    for r in span:
        for known in range(r, concepts + 1):
            scale = math.sqrt(2.0 ** (concepts - known) * math.comb(concepts - r, known - r))
            maps[r, known, : known + 1] = [scale * krawtchouk(j, r, known) for j in range(known + 1)]
    return maps


def krawtchouk(j: int, r: int, known: int) -> int:
    """K_j(r; κ) = Σ_i (−1)^i C(r, i) C(κ − r, j − i): Σ of χ_S over the states at distance j, |S| = r."""
    return sum(
        (-1) ** i * math.comb(r, i) * math.comb(known - r, j - i) for i in range(min(r, j) + 1) if j - i <= known - r
    )


def cells(concepts: int) -> tuple[Int[np.ndarray, " cells"], Int[np.ndarray, " cells"]]:
    """κ and j of the unknowns h_κ(j), 1 ≤ j ≤ κ ≤ m, in one order."""
    known, wrong = np.nonzero(_off_support(concepts))
    return known, wrong


def cell_rows(maps: Float[np.ndarray, "degrees known mismatches"], r: int) -> Float[np.ndarray, "rows cells"]:
    """The matrix that makes σ_r the length of a vector: one row for each κ, one column for each unknown."""
    known, wrong = cells(len(maps) - 1)
    rows = np.zeros((len(maps), len(known)))
    rows[known, np.arange(len(known))] = maps[r, known, wrong]
    return rows[r:]


def degree_sizes(pattern: Pattern) -> Sizes:
    """σ_1..σ_m of a pattern; the constant part, degree 0, is left out: a softmax does not see it."""
    parts = (degree_maps(len(pattern) - 1) * pattern).sum(axis=2)
    return np.asarray(np.linalg.norm(parts, axis=1)[1:])


def nuclear_norm(sizes: Sizes) -> float:
    """Σ_r C(m, r) σ_r."""
    return float(sum(math.comb(len(sizes), r) * size for r, size in enumerate(sizes, start=1)))


def counting_margins(concepts: int) -> Pattern:
    """h_κ(j) = j: the linear candidate, the best of those of degree one alone."""
    pattern: Pattern = np.where(_off_support(concepts), np.arange(concepts + 1.0), 0)
    return pattern


def agreement_margins(concepts: int) -> Pattern:
    """h_κ(j) = 1 for j ≥ 1: agrees or not, all orders of interaction."""
    return _off_support(concepts).astype(float)


def entry_counts(concepts: int) -> Float[np.ndarray, "known mismatches"]:
    """How many entries of the matrix a cell stands for: 2^m C(m, κ) C(κ, j)."""
    known, wrong = np.indices((concepts + 1, concepts + 1))
    return np.asarray(2.0**concepts * comb(concepts, known) * comb(known, wrong))


def pattern_matrix(pattern: Pattern) -> Float[np.ndarray, "contexts tokens"]:
    """The matrix of all contexts by all tokens that a pattern stands for.

    Raises:
        TooLargeError: it would not fit in memory.
    """
    concepts = len(pattern) - 1
    require_memory(3 * 8 * 6**concepts, f"a table of 3^{concepts} contexts by 2^{concepts} tokens")
    contexts, tokens = all_contexts(concepts), all_tokens(concepts)
    wrong = np.zeros((len(contexts), len(tokens)), dtype=np.int64)
    for known, value in zip(contexts.T, tokens.T, strict=True):
        wrong += (known[:, None] != UNKNOWN) & (known[:, None] != value)
    return np.asarray(pattern[(contexts != UNKNOWN).sum(axis=1)[:, None], wrong])


def centred_logits(margins: Pattern) -> Float[np.ndarray, "contexts tokens"]:
    """The logits −h, each row less its mean."""
    logits = -pattern_matrix(margins)
    return np.asarray(logits - logits.mean(axis=1, keepdims=True))


def _off_support(concepts: int) -> np.ndarray:
    """Where 1 ≤ j ≤ κ."""
    known, wrong = np.indices((concepts + 1, concepts + 1))
    return np.asarray((wrong >= 1) & (wrong <= known))


def _on_cells(values: np.ndarray, known: np.ndarray, wrong: np.ndarray) -> Pattern:
    """The pattern with these values in the cells, zero elsewhere."""
    pattern = np.zeros((int(known.max()) + 1,) * 2)
    pattern[known, wrong] = values
    return pattern


def _require_size(concepts: int) -> None:
    """Refuse sizes that the reduced problem is not meant for."""
    if not 2 <= concepts <= LARGEST:
        raise InputError(f"concepts is {concepts}; allowed are 2 to {LARGEST}")
