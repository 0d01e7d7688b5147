"""What cross-entropy asks for where only one concept is known, and the part of it that Theorem 4's loss simplifies.

In the two contexts d(i→1) and d(i→0) that know concept i only, half of all tokens contradict the context. Each token's
probability is that of its counterfactual pair times that of its side of the pair, and so the KL divergence is a sum.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import xlogy

from linrep.contexts import UNKNOWN
from linrep.errors import InputError
from linrep.population import Population
from linrep.start import Tables
from linrep.steering import steering_vectors


@dataclass(frozen=True, eq=False)
class Split:
    """The KL divergence at d(i→1) and at d(i→0), in nats, and its parts.

    Attributes:
        divergence: Σ_c p(c given d) ln p(c given d)/p̂(c given d).
        pairs: the same of the distributions over the counterfactual pairs.
        contradiction: Σ_c p(c given d) ln(1 + exp(−z_c)), z_c = Δg_i(c)·f1 at d(i→1) and −Δg_i(c)·f0 at d(i→0).
        exponential: Σ_c p(c given d) exp(−z_c), which the contradiction never exceeds: its tail.
    """

    divergence: Float[np.ndarray, "replicates 2"]
    pairs: Float[np.ndarray, "replicates 2"]
    contradiction: Float[np.ndarray, "replicates 2"]
    exponential: Float[np.ndarray, "replicates 2"]


def lone_contexts(population: Population, concept: int) -> list[int]:
    """The rows of d(i→1) and d(i→0), the contexts in which only the concept is known.

    Raises:
        InputError: a concept that the population does not have, or contexts that are not in it.
    """
    if not 0 <= concept < population.concepts:
        raise InputError(f"concept is {concept}; allowed are 0 to {population.concepts - 1}")
    known = population.contexts != UNKNOWN
    alone = (known.sum(axis=1) == 1) & known[:, concept]
    rows = [np.flatnonzero(alone & (population.contexts[:, concept] == value)) for value in (1, 0)]
    if not all(len(found) for found in rows):
        raise InputError(f"the contexts that know concept {concept} only are not in the population")
    return [int(found[0]) for found in rows]


def split_divergence(population: Population, tables: Tables, concept: int) -> Split:
    """The KL divergence at the two contexts that know one concept only, split by the chain rule.

    Args:
        concept: i, counted from 0. Every token must have its partner, as on the complete set.
    """
    rows, pairs = lone_contexts(population, concept), population.token_pairs[concept]
    embedding, unembedding = tables[0].double()[:, rows], tables[1].double()
    log_model = torch.log_softmax(embedding @ unembedding.mT, dim=-1).cpu().numpy()
    target = population.target[:, rows]
    log_target = np.log(target, where=target > 0, out=np.zeros_like(target))
    divergence = (target * (log_target - np.where(target > 0, log_model, 0.0))).sum(axis=-1)
    kept = np.stack([target[:, side, pairs[:, side]] for side in range(2)], axis=1)  # p(c given d) of what can follow
    of_pairs = np.logaddexp(log_model[..., pairs[:, 0]], log_model[..., pairs[:, 1]])
    vectors = steering_vectors(unembedding, pairs).cpu().numpy()
    exponents = (embedding.cpu().numpy() @ vectors.mT) * np.array([[1.0], [-1.0]])
    return Split(
        divergence=divergence,
        pairs=(xlogy(kept, kept) - kept * of_pairs).sum(axis=-1),
        contradiction=(kept * np.logaddexp(0, -exponents)).sum(axis=-1),
        exponential=(kept * np.exp(-exponents)).sum(axis=-1),
    )
