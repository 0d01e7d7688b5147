"""Spans of embeddings and projections on them, for Theorems 3 and 10: rows of an array are vectors."""

import numpy as np
import torch
from jaxtyping import Float

from linrep.errors import InputError
from linrep.geometry import mean_cosine

RANK_TOLERANCE = 1e-9
"""A singular value below this part of the largest one counts as zero: far above the rounding of double precision
(about 1e-15), far below what any model here has by design or by training (about 1e-3)."""


def span_basis(
    vectors: Float[np.ndarray, "rows dim"], *, tolerance: float = RANK_TOLERANCE
) -> Float[np.ndarray, "rank dim"]:
    """Orthonormal rows that span the vectors: right singular vectors of the singular values above the tolerance.

    Args:
        tolerance: relative to the largest singular value.

    Raises:
        InputError: vectors that are not finite, or a span of rank 0 because all of them are zero (or there are none).
    """
    if not np.isfinite(vectors).all():
        raise InputError("a vector is not finite; a span needs finite vectors")
    largest = np.abs(vectors).max(initial=0.0)
    if largest == 0:
        raise InputError(
            f"the span of {len(vectors)} vector(s) has rank 0: all are zero; nothing can be projected on it"
        )
    _, sizes, axes = np.linalg.svd(vectors / largest, full_matrices=False)
    return np.asarray(axes[sizes > tolerance * sizes[0]])


def project(
    vectors: Float[np.ndarray, "vectors dim"], basis: Float[np.ndarray, "rank dim"]
) -> Float[np.ndarray, "vectors rank"]:
    """The orthogonal projections on the span, in coordinates of its basis: lengths and cosines are the same there."""
    return np.asarray(vectors @ basis.T)


def subspace_dimension(vectors: Float[np.ndarray, "vectors dim"], *, tolerance: float = RANK_TOLERANCE) -> int:
    """The dimension of the vectors' span: singular values above the tolerance (relative); 0 if all are zero."""
    sizes = np.linalg.svd(vectors, compute_uv=False)
    return int((sizes > tolerance * sizes[0]).sum())


def dispersion(vectors: Float[np.ndarray, "vectors dim"]) -> float:
    """Σ|v − v̄|²/Σ|v|², v̄ the mean: 0 exactly when all vectors are equal, 1 when their mean is zero.

    Raises:
        InputError: all vectors are zero.
    """
    largest = np.abs(vectors).max(initial=0.0)
    if largest == 0:
        raise InputError(f"all of {len(vectors)} vector(s) are zero; their relative dispersion is undefined")
    scaled = vectors / largest
    return float(((scaled - scaled.mean(axis=0)) ** 2).sum() / (scaled**2).sum())


def outside_share(vectors: Float[np.ndarray, "vectors dim"], dimension: int) -> float:
    """The least share of Σ|v|² that any subspace of this dimension leaves out; it hangs on no numerical rank.

    Raises:
        InputError: all vectors are zero.
    """
    squares = np.linalg.svd(vectors, compute_uv=False) ** 2
    if squares.sum() == 0:
        raise InputError(f"all of {len(vectors)} vector(s) are zero; no share of their square can be taken")
    return float(squares[dimension:].sum() / squares.sum())


def projected_cosine(
    vectors: Float[np.ndarray, "vectors dim"],
    basis: Float[np.ndarray, "rank dim"],
    *,
    tolerance: float = RANK_TOLERANCE,
) -> float:
    """Mean cosine over distinct pairs of the projections.

    Raises:
        InputError: a projection is zero (at most `tolerance` of its vector's length), as all are when ℓ_i = 0.
    """
    projected = project(vectors, basis)
    lengths = np.linalg.norm(vectors, axis=1)
    zero = np.flatnonzero(np.linalg.norm(projected, axis=1) <= tolerance * lengths)
    if len(zero):
        raise InputError(f"the projection of steering vector {zero[0]} on the span is zero: its cosine is undefined")
    return float(mean_cosine(torch.from_numpy(projected)))


def seen_share(embedding: Float[np.ndarray, "contexts dim"], vectors: Float[np.ndarray, "vectors dim"]) -> float:
    """sqrt(Σ(f·v)² / (Σ|f|² Σ|v|²)): 0 exactly when all projections on the span of the f are zero, at most 1.

    Unlike the length of a projection it hangs on no numerical rank.

    Raises:
        InputError: all embeddings, or all vectors, are zero.
    """
    sizes = np.linalg.norm(embedding), np.linalg.norm(vectors)
    if min(sizes) == 0:
        raise InputError("all embeddings, or all vectors, are zero; a share of nothing is undefined")
    return float(np.linalg.norm(embedding @ vectors.T) / (sizes[0] * sizes[1]))
