"""What balance makes of the logits: balanced factors are the polar factors of Z = F Gᵀ, up to a rotation of the space.

FᵀF = GᵀG gives G Gᵀ = (ZᵀZ)^(1/2) and F Fᵀ = (ZZᵀ)^(1/2): all angles are functions of the logits. Where Z is a sum of
φ_i χ_iᵀ, the φ_i orthogonal over the contexts and the χ_i over the tokens, concepts come out orthogonal and matched.
Tables have one row for each state; leading batch axes are replicates.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.contexts import UNKNOWN
from linrep.errors import InputError
from linrep.start import Tables
from linrep.theory.balance import Pair, imbalance_matrix, spectral_norm
from linrep.theory.cones import gauge

Square = Float[Tensor, "*batch dim dim"]
Rows = Float[Tensor, "*batch rows dim"]
Scalars = Float[Tensor, "*batch"]

LARGEST_CONDITION = 1e12
"""Of FᵀF or GᵀG: beyond it the gauge that balances them would be rounding."""


def root(matrix: Square) -> Square:
    """The positive semidefinite square root of a symmetric positive semidefinite matrix.

    Raises:
        InputError: an eigenvalue that is negative beyond rounding.
    """
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    top = values.abs().amax(dim=-1, keepdim=True)
    if (values < -1e-9 * top).any():
        raise InputError(f"the least eigenvalue is {float(values.min()):.3g}; a square root needs 0 or more")
    half: Tensor = (vectors * values.clamp(min=0).sqrt().unsqueeze(-2)) @ vectors.mT
    return half


def balancing_gauge(tables: Pair) -> Square:
    """The positive definite A for which f → A⁻ᵀf, g → Ag makes FᵀF and GᵀG equal (prop-rebalance).

    N = AᵀA is the only positive definite solution of N(GᵀG)N = FᵀF, the geometric mean of FᵀF and (GᵀG)⁻¹:
    N = Y^(−1/2)(Y^(1/2) X Y^(1/2))^(1/2) Y^(−1/2), X = FᵀF, Y = GᵀG. Every other such A is a rotation times it.

    Raises:
        InputError: F or G has linearly dependent columns, to working precision.
    """
    grams = [table.mT @ table for table in tables]
    for name, gram in zip("FG", grams, strict=True):
        values = torch.linalg.eigvalsh(gram)
        if not (values[..., 0] * LARGEST_CONDITION > values[..., -1]).all():
            raise InputError(f"the columns of {name} are linearly dependent; the gauge that balances needs full rank")
    half = root(grams[1])
    inverse = torch.linalg.inv(half)
    return root(inverse @ root(half @ grams[0] @ half) @ inverse)


def rebalanced(tables: Tables) -> Tables:
    """The balanced tables with the same logits, under the positive definite gauge."""
    return gauge(tables, balancing_gauge(tables))


def balance_angle(tables: Pair) -> Scalars:
    """α with tan α = |FᵀF − GᵀG|/(2σ), spectral norm, σ the k-th singular value of F Gᵀ (thm-cost).

    What is orthogonal in the balanced tables has |cos| ≤ sin α in these, what is matched there cos ≥ cos α here.

    Raises:
        InputError: logits of a rank below k.
    """
    values, size = logit_singular_values(tables), tables[0].shape[-1]
    if values.shape[-1] < size or not (values[..., -1] * LARGEST_CONDITION > values[..., 0]).all():
        raise InputError(f"the logits have a rank below k = {size}; the angle needs full rank")
    return torch.atan(spectral_norm(imbalance_matrix(tables)) / (2 * values[..., -1]))


def logit_singular_values(tables: Pair) -> Float[Tensor, "*batch sizes"]:
    """The k largest singular values of F Gᵀ, falling, from k × k matrices."""
    left, right = (torch.linalg.qr(table).R for table in tables)
    values: Tensor = torch.linalg.svdvals(left @ right.mT)
    return values


def signs(states: Int[np.ndarray, "states concepts"]) -> Float[Tensor, "states concepts"]:
    """+1 where a concept is known to be 1, −1 where it is known to be 0, 0 where it is unknown: χ_i of a token."""
    plain = np.where(states == UNKNOWN, 0, 2 * states.astype(np.int64) - 1)
    return torch.from_numpy(plain.astype(np.float64))


def token_functions(
    logits: Float[Tensor, "*batch contexts tokens"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Float[Tensor, "*batch contexts concepts"]:
    """φ_i(d) = mean over c of Z(d, c) χ_i(c): the degree-one part of the logits is Σ_i φ_i χ_iᵀ, on all 2^m tokens.

    Raises:
        InputError: tokens that are not all 2^m.
    """
    if len(tokens) != 1 << tokens.shape[1]:
        raise InputError(
            f"{len(tokens)} tokens of {tokens.shape[1]} concepts; the mean needs all {1 << tokens.shape[1]}"
        )
    mean: Tensor = logits @ signs(tokens) / len(tokens)
    return mean


def known_slopes(
    functions: Float[Tensor, "*batch contexts concepts"], contexts: Int[np.ndarray, "contexts concepts"]
) -> Float[Tensor, "*batch known"]:
    """s_1..s_m: the mean of ±φ_i(d), + where d_i = 1, over all i and all d that know i and n concepts in all."""
    sign = signs(contexts)
    known = sign.abs().sum(dim=1)
    found = []
    for count in range(1, sign.shape[1] + 1):
        weight = sign * (known == count).unsqueeze(1)
        found.append((functions * weight).sum(dim=(-2, -1)) / weight.abs().sum())
    return torch.stack(found, dim=-1)


def symmetric_functions(
    slopes: Float[Tensor, "*batch known"], contexts: Int[np.ndarray, "contexts concepts"]
) -> Float[Tensor, "*batch contexts concepts"]:
    """φ_i(d) = ±s_n, + where d_i = 1, n the number of concepts that d knows; 0 where it does not know i."""
    sign = signs(contexts)
    known = sign.abs().sum(dim=1).long()
    padded = torch.cat([torch.zeros_like(slopes[..., :1]), slopes], dim=-1)
    return padded[..., known].unsqueeze(-1) * sign


def predicted_lengths(
    functions: Float[Tensor, "*batch contexts concepts"], tokens: int
) -> tuple[Float[Tensor, "*batch concepts"], Float[Tensor, "*batch concepts"]]:
    """|a_i|² = sqrt(β)/|φ_i| and |b_i|² = |φ_i|/sqrt(β), β = 2^m, λ_i = 1 (thm-factors): from the logits alone.

    Raises:
        InputError: a φ_i that is zero.
    """
    size: Tensor = functions.norm(dim=-2)
    if not (size > 0).all():
        raise InputError("a φ_i is zero: the logits do not depend on that concept")
    return tokens**0.5 / size, size / tokens**0.5


def coordinates(
    table: Float[Tensor, "*batch states dim"], functions: Float[Tensor, "*#batch states concepts"]
) -> Float[Tensor, "*batch concepts dim"]:
    """a_i of f(d) ≈ Σ φ_i(d) a_i, or b_i of g(c) ≈ Σ χ_i(c) b_i: least squares, for mutually orthogonal functions."""
    vectors: Tensor = (functions / functions.square().sum(dim=-2, keepdim=True)).mT @ table
    return vectors


def balanced_gram(logits: Float[Tensor, "*batch contexts tokens"]) -> Float[Tensor, "*batch tokens tokens"]:
    """G Gᵀ of the balanced tables with these logits: (ZᵀZ)^(1/2) (lem-polar)."""
    return root(logits.mT @ logits)


def apart(first: Rows, second: Rows) -> Scalars:
    """|first − second|/|first|, Frobenius: the part of the logits that a form does not give.

    Raises:
        InputError: the first is zero.
    """
    size = first.flatten(-2).norm(dim=-1)
    if not (size > 0).all():
        raise InputError("the logits are zero: no part of them can be compared")
    part: Tensor = (first - second).flatten(-2).norm(dim=-1) / size
    return part
