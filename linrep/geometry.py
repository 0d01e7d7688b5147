"""Cosines within a concept, between concepts, and between embedding and unembedding.

Every function takes steering vectors and does not know where they came from. A leading batch (replicates) is allowed
everywhere. Mean cosines leave out a vector's cosine with itself.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from linrep.errors import InputError


def unit(vectors: Float[Tensor, "*batch dim"], *, what: str = "steering vector") -> Float[Tensor, "*batch dim"]:
    """Vectors of length 1.

    Raises:
        InputError: a zero or non-finite vector has no direction; the message gives its index.
    """
    scale = vectors.abs().amax(dim=-1, keepdim=True)
    bad = ~(torch.isfinite(scale) & (scale > 0)).squeeze(-1)
    if bad.any():
        where = tuple(bad.nonzero()[0].tolist())
        raise InputError(f"{what} {where} is zero or not finite: it has no direction, so its cosine is undefined")
    scaled = vectors / scale  # a square neither underflows nor overflows
    length: Tensor = scaled.norm(dim=-1, keepdim=True)
    return scaled / length


def mean_cosine(vectors: Float[Tensor, "*batch pairs dim"]) -> Float[Tensor, "*batch"]:
    """Mean cosine over all distinct pairs of vectors: U for unembedding, E for embedding steering vectors.

    Uses Σ_{a≠b} u_a·u_b = |Σ u_a|² − n for unit vectors u, so the cost is linear in their number.

    Raises:
        InputError: fewer than two vectors, or a zero vector.
    """
    count = vectors.shape[-2]
    if count < 2:
        raise InputError(f"{count} steering vector(s) given; a mean cosine over distinct pairs needs at least 2")
    total = unit(vectors).sum(dim=-2)
    return (total.square().sum(dim=-1) - count) / (count * (count - 1))


def mean_cross_cosine(
    first: Float[Tensor, "*batch pairs dim"], second: Float[Tensor, "*batch others dim"]
) -> Float[Tensor, "*batch"]:
    """Mean cosine over all pairs of one vector of each set: UE for unembedding against embedding steering vectors."""
    return (unit(first).mean(dim=-2) * unit(second).mean(dim=-2)).sum(dim=-1)


def direction(vectors: Float[Tensor, "*batch pairs dim"]) -> Float[Tensor, "*batch dim"]:
    """A concept's direction: the mean of its raw steering vectors, then normalised.

    Raises:
        InputError: the mean is zero.
    """
    return unit(vectors.mean(dim=-2), what="mean steering vector of concept")


def directions(concepts: Sequence[Float[Tensor, "*batch _ dim"]]) -> Float[Tensor, "*batch concepts dim"]:
    """The direction of each concept, stacked."""
    return torch.stack([direction(vectors) for vectors in concepts], dim=-2)


def gram(rows: Float[Tensor, "*batch concepts dim"]) -> Float[Tensor, "*batch concepts concepts"]:
    """Signed cosines between the directions of the concepts; the diagonal is 1."""
    normed = unit(rows)
    return normed @ normed.mT


def mean_absolute_between(rows: Float[Tensor, "*batch concepts dim"]) -> Float[Tensor, "*batch"]:
    """Mean absolute cosine between the directions of different concepts.

    Raises:
        InputError: fewer than two concepts.
    """
    count = rows.shape[-2]
    if count < 2:
        raise InputError(f"{count} concept(s) given; a cosine between concepts needs at least 2")
    cosines = gram(rows).abs()
    off_diagonal = cosines.sum(dim=(-2, -1)) - cosines.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return off_diagonal / (count * (count - 1))


def cosine_matrix(concepts: Sequence[Float[Tensor, "*batch _ dim"]]) -> Float[Tensor, "*batch concepts concepts"]:
    """Mean cosine between the steering vectors of concept i and those of concept j (paper, Figures 3 and 7).

    Entry (i, i) is the mean over distinct pairs within concept i; entry (i, j) the mean over all pairs of one of each.
    """
    means = torch.stack([unit(vectors).mean(dim=-2) for vectors in concepts], dim=-2)
    matrix = means @ means.mT
    within = torch.stack([mean_cosine(vectors) for vectors in concepts], dim=-1)
    return matrix - torch.diag_embed(matrix.diagonal(dim1=-2, dim2=-1)) + torch.diag_embed(within)


def principal_axes(points: Float[Tensor, "points dim"]) -> Float[Tensor, "points dim"]:
    """The points, centred and turned onto their principal axes, the widest first; no difference changes its cosines."""
    centred = points - points.mean(dim=0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=True)
    turned: Tensor = centred @ axes.mT
    return turned


def imbalance(
    embedding: Float[Tensor, "*batch contexts dim"], unembedding: Float[Tensor, "*batch tokens dim"]
) -> Float[Tensor, "*batch"]:
    """|FᵀF − GᵀG| in the Frobenius norm: zero for balanced factors, conserved by gradient flow."""
    size: Tensor = (embedding.mT @ embedding - unembedding.mT @ unembedding).flatten(-2).norm(dim=-1)
    return size
