"""Theorem 7 of the paper and the hypothesis under it: which products a matched log-odds makes zero.

The model's log-odds of concept i in a context d are f(d)·Δg_i(c): the softmax's normaliser cancels. D_c is the set of
contexts with d_i = ⋄ that agree with c off i. A case of the theorem is a choice of i, j, c and d in D_c; it compares
the two contexts d(j→c_j) and d(j→⋄), which both lie in D_c.
"""

from dataclasses import dataclass
from typing import Literal

import networkx as nx
import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from linrep.concepts import ConceptGraph
from linrep.contexts import UNKNOWN, agreement, context_keys
from linrep.errors import InputError
from linrep.geometry import unit
from linrep.population import Population
from linrep.steering import counterfactual_pairs
from linrep.theory.log_odds import true_log_odds

Kind = Literal["theorem", "contradicting", "own"]
"""Theorem 7's cases; the same with d(j→1 − c_j) in place of d(j→c_j), which is not in D_c; the same with j = i."""

RELATIONS = ("adjacent", "separated", "unconnected")
"""In the moral graph: joined by an edge; not joined, but by a path; by no path at all."""


@dataclass(frozen=True, eq=False)
class Cases:
    """Choices (i, j, c, d), as indices.

    Attributes:
        concept: i. other: j, which is i for the control "own".
        tokens: the places of c(i→1) and c(i→0).
        contexts: the places of the context that knows j and of d(j→⋄).
    """

    concept: Int[np.ndarray, " cases"]
    other: Int[np.ndarray, " cases"]
    tokens: Int[np.ndarray, "cases 2"]
    contexts: Int[np.ndarray, "cases 2"]


def theorem_cases(
    tokens: Int[np.ndarray, "tokens concepts"], contexts: Int[np.ndarray, "contexts concepts"], kind: Kind = "theorem"
) -> Cases:
    """All cases that the tokens and contexts allow: m(m−1)·2^(m−1)·2^(m−2) of Theorem 7 on complete sets.

    Raises:
        InputError: the sets allow no case.
    """
    m = tokens.shape[1]
    agrees, pairs = agreement(contexts, tokens), counterfactual_pairs(tokens)
    found = []
    for i in range(m):
        for j in [i] if kind == "own" else [j for j in range(m) if j != i]:
            knows, hides = _forgetting(contexts, i, j)
            both = agrees[hides][:, pairs[i][:, 0]]  # d_i is unknown, so c(i→0) agrees as well
            if kind != "own":
                same = contexts[knows, j][:, None] == tokens[pairs[i][:, 0], j][None, :]
                both &= same if kind == "theorem" else ~same
            row, column = np.nonzero(both)
            index = np.column_stack([np.full(len(row), i), np.full(len(row), j)])
            found.append(np.hstack([index, pairs[i][column], knows[row][:, None], hides[row][:, None]]))
    table = np.concatenate(found)
    if not len(table):
        raise InputError(f"{len(tokens)} tokens and {len(contexts)} contexts allow no case of Theorem 7")
    return Cases(table[:, 0], table[:, 1], table[:, 2:4], table[:, 4:6])


def log_odds_gaps(
    population: Population,
    embedding: Float[Tensor, "replicates contexts dim"],
    unembedding: Float[Tensor, "replicates tokens dim"],
    cases: Cases,
) -> Float[np.ndarray, "replicates cases 2"]:
    """f(d)·Δg_i(c) less its true value, at both contexts of each case: zero is the hypothesis of Theorem 7.

    For the controls, whose first context is not in D_c, the first gap is no hypothesis of anything.

    Raises:
        InputError: a p(c) that is zero.
    """
    steering = unembedding[:, cases.tokens[:, 0]] - unembedding[:, cases.tokens[:, 1]]
    at = embedding[:, cases.contexts]  # (replicates, cases, 2, dim)
    seen = (at * steering.unsqueeze(2)).sum(dim=-1).double().cpu().numpy()
    return np.asarray(seen - true_log_odds(population.joint, cases.tokens)[:, :, None])


def theorem_cosines(
    embedding: Float[Tensor, "replicates contexts dim"],
    unembedding: Float[Tensor, "replicates tokens dim"],
    cases: Cases,
) -> Float[np.ndarray, "replicates cases"]:
    """cos(Δg_i(c), f(d(j→c_j)) − f(d(j→⋄))) of every case: zero is the conclusion of Theorem 7.

    Raises:
        InputError: a zero steering vector, or two contexts with one embedding.
    """
    steering = unembedding[:, cases.tokens[:, 0]] - unembedding[:, cases.tokens[:, 1]]
    learned = embedding[:, cases.contexts[:, 0]] - embedding[:, cases.contexts[:, 1]]
    first, second = unit(steering.double()), unit(learned.double(), what="difference of contexts")
    return np.asarray((first * second).sum(dim=-1).cpu().numpy())


def relation(graph: ConceptGraph, i: int, j: int) -> str:
    """One of `RELATIONS`, in the moral graph of a DAG.

    Raises:
        InputError: i and j are not two different concepts.
    """
    require_two(i, j, graph.concepts)
    moral = nx.moral_graph(graph.digraph())
    if moral.has_edge(i, j):
        return "adjacent"
    return "separated" if nx.has_path(moral, i, j) else "unconnected"


def require_two(i: int, j: int, concepts: int) -> None:
    """Refuse what are not two different concepts.

    Raises:
        InputError: names both and what is allowed.
    """
    if i == j or not 0 <= i < concepts or not 0 <= j < concepts:
        raise InputError(f"concepts {i} and {j} given; need two different ones from 0 to {concepts - 1}")


def _forgetting(
    contexts: Int[np.ndarray, "contexts concepts"], i: int, j: int
) -> tuple[Int[np.ndarray, " found"], Int[np.ndarray, " found"]]:
    """The places of contexts that know j, with i unknown unless i = j, and of the same contexts with j unknown."""
    knows = np.flatnonzero((contexts[:, j] != UNKNOWN) & ((contexts[:, i] == UNKNOWN) | (i == j)))
    place = {int(key): row for row, key in enumerate(context_keys(contexts))}
    less = contexts[knows].copy()
    less[:, j] = UNKNOWN
    hides = np.array([place.get(int(key), -1) for key in context_keys(less)], dtype=np.int64)
    return knows[hides >= 0], hides[hides >= 0]
