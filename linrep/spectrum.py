"""Linearity as a Fourier weight: G and F as functions of the concepts, by degree (ours).

Write g(c) = Σ_S χ_S(c) b_S over sets S of concepts, χ_S(c) = Π_{i in S} (2c_i − 1). Then the steering vectors of
concept i are Δg_i(c) = 2 Σ_{S∋i} χ_{S−i}(c) b_S: equal to each other exactly when no set above degree one that
contains i has weight. An embedding is a function on {−1, 0, 1}^m, 0 for a concept that is not known; there a factor
is 1, x² less its mean, or x. Only x is odd, and only sets with x_i among their odd factors enter Δf_i.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.contexts import all_contexts
from linrep.errors import InputError

FACTORS = ((1.0, 1.0, 1.0), (-(2.0**0.5), 0.5**0.5, 0.5**0.5), (0.0, -(1.5**0.5), 1.5**0.5))
"""1, x² less its mean, and x, where a concept is not known, 0 and 1: orthogonal, each of mean square 1."""


def walsh(tokens: Int[np.ndarray, "tokens concepts"]) -> tuple[Float[Tensor, "sets tokens"], Int[np.ndarray, " sets"]]:
    """χ_S(c) = Π_{i in S} (2c_i − 1) for every set S of concepts, and |S|; the sets are in the order of the tokens.

    Raises:
        InputError: tokens that are not all 2^m.
    """
    m = tokens.shape[1]
    if len(tokens) != 1 << m:
        raise InputError(f"{len(tokens)} tokens of {m} concepts; a Walsh transform needs all {1 << m}")
    sign = 1 - 2.0 * (((tokens[:, None, :] == 1) & (tokens[None, :, :] == 0)).sum(axis=-1) % 2)
    return torch.from_numpy(sign), tokens.sum(axis=1)


def degree_weights(
    table: Float[Tensor, "*batch tokens dim"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Float[Tensor, "*batch degrees"]:
    """Σ_{|S| = r} |b_S|² for r = 0..m, g(c) = Σ_S χ_S(c) b_S: they add up to the mean of |g(c)|².

    Raises:
        InputError: tokens that are not all 2^m.
    """
    functions, degree = walsh(tokens)
    squares = (functions @ table.double() / len(tokens)).square().sum(dim=-1)
    return _by_degree(squares, degree)


def context_degree_weights(
    table: Float[Tensor, "*batch contexts dim"], contexts: Int[np.ndarray, "contexts concepts"]
) -> Float[Tensor, "*batch degrees"]:
    """The same for embeddings, by the number r = 0..m of odd factors: they add up to the plain mean of |f(d)|².

    Raises:
        InputError: contexts that are not all 3^m, in the order of `all_contexts`.
    """
    m = contexts.shape[1]
    if len(contexts) != 3**m or not np.array_equal(contexts, all_contexts(m)):
        raise InputError(f"{len(contexts)} contexts of {m} concepts; their spectrum needs all {3**m}, in order")
    batch, dim = table.shape[:-2], table.shape[-1]
    factors = torch.tensor(FACTORS, dtype=torch.float64, device=table.device) / 3
    values = table.double()
    for concept in range(m):
        values = values.reshape(*batch, 3**concept, 3, 3 ** (m - 1 - concept) * dim)
        values = torch.einsum("...aij,ki->...akj", values, factors)
    squares = values.reshape(*batch, 3**m, dim).square().sum(dim=-1)
    return _by_degree(squares, (all_contexts(m) == 1).sum(axis=1))


def shares(weights: Float[Tensor, "*batch degrees"]) -> Float[Tensor, "*batch degrees"]:
    """Weights of degree one and more as shares of their sum; that of degree zero, which enters no difference, is 0.

    Raises:
        InputError: no weight above degree zero.
    """
    above = weights.clone()
    above[..., 0] = 0
    total = above.sum(dim=-1, keepdim=True)
    if not bool((total > 0).all()):
        raise InputError("a table is the same in every row: no degree above zero has weight")
    return above / total


def linear_weights(
    table: Float[Tensor, "*batch tokens dim"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Float[Tensor, "*batch concepts"]:
    """w_i = |b_{i}|² / Σ_{S∋i} |b_S|²: what of concept i's steering vectors is of degree one.

    Raises:
        InputError: tokens that are not all 2^m; a concept that changes nothing.
    """
    functions, _ = walsh(tokens)
    squares = (functions @ table.double() / len(tokens)).square().sum(dim=-1)
    within = torch.from_numpy(tokens.astype(np.float64)).to(squares.device)  # sets are in the order of the tokens
    alone = [int(np.flatnonzero((tokens == row).all(axis=1))[0]) for row in np.eye(tokens.shape[1], dtype=int)]
    total = squares @ within
    if not bool((total > 0).all()):
        raise InputError("a concept changes no unembedding: all its steering vectors are zero")
    return squares[..., alone] / total


def weighted_cosine(vectors: Float[Tensor, "*batch pairs dim"]) -> Float[Tensor, "*batch"]:
    """The length-weighted mean cosine: Σ_{a≠b} v_a·v_b / ((n − 1) Σ_a |v_a|²), the plain mean if lengths are equal.

    Raises:
        InputError: fewer than two vectors, or all of them zero.
    """
    count = vectors.shape[-2]
    own = vectors.double().square().sum(dim=(-2, -1))
    if count < 2 or not bool((own > 0).all()):
        raise InputError(f"{count} steering vectors given; a length-weighted cosine needs two or more, not all zero")
    whole = vectors.double().sum(dim=-2).square().sum(dim=-1)
    return (whole - own) / ((count - 1) * own)


def predicted_cosine(weights: Float[Tensor, "*batch concepts"]) -> Float[Tensor, "*batch concepts"]:
    """(n w_i − 1)/(n − 1), n = 2^(m−1): the length-weighted U_i; U_i itself if all Δg_i(c) are equally long."""
    count = float(2 ** (weights.shape[-1] - 1))
    return (weights * count - 1) / (count - 1)


def _by_degree(
    squares: Float[Tensor, "*batch sets"], degree: Int[np.ndarray, " sets"]
) -> Float[Tensor, "*batch degrees"]:
    """Sums over the sets of each degree."""
    return torch.stack([squares[..., degree == r].sum(dim=-1) for r in range(int(degree.max()) + 1)], dim=-1)
