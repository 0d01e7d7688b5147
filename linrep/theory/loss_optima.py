"""What other losses want: their optima in the logits, and the geometry of balanced factors of them, without training.

Label smoothing at ε has its optimum at ln((1 − ε) p + ε/2^m), up to a constant for each context. For small ε only the
pattern "c agrees with d, or not" is left of it; squared error of the products has its optimum at the best approximation
of rank k of p(c given d), weighted with p(d) (thm-loss-smoothing, thm-loss-products).
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from linrep.concepts import all_tokens
from linrep.contexts import agreement, all_contexts
from linrep.errors import InputError
from linrep.theory.explicit import Pair
from linrep.theory.other_losses import smoothed_target


@dataclass(frozen=True)
class Cosines:
    """U, E and UE of one model."""

    unembedding: float
    embedding: float
    matched: float


def smoothed_logits(target: Float[np.ndarray, "*batch tokens"], epsilon: float) -> Float[np.ndarray, "*batch tokens"]:
    """ln((1 − ε) p + ε/2^m): the only optimum of label smoothing, up to a constant for each context (prop-loss-finite).

    Raises:
        InputError: an ε that is not between 0 and 1.
    """
    return np.asarray(np.log(smoothed_target(target, epsilon)))


def agreement_pattern(concepts: int) -> Float[np.ndarray, "contexts tokens"]:
    """1 where c agrees with d and 0 where not, for all contexts and tokens: what ε → 0 leaves of `smoothed_logits`."""
    return agreement(all_contexts(concepts), all_tokens(concepts)).astype(float)


def agreement_cosines(concepts: int) -> Cosines:
    """U, E and UE of balanced factors of the agreement pattern, in closed form (thm-loss-smoothing).

    A mean over all pairs of vectors factorises over the other m − 1 concepts; U and E then leave out self-pairs.

    Raises:
        InputError: fewer than two concepts.
    """
    _require_two(concepts)
    root = math.sqrt(3)
    token = (3 - root) / 2
    context = (3 + 4 / math.sqrt(1 + root) + 2 * (1 - root) / (1 + root)) / 9
    both = (1 + 2 / math.sqrt(1 + root)) / (3 * math.sqrt(1 + 1 / root))
    others = concepts - 1
    return Cosines(_distinct(token, 2, others), _distinct(context, 3, others), both**others)


def fair_smoothed_linearity(concepts: int, epsilon: float) -> float:
    """U at the optimum of label smoothing in the world of m fair coins, balanced, k ≥ 2^m − 1 (eq-loss-fair).

    Raises:
        InputError: fewer than two concepts, or an ε that is not between 0 and 1.
    """
    _require_two(concepts)
    if not 0 < epsilon < 1:
        raise InputError(f"epsilon is {epsilon}; label smoothing takes one between 0 and 1, both left out")
    depth = [math.log1p(2.0**known * (1 - epsilon) / epsilon) for known in range(concepts + 1)]
    sizes = [
        math.sqrt(
            sum(math.comb(concepts - r, known - r) * depth[known] ** 2 / 2**known for known in range(r, concepts + 1))
        )
        for r in range(1, concepts + 1)
    ]
    return linearity_of(sizes)


def fair_product_linearity(concepts: int) -> float:
    """U at the optimum of squared error of the products for m fair coins, balanced, k ≥ 2^m (thm-loss-products).

    Raises:
        InputError: fewer than two concepts.
    """
    _require_two(concepts)
    return _distinct(1 / (1 + math.sqrt(2 / 3)), 2, concepts - 1)


@dataclass(frozen=True, eq=False)
class ProductOptimum:
    """The optimum of squared error of the products at one width.

    Attributes:
        products: the matrix F Gᵀ at the optimum. loss: the least loss.
        ratio: the first singular value left out over the last one kept; the optimum is unique iff it is below 1.
    """

    products: Float[np.ndarray, "contexts tokens"]
    loss: float
    ratio: float


def product_optimum(
    weights: Float[np.ndarray, " contexts"], target: Float[np.ndarray, "contexts tokens"], *, dim: int
) -> ProductOptimum:
    """D^(−1/2) times the best rank-k approximation of D^(1/2) P; D = diag p(d), P = p(c given d) (thm-loss-products).

    Raises:
        InputError: a dim below 1, or a weight that is not positive.
    """
    if dim < 1:
        raise InputError(f"dim is {dim}; it must be 1 or more")
    if weights.min() <= 0:
        raise InputError(f"the smallest p(d) is {weights.min():.3g}; every context needs a positive weight")
    root = np.sqrt(weights)[:, None]
    left, sizes, right = np.linalg.svd(root * target, full_matrices=False)
    products = (left[:, :dim] * sizes[:dim]) @ right[:dim] / root
    rest = sizes[dim:]
    ratio = float(rest[0] / sizes[dim - 1]) if len(rest) else 0.0
    return ProductOptimum(products, float((rest**2).sum()), ratio)


def balanced_factors(products: Float[np.ndarray, "contexts tokens"], *, dim: int) -> Pair:
    """F and G with F Gᵀ = the matrix itself, nothing subtracted, and FᵀF = GᵀG, in k dimensions.

    Raises:
        InputError: a matrix of a rank above k, or a dim that is not 1 to the number of tokens.
    """
    if not 1 <= dim <= min(products.shape):
        raise InputError(f"dim is {dim}; allowed are 1 to {min(products.shape)}")
    left, sizes, right = np.linalg.svd(products, full_matrices=False)
    if (sizes[dim:] > 1e-9 * sizes[0]).any():
        raise InputError(
            f"dim is {dim}, but the matrix has a larger rank: singular value {sizes[dim]:.3g} is left over"
        )
    root = np.sqrt(sizes[:dim])
    return left[:, :dim] * root, right[:dim].T * root


def linearity_of(sizes: list[float]) -> float:
    """U of balanced factors whose singular vectors are the characters χ_S, with singular value `sizes[|S| − 1]`."""
    concepts = len(sizes)
    total = sum(math.comb(concepts - 1, r) * size for r, size in enumerate(sizes))
    count = 2 ** (concepts - 1)
    return float((count * sizes[0] / total - 1) / (count - 1))


def _distinct(per_concept: float, values: int, others: int) -> float:
    """The mean over distinct pairs, from one over all pairs that is a product over the other concepts."""
    count = values**others
    return float((count * per_concept**others - 1) / (count - 1))


def _require_two(concepts: int) -> None:
    """Refuse a world in which a concept has one steering vector."""
    if concepts < 2:
        raise InputError(f"concepts is {concepts}; a mean cosine between steering vectors needs 2 or more")
