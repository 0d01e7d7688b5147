"""What stands against Corollary 8 when two concepts interact: the square, its odds ratio, and what each costs.

A square is four tokens that differ in concepts i and j only. Its second difference is zero where it closes to a
parallelogram: □_ij g(c) = Δg_i(c(j→1)) − Δg_i(c(j→0)) = Δg_j(c(i→1)) − Δg_j(c(i→0)). In a context d that knows neither
i nor j and agrees with c elsewhere, exact log-odds mean f(d)·□_ij g(c) = ln OR_ij(c).
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import unit
from linrep.population import Population
from linrep.start import Tables
from linrep.steering import counterfactual_pairs
from linrep.theory.explicit import explicit_tables
from linrep.theory.log_odds import require_positive
from linrep.theory.orthogonality import require_two


def token_squares(tokens: Int[np.ndarray, "tokens concepts"], i: int, j: int) -> Int[np.ndarray, "squares 2 2"]:
    """The places of the tokens with c_i = 1, 0 (rows) and c_j = 1, 0 (columns): 2^(m−2) squares on complete sets.

    Raises:
        InputError: i and j are not two different concepts, or the tokens hold no square of them.
    """
    require_two(i, j, tokens.shape[1])
    pairs = counterfactual_pairs(tokens)
    partner = dict(pairs[i].tolist())
    whole = [[[a, b], [partner[a], partner[b]]] for a, b in pairs[j].tolist() if a in partner and b in partner]
    if not whole:
        raise InputError(f"the {len(tokens)} tokens hold no square of concepts {i} and {j}")
    return np.array(whole, dtype=np.int64)


def log_odds_ratio(
    joint: Float[np.ndarray, "*batch tokens"], squares: Int[np.ndarray, "squares 2 2"]
) -> Float[np.ndarray, "*batch squares"]:
    """ln OR_ij(c) = ln p(11)p(00) / (p(10)p(01)), the rest of c fixed; zero for all c iff C_i ⊥ C_j given the rest.

    Raises:
        InputError: a p(c) that is zero.
    """
    require_positive(joint)
    log_p = np.log(joint)[..., squares]
    return np.asarray(log_p[..., 0, 0] + log_p[..., 1, 1] - log_p[..., 0, 1] - log_p[..., 1, 0])


def sides(
    unembedding: Float[Tensor, "*batch tokens dim"], squares: Int[np.ndarray, "squares 2 2"]
) -> tuple[Float[Tensor, "*batch squares 2 dim"], Float[Tensor, "*batch squares 2 dim"]]:
    """The sides of each square: Δg_i(c) at c_j = 1, 0, and Δg_j(c) at c_i = 1, 0."""
    corner = unembedding[..., squares, :]  # (..., squares, c_i, c_j, dim), value 1 first
    return corner[..., 0, :, :] - corner[..., 1, :, :], corner[..., :, 0, :] - corner[..., :, 1, :]


def second_difference(
    unembedding: Float[Tensor, "*batch tokens dim"], squares: Int[np.ndarray, "squares 2 2"]
) -> Float[Tensor, "*batch squares dim"]:
    """□_ij g(c): zero where the square is a parallelogram."""
    of_i, _ = sides(unembedding, squares)
    return of_i[..., 0, :] - of_i[..., 1, :]


def longest_side(
    unembedding: Float[Tensor, "*batch tokens dim"], squares: Int[np.ndarray, "squares 2 2"]
) -> Float[Tensor, "*batch squares"]:
    """S: the length of the longest of the four steering vectors of each square."""
    lengths: Tensor = torch.cat(sides(unembedding, squares), dim=-2).norm(dim=-1).amax(dim=-1)
    return lengths


def crossing_cosines(
    unembedding: Float[Tensor, "*batch tokens dim"], squares: Int[np.ndarray, "squares 2 2"]
) -> Float[Tensor, "*batch squares 2 2"]:
    """The cosine of each Δg_i(c) with each Δg_j(c') of a square: zero is the conclusion of Corollary 8.

    Raises:
        InputError: a zero steering vector.
    """
    of_i, of_j = (unit(side.double()) for side in sides(unembedding, squares))
    cosines: Tensor = of_i @ of_j.mT
    return cosines


def departure(
    unembedding: Float[Tensor, "*batch tokens dim"], squares: Int[np.ndarray, "squares 2 2"]
) -> Float[Tensor, "*batch squares"]:
    """sqrt(sin²θ + 4κ²): how far a square is from the conclusion of Corollary 8 on linear concepts.

    θ is the smaller of the angles between the two Δg_i and between the two Δg_j, κ the largest |cosine| between one
    Δg_i and one Δg_j. It is at least |□_ij g(c)| / S.

    Raises:
        InputError: a zero steering vector.
    """
    turned = [(side[..., 0, :] * side[..., 1, :]).sum(dim=-1) for side in map(unit, sides(unembedding, squares))]
    sine = torch.stack([1 - cosine.square() for cosine in turned]).amin(dim=0).clamp(min=0)
    largest = crossing_cosines(unembedding, squares).abs().amax(dim=(-2, -1))
    return (sine + 4 * largest.square()).sqrt()


def least_singular_value(
    unembedding: Float[Tensor, "*batch tokens dim"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Float[Tensor, "*batch tokens"]:
    """σ_min of the m × k matrix with rows Δg_1(c), ..., Δg_m(c), for each token c of a complete set.

    Raises:
        InputError: tokens that are not a complete set.
    """
    rows = _ends(tokens)
    steering = unembedding[..., rows[..., 0], :] - unembedding[..., rows[..., 1], :]  # (..., tokens, concepts, dim)
    least: Tensor = torch.linalg.svdvals(steering)[..., -1]
    return least


def log_odds_norm(
    logits: Float[np.ndarray, "*batch tokens"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Float[np.ndarray, "*batch tokens"]:
    """|λ(c)|, λ_i(c) the log-odds of concept i at c, for each token c of a complete set, from logits such as ln p(c).

    Raises:
        InputError: tokens that are not a complete set.
    """
    rows = _ends(tokens)
    return np.asarray(np.linalg.norm(logits[..., rows[..., 0]] - logits[..., rows[..., 1]], axis=-1))


def opening_at_full_rank(
    unembedding: Float[Tensor, "*batch tokens dim"],
    logits: Float[np.ndarray, "*batch tokens"],
    tokens: Int[np.ndarray, "tokens concepts"],
    squares: Int[np.ndarray, "squares 2 2"],
) -> Float[np.ndarray, "*batch squares"]:
    """At k = m, the least |□_ij g(c)| / S of a model whose logits at d = ⋄...⋄ are the ones given.

    With rows Δg_i(c) that span the space, f(d) is fixed by the log-odds: |f(d)| ≤ |λ(c)| / σ_min(c). Hence
    |□_ij g(c)| ≥ |ln OR_ij(c)| σ_min(c) / |λ(c)|; the best of the square's four corners is taken.

    Raises:
        InputError: k is not m, or tokens that are not a complete set.
    """
    if unembedding.shape[-1] != tokens.shape[1]:
        raise InputError(f"dim is {unembedding.shape[-1]} for {tokens.shape[1]} concepts; this bound needs k = m")
    size = log_odds_norm(logits, tokens)
    sigma = least_singular_value(unembedding.double(), tokens).cpu().numpy()
    corners = np.divide(sigma, size, out=np.zeros_like(size), where=size > 0)[..., squares].max(axis=(-2, -1))
    ratio = np.abs(logits[..., squares] @ np.array([1.0, -1.0]) @ np.array([1.0, -1.0]))
    return np.asarray(ratio * corners / longest_side(unembedding.double(), squares).cpu().numpy())


def total_correlation(population: Population) -> Float[np.ndarray, "replicates contexts"]:
    """TC(C given d), nats, of each context: the entropies of the single concepts less the entropy of all together."""
    target = population.target
    ones = np.clip(target @ population.tokens.astype(float), 0, 1)
    return np.asarray((_entropy(ones) + _entropy(1 - ones)).sum(axis=-1) - _entropy(target).sum(axis=-1))


def product_floor(population: Population) -> Float[np.ndarray, " replicates"]:
    """Σ_d p(d) TC(C given d), nats: the least KL divergence of a model whose concepts are independent in each context.

    A model in which every concept is linear in the unembedding space, no two in one line, is such a model.
    """
    return np.asarray((population.weights * total_correlation(population)).sum(axis=-1))


def straightened(
    unembedding: Float[Tensor, "*batch tokens dim"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Float[Tensor, "*batch tokens dim"]:
    """The least-squares fit of g by a constant and one vector for each concept: every square closed.

    Raises:
        InputError: tokens that are not a complete set.
    """
    _ends(tokens)
    signs = np.hstack([np.ones((len(tokens), 1)), 2.0 * tokens - 1])  # orthogonal columns on the complete set
    onto = torch.from_numpy(signs @ signs.T / len(tokens)).to(unembedding)
    straight: Tensor = onto @ unembedding
    return straight


def explicit_model(population: Population, sharpness: float) -> Tables:
    """`explicit_tables` of every replicate with b = sqrt(T), at k = m + 1: exact log-odds in every context.

    f(d) = (1, √T φ(d)/2) and g(c) = (ln p(c), √T χ(c)): f is the same for all worlds.

    Args:
        sharpness: T.

    Raises:
        InputError: T is not a positive number, or a p(c) is zero.
    """
    scale = float(np.sqrt(max(sharpness, 0.0)))
    made = [explicit_tables(p, population.contexts, sharpness=sharpness, scale=scale) for p in population.joint]
    embedding, unembedding = (torch.from_numpy(np.stack(part)) for part in zip(*made, strict=True))
    return embedding, unembedding


def _entropy(p: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """−p ln p, entry by entry; 0 at 0."""
    return np.asarray(-p * np.log(p, where=p > 0, out=np.zeros_like(p)))


def _ends(tokens: Int[np.ndarray, "tokens concepts"]) -> Int[np.ndarray, "tokens concepts 2"]:
    """For each token c and concept i the places of c(i→1) and c(i→0); refuses an incomplete set."""
    pairs = counterfactual_pairs(tokens)
    if any(2 * len(pair) != len(tokens) for pair in pairs):
        raise InputError(f"{len(tokens)} tokens of {tokens.shape[1]} concepts; the complete set is needed")
    rows = np.empty((*tokens.shape, 2), dtype=np.int64)
    for i, pair in enumerate(pairs):
        rows[pair[:, 0], i] = rows[pair[:, 1], i] = pair
    return rows
