"""Theorems 3 and 10 of the paper: the log-odds of a concept, and the contexts on whose span its vectors are projected.

For a context d that leaves concept i unknown, the model's log-odds of i at the token c are
ln p̂(c(i→1) given d) − ln p̂(c(i→0) given d) = f(d)·Δg_i(c). Both theorems follow from one lemma: on the span of the
f(d), d in D, the projections of the Δg_i(c) coincide exactly where, for every d in D, these log-odds are the same for
all c. Every function takes one world: contexts (−1 unknown), tokens, p(c), F and G as arrays.
"""

from dataclasses import dataclass

import networkx as nx
import numpy as np
from jaxtyping import Bool, Float, Int

from linrep.concepts import ConceptGraph
from linrep.contexts import UNKNOWN, agreement
from linrep.errors import InputError


@dataclass(frozen=True)
class Gap:
    """Root mean square, in nats, of what the model's log-odds miss the asked ones by.

    Attributes:
        agreeing: over the pairs (d, c) in which c agrees with d off concept i: those that the loss sees.
        contradicting: over the others, where the true log-odds are 0/0.
    """

    agreeing: float
    contradicting: float


def require_positive(joint: Float[np.ndarray, "*batch tokens"]) -> None:
    """Refuse a p(c) that is not positive everywhere: its log-odds do not exist.

    Raises:
        InputError: names the token and its probability.
    """
    bad = np.argwhere(~(np.isfinite(joint) & (joint > 0)))
    if len(bad):
        place = tuple(bad[0].tolist())
        raise InputError(f"p(c) of token {place[-1]} is {joint[place]:.3g}; log-odds need p(c) > 0 for every token")


def true_log_odds(
    joint: Float[np.ndarray, "*batch tokens"], pairs: Int[np.ndarray, "pairs 2"]
) -> Float[np.ndarray, "*batch pairs"]:
    """λ_i(c) = ln p(c(i→1))/p(c(i→0)): the true log-odds of i in every context that agrees with c and leaves i unknown.

    There p(c given d) = p(c)/p(d), so d drops out.

    Raises:
        InputError: a p(c) that is not positive.
    """
    require_positive(joint)
    return np.asarray(np.log(joint[..., pairs[:, 0]]) - np.log(joint[..., pairs[:, 1]]))


def completed_log_odds(
    joint: Float[np.ndarray, " tokens"],
    tokens: Int[np.ndarray, "tokens concepts"],
    contexts: Int[np.ndarray, "contexts concepts"],
    pairs: Int[np.ndarray, "pairs 2"],
) -> Float[np.ndarray, "contexts pairs"]:
    """λ_i(c∘d): that of c with the known entries of d in place of its own, what Theorem 10 asks where it asks anything.

    For contexts that leave concept i unknown and a complete set of tokens.

    Raises:
        InputError: a p(c) that is not positive.
    """
    require_positive(joint)
    logs, weights = np.log(joint), 1 << np.arange(contexts.shape[1])[::-1]
    known = contexts[:, None, :] != UNKNOWN
    ends = [np.where(known, contexts[:, None, :], tokens[pairs[:, end]][None]) @ weights for end in (0, 1)]
    return np.asarray(logs[ends[0]] - logs[ends[1]])


def marginal_log_odds(
    joint: Float[np.ndarray, " tokens"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Float[np.ndarray, " concepts"]:
    """ℓ_i = ln p(C_i = 1)/p(C_i = 0), what Theorem 3 asks of the model.

    Raises:
        InputError: a p(c) that is not positive.
    """
    require_positive(joint)
    one = tokens == 1
    return np.asarray(np.log(joint @ one) - np.log(joint @ ~one))


def neighbour_log_odds(
    joint: Float[np.ndarray, " tokens"],
    tokens: Int[np.ndarray, "tokens concepts"],
    contexts: Int[np.ndarray, "contexts concepts"],
    concept: int,
    neighbours: tuple[int, ...],
) -> Float[np.ndarray, " contexts"]:
    """ln p(C_i = 1 given d on the neighbours)/p(C_i = 0 given the same), what Theorem 10 asks of the model.

    Raises:
        InputError: a p(c) that is not positive, or a context that leaves a neighbour unknown.
    """
    require_positive(joint)
    near = np.full_like(contexts, UNKNOWN)
    near[:, neighbours] = contexts[:, neighbours]
    if (near[:, neighbours] == UNKNOWN).any():
        raise InputError(f"a context leaves a neighbour of concept {concept + 1} unknown; all of them must be known")
    agrees, one = agreement(near, tokens), tokens[:, concept] == 1
    return np.asarray(np.log(agrees @ (joint * one)) - np.log(agrees @ (joint * ~one)))


def model_log_odds(
    embedding: Float[np.ndarray, "contexts dim"],
    unembedding: Float[np.ndarray, "tokens dim"],
    pairs: Int[np.ndarray, "pairs 2"],
) -> Float[np.ndarray, "contexts pairs"]:
    """f(d)·Δg_i(c) for each context given and each pair of tokens; the normalisation of the softmax cancels."""
    return np.asarray(embedding @ (unembedding[pairs[:, 0]] - unembedding[pairs[:, 1]]).T)


def log_odds_gap(
    model: Float[np.ndarray, "contexts pairs"],
    asked: Float[np.ndarray, "#contexts #pairs"] | float,
    agrees: Bool[np.ndarray, "contexts pairs"],
) -> Gap:
    """How far the model's log-odds are from the asked ones, apart for agreeing and for contradicting pairs.

    Args:
        asked: one value, or one for each context (contexts, 1), for each pair (1, pairs), or for both.
        agrees: whether c agrees with d off the concept, see `agrees_off`.

    Raises:
        InputError: no agreeing pair, or no contradicting one.
    """
    for name, kind in (("agreeing", agrees), ("contradicting", ~agrees)):
        if not kind.any():
            raise InputError(f"0 {name} pairs of a context and a token; a gap needs at least 1")
    square = (model - asked) ** 2
    return Gap(float(np.sqrt(square[agrees].mean())), float(np.sqrt(square[~agrees].mean())))


def agrees_off(
    contexts: Int[np.ndarray, "contexts concepts"],
    tokens: Int[np.ndarray, "tokens concepts"],
    pairs: Int[np.ndarray, "pairs 2"],
    concept: int,
) -> Bool[np.ndarray, "contexts pairs"]:
    """Whether the tokens of each pair agree with every known entry of each context other than the concept's own."""
    hidden = contexts.copy()
    hidden[:, concept] = UNKNOWN
    return agreement(hidden, tokens[pairs[:, 0]])


def moral_neighbours(graph: ConceptGraph) -> list[tuple[int, ...]]:
    """Each concept's neighbours in the moral graph: its parents, its children, and the children's other parents."""
    moral = nx.moral_graph(graph.digraph())
    return [tuple(sorted(moral.neighbors(concept))) for concept in range(graph.concepts)]


def contexts_without(contexts: Int[np.ndarray, "contexts concepts"], concept: int) -> Int[np.ndarray, " rows"]:
    """The rows of the contexts that leave the concept unknown: those whose f(d) span S_i of Theorem 3."""
    return np.flatnonzero(contexts[:, concept] == UNKNOWN)


def contexts_with_neighbours(
    contexts: Int[np.ndarray, "contexts concepts"], concept: int, neighbours: tuple[int, ...]
) -> Int[np.ndarray, " rows"]:
    """The rows of the contexts that know every neighbour and leave the concept unknown: the span of Theorem 10."""
    known = (contexts[:, neighbours] != UNKNOWN).all(axis=1)
    return np.flatnonzero(known & (contexts[:, concept] == UNKNOWN))


def shared_contexts(
    contexts: Int[np.ndarray, "contexts concepts"],
    tokens: Int[np.ndarray, "tokens concepts"],
    pairs: Int[np.ndarray, "pairs 2"],
    concept: int,
) -> Bool[np.ndarray, "pairs pairs contexts"]:
    """For every two pairs of tokens the contexts with d_i = ⋄ that agree with both off concept i (thm-10-agreeing)."""
    agrees = agrees_off(contexts, tokens, pairs, concept) & (contexts[:, [concept]] == UNKNOWN)
    return np.asarray(agrees.T[:, None] & agrees.T[None])
