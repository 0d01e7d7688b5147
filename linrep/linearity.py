"""How linear a trained model is: the paper's U, E and UE of each concept (paper, section 5.1), from F and G.

U is the mean cosine over distinct pairs of unembedding steering vectors, E that of embedding steering vectors, UE the
mean over all pairs of one of each. Leaving out a vector's cosine with itself is our reading of the paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep import geometry
from linrep.population import Population
from linrep.start import Tables
from linrep.steering import steering_vectors


@dataclass(frozen=True, eq=False)
class Linearity:
    """Cosines of every concept in every replicate.

    Attributes:
        unembedding: U. embedding: E. matched: UE.
        between: mean absolute cosine between the mean unembedding directions of different concepts.
        imbalance: |FᵀF − GᵀG| in the Frobenius norm.
    """

    unembedding: Float[Tensor, "replicates concepts"]
    embedding: Float[Tensor, "replicates concepts"]
    matched: Float[Tensor, "replicates concepts"]
    between: Float[Tensor, " replicates"]
    imbalance: Float[Tensor, " replicates"]

    def per_replicate(self) -> dict[str, Float[np.ndarray, " replicates"]]:
        """Each measure averaged over the concepts of a replicate."""
        over_concepts = {name: getattr(self, name).mean(dim=-1) for name in ("unembedding", "embedding", "matched")}
        return {name: value.double().cpu().numpy() for name, value in
                (over_concepts | {"between": self.between, "imbalance": self.imbalance}).items()}  # fmt: skip


def measure(population: Population, tables: Tables) -> Linearity:
    """U, E, UE, the cosine between concepts, and the imbalance.

    Raises:
        InputError: a steering vector is zero.
    """
    embedding, unembedding = tables
    of_tokens = concept_vectors(unembedding, population.token_pairs)
    of_contexts = concept_vectors(embedding, population.context_pairs)
    both = zip(of_tokens, of_contexts, strict=True)
    return Linearity(
        unembedding=torch.stack([geometry.mean_cosine(vectors) for vectors in of_tokens], dim=-1),
        embedding=torch.stack([geometry.mean_cosine(vectors) for vectors in of_contexts], dim=-1),
        matched=torch.stack([geometry.mean_cross_cosine(first, second) for first, second in both], dim=-1),
        between=geometry.mean_absolute_between(geometry.directions(of_tokens)),
        imbalance=geometry.imbalance(embedding, unembedding),
    )


def concept_vectors(
    table: Float[Tensor, "*batch states dim"], pairs: Sequence[Int[np.ndarray, "_ 2"]]
) -> list[Float[Tensor, "*batch _ dim"]]:
    """The steering vectors of each concept, in float64."""
    return [steering_vectors(table.double(), pair) for pair in pairs]
