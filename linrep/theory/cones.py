"""What "linear" means: cones of steering vectors, the square of two concepts, and the gauge that no loss can see.

Definition 2 of the paper calls a concept linear when its steering vectors lie in one cone {αu, α > 0}. All statements
here are ours. Tables have one row for each state; leading batch axes are replicates.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import direction
from linrep.start import Tables
from linrep.steering import counterfactual_pairs, steering_vectors


def concept_axes(
    table: Float[Tensor, "tokens dim"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Float[Tensor, "tokens dim"]:
    """A table, centred and rotated: Δ_1's mean along the first axis, Δ_2's in the plane of the first two, and so on.

    A rotation or reflection: no distance and no cosine changes. Needs as many concepts as dimensions.

    Raises:
        InputError: another number of concepts.
    """
    if tokens.shape[1] != table.shape[1]:
        raise InputError(f"{tokens.shape[1]} concepts in {table.shape[1]} dimensions; need as many")
    means = torch.stack([steering_vectors(table, pair).mean(dim=0) for pair in counterfactual_pairs(tokens)])
    turn, upper = torch.linalg.qr(means.mT)
    turned: Tensor = (table - table.mean(dim=0)) @ (turn * torch.where(upper.diagonal() < 0, -1.0, 1.0))
    return turned


def reversed_cosine(vectors: int, reverse: int) -> float:
    """Mean cosine over distinct pairs of n unit vectors on one line, r of which point the other way.

    The mean unit vector has length |n − 2r|/n, so the mean cosine is ((n − 2r)² − n)/(n(n − 1)); 1 for r = 0.

    Raises:
        InputError: fewer than two vectors, or more reversed than there are.
    """
    if vectors < 2 or not 0 <= reverse <= vectors:
        raise InputError(f"{reverse} of {vectors} vectors reversed; need at least 2 vectors and 0 to {vectors} of them")
    return ((vectors - 2 * reverse) ** 2 - vectors) / (vectors * (vectors - 1))


def cone_factors(vectors: Float[Tensor, "*batch pairs dim"]) -> Float[Tensor, "*batch pairs"]:
    """The factors α of vectors along the unit mean direction of their set: α(c) = Δg_i(c)·u.

    If the vectors lie in one cone these are their lengths.

    Raises:
        InputError: the mean of the vectors is zero.
    """
    return (vectors * direction(vectors).unsqueeze(-2)).sum(dim=-1)


def affine_residual(
    table: Float[Tensor, "*batch tokens dim"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Float[Tensor, "*batch"]:
    """The part of a table's squared distance from its mean that g(c) = g0 + Σ_i c_i b_i cannot fit, from 0 to 1.

    0 for a parallelepiped and its linear images, the only tables in which all concepts are linear in pairwise
    non-collinear directions. The fit is least squares, so that a table on any set of tokens has one.

    Raises:
        InputError: all rows are equal.
    """
    ones = torch.ones(len(tokens), 1, dtype=torch.float64)
    design = torch.cat([ones, torch.from_numpy(tokens).double()], dim=1)
    basis, singular, _ = torch.linalg.svd(design, full_matrices=False)
    basis = basis[:, singular > 1e-10 * singular[0]]
    table = table.double()
    total = (table - table.mean(dim=-2, keepdim=True)).square().sum(dim=(-2, -1))
    if (total == 0).any():
        raise InputError("all rows of the table are equal: it has no spread, of which a part could be affine")
    left = table - basis @ (basis.mT @ table)
    part: Tensor = left.square().sum(dim=(-2, -1)) / total
    return part


def gauge(tables: Tables, matrix: Float[Tensor, "*batch dim dim"]) -> Tables:
    """The tables of f → A⁻ᵀf and g → Ag: all logits f(d)·g(c), and so every loss of them, stay as they are.

    Raises:
        InputError: A is singular, to working precision.
    """
    if (condition_number(matrix) > 1e12).any():
        raise InputError(f"a gauge of condition number {float(condition_number(matrix).max()):.3g}; allowed is 1e12")
    embedding, unembedding = tables
    return torch.linalg.solve(matrix, embedding, left=False), unembedding @ matrix.mT


def condition_number(matrix: Float[Tensor, "*batch dim dim"]) -> Float[Tensor, "*batch"]:
    """The largest singular value over the least; infinite for a singular matrix."""
    singular = torch.linalg.svdvals(matrix)
    ratio: Tensor = singular[..., 0] / singular[..., -1]
    return ratio


def spread_gauge(
    left: Float[Tensor, "*batch dim dim"], right: Float[Tensor, "*batch dim dim"], condition: float
) -> Float[Tensor, "*batch dim dim"]:
    """A = QSRᵀ for orthogonal Q and R, with singular values S in equal ratios around 1, of a given condition number.

    Raises:
        InputError: a condition number below 1.
    """
    if not (math.isfinite(condition) and condition >= 1):
        raise InputError(f"the condition number is {condition}; it must be 1 or more")
    size = left.shape[-1]
    powers = torch.linspace(0.5, -0.5, size, dtype=torch.float64) if size > 1 else torch.zeros(1, dtype=torch.float64)
    return (left * condition**powers) @ right.mT


def orthogonalising_gauge(rows: Float[Tensor, "*batch concepts dim"]) -> Float[Tensor, "*batch dim dim"]:
    """The A with A u_i = e_i for the directions u_1..u_m of k = m concepts: it makes them orthogonal.

    Where moreover the embedding directions have v_i·u_j = 0 for i ≠ j and v_i·u_i > 0, A⁻ᵀv_i = (v_i·u_i) e_i: it makes
    the concepts matched as well.

    Raises:
        InputError: other than k directions, or directions that are linearly dependent.
    """
    count, size = rows.shape[-2:]
    if count != size:
        raise InputError(f"{count} directions in {size} dimensions; need as many directions as dimensions")
    if (condition_number(rows) > 1e12).any():
        raise InputError("the directions are linearly dependent: no linear map makes them orthogonal")
    inverse: Tensor = torch.linalg.inv(rows.mT)
    return inverse


def gauge_bound(
    cosine: Float[Tensor, "*batch"], condition: Float[Tensor, "*#batch"] | float
) -> Float[Tensor, "*batch"]:
    """The least mean cosine U' that a gauge of condition number κ can leave of a mean cosine U.

    1 − U' ≤ 2κ²(1 − U)/(2 + (κ² − 1)(1 − U)): for one angle θ because tan(θ'/2) ≤ κ tan(θ/2) for every A, with equality
    for some, and for a mean because the right side is concave in 1 − U.

    Raises:
        InputError: a condition number below 1.
    """
    square = torch.as_tensor(condition, dtype=cosine.dtype).square()
    if not (square >= 1 - 1e-9).all():  # an orthogonal matrix has 1 but for rounding
        raise InputError(f"the condition number is {float(square.min().sqrt())}; it must be 1 or more")
    lacking = 1 - cosine
    return 1 - 2 * square * lacking / (2 + (square - 1) * lacking)


def matched_bound(condition: float) -> float:
    """The least cosine that a gauge of condition number κ can leave between Δg and Δf that were parallel: 2κ/(1 + κ²).

    Raises:
        InputError: a condition number below 1.
    """
    if not (math.isfinite(condition) and condition >= 1):
        raise InputError(f"the condition number is {condition}; it must be 1 or more")
    return 2 * condition / (1 + condition**2)


def separation(
    table: Float[Tensor, "*batch tokens dim"], labels: Int[np.ndarray, "tokens entries"]
) -> Float[Tensor, "*batch"]:
    """Least distance between rows of different labels over the largest between rows of one label: clusters if well
    above 1. A cube with its faces, or its parallel edges, as clusters has at most 1.

    Raises:
        InputError: only one label, or no two rows that share one.
    """
    same = torch.from_numpy((labels[:, None] == labels[None]).all(axis=-1))
    others = ~torch.eye(len(labels), dtype=torch.bool)
    if same.all() or not (same & others).any():
        raise InputError("clusters need two labels or more, and two rows or more that share one")
    distances = torch.cdist(table, table, compute_mode="donot_use_mm_for_euclid_dist")
    return distances[..., ~same].amin(dim=-1) / distances[..., same & others].amax(dim=-1)


def centres(
    table: Float[Tensor, "*batch tokens dim"], labels: Int[np.ndarray, "tokens entries"]
) -> tuple[Float[Tensor, "*batch clusters dim"], Int[np.ndarray, "clusters entries"]]:
    """The mean row of each label, and the labels, each once and in order."""
    found, place = np.unique(labels, axis=0, return_inverse=True)
    members = torch.from_numpy(np.eye(len(found))[place.reshape(-1)]).to(table.dtype)  # (tokens, clusters)
    return (members / members.sum(dim=0)).mT @ table, found
