"""Proposition 11 of the paper: a model close to the truth has large products Δg_i(c)·Δf_i(d).

For softmax outputs p̂, exp(−Δg_i(c)·Δf_i(d)) = p̂(c1|d0) p̂(c0|d1)/(p̂(c1|d1) p̂(c0|d0)), with c1 = c(i→1) and so on: the
partition functions cancel. If c agrees with d in all entries but i, the two probabilities on top should be zero; if
|p̂ − p| ≤ ε they are at most ε, and those below at least p1 − ε and p0 − ε, p1 = p(c1|d1), p0 = p(c0|d0).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linrep.errors import InputError
from linrep.population import Population

Scope = Literal["everywhere", "four entries"]

TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, eq=False)
class Products:
    """Both sides of Proposition 11 for one concept i: rows are context pairs, columns token pairs.

    Attributes:
        inner: Δg_i(c)·Δf_i(d).
        lower: ln((p1 − ε)(p0 − ε)/ε²), which `inner` is at least; −∞ where there is no bound: c does not agree with d
            off i, or ε ≥ min(p1, p0).
        agrees: whether c agrees with d in all entries but i.
    """

    inner: Float[np.ndarray, "replicates contexts tokens"]
    lower: Float[np.ndarray, "replicates contexts tokens"]
    agrees: Bool[np.ndarray, "contexts tokens"]

    @property
    def bounded(self) -> Bool[np.ndarray, "replicates contexts tokens"]:
        """Where the proposition says anything."""
        return np.asarray(np.isfinite(self.lower))

    @property
    def slack(self) -> Float[np.ndarray, " entries"]:
        """`inner` − `lower` wherever there is a bound; the proposition says that none is negative."""
        return np.asarray((self.inner - np.where(self.bounded, self.lower, 0.0))[self.bounded])


def predictions(
    embedding: Float[Tensor, "*batch contexts dim"], unembedding: Float[Tensor, "*batch tokens dim"]
) -> Float[np.ndarray, "*batch contexts tokens"]:
    """p̂(c given d), in float64."""
    logits = (embedding.double() @ unembedding.double().mT).cpu().numpy()
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=-1, keepdims=True))


def errors(
    population: Population,
    embedding: Float[Tensor, "replicates contexts dim"],
    unembedding: Float[Tensor, "replicates tokens dim"],
) -> Float[np.ndarray, "replicates contexts tokens"]:
    """|p̂(c given d) − p(c given d)|; the largest entry of a replicate is its ε."""
    return np.asarray(np.abs(predictions(embedding, unembedding) - population.target))


def concept_products(
    population: Population,
    embedding: Float[Tensor, "replicates contexts dim"],
    unembedding: Float[Tensor, "replicates tokens dim"],
    concept: int,
    *,
    scope: Scope = "everywhere",
) -> Products:
    """Both sides of Proposition 11 for every context pair and token pair of a concept.

    Args:
        concept: i, counted from 0.
        scope: where ε is taken: the largest error of the replicate, or of the four probabilities that enter, which
            gives a sharper bound.

    Raises:
        InputError: a concept that the population does not have, or one without a pair.
    """
    if not 0 <= concept < population.concepts:
        raise InputError(f"concept is {concept}; allowed are 0 to {population.concepts - 1}")
    contexts, tokens = population.context_pairs[concept], population.token_pairs[concept]
    if not len(contexts) or not len(tokens):
        raise InputError(f"concept {concept} has {len(contexts)} context and {len(tokens)} token pairs; 1 is needed")
    steer_f = embedding[:, contexts[:, 0]].double() - embedding[:, contexts[:, 1]].double()
    steer_g = unembedding[:, tokens[:, 0]].double() - unembedding[:, tokens[:, 1]].double()
    inner = (steer_f @ steer_g.mT).cpu().numpy()
    p1, _, _, p0 = _corners(population.target, contexts, tokens)
    found = errors(population, embedding, unembedding)
    corners = np.stack(_corners(found, contexts, tokens))
    epsilon = corners.max(axis=0) if scope == "four entries" else np.broadcast_to(_largest(found), p1.shape)
    agrees = population.consistent[contexts[:, 0]][:, tokens[:, 0]]
    return Products(inner, lower_bound(p1, p0, epsilon), agrees)


def lower_bound(
    p1: Float[np.ndarray, "*shape"], p0: Float[np.ndarray, "*shape"], epsilon: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """ln((p1 − ε)(p0 − ε)/ε²), −∞ where ε ≥ min(p1, p0).

    Positive exactly where 1/ε > 1/p1 + 1/p0. An ε that rounds to zero counts as the smallest normal number.

    Raises:
        InputError: an ε that is negative or not finite.
    """
    if not (np.isfinite(epsilon) & (epsilon >= 0)).all():
        raise InputError(f"the smallest ε is {np.min(epsilon)}; it must be a finite number, 0 or more")
    small = np.maximum(epsilon, TINY)
    room = np.minimum(p1, p0) - small
    first, second = (np.log(np.where(room > 0, p - small, 1.0)) for p in (p1, p0))
    return np.asarray(np.where(room > 0, first + second - 2 * np.log(small), -np.inf))


def _corners(
    table: Float[np.ndarray, "replicates contexts tokens"],
    contexts: Int[np.ndarray, "pairs 2"],
    tokens: Int[np.ndarray, "others 2"],
) -> list[Float[np.ndarray, "replicates pairs others"]]:
    """The table at (d1, c1), (d1, c0), (d0, c1), (d0, c0) for every two pairs."""
    return [table[:, contexts[:, row]][:, :, tokens[:, column]] for row in (0, 1) for column in (0, 1)]


def _largest(table: Float[np.ndarray, "replicates contexts tokens"]) -> Float[np.ndarray, "replicates 1 1"]:
    """The largest entry of each replicate."""
    return np.asarray(table.max(axis=(1, 2), keepdims=True))
