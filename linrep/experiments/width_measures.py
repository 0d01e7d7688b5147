"""What the chapters on width look at: the paper's cosines, and the spectra of both tables by degree."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrep.contexts import UNKNOWN
from linrep.history import Columns, Look
from linrep.linearity import concept_vectors, measure
from linrep.population import Population
from linrep.spectrum import context_degree_weights, degree_weights, shares, weighted_cosine
from linrep.start import Tables

COSINE_MEASURES = ("unembedding", "embedding", "matched", "between", "imbalance")

MEASURES = (
    *COSINE_MEASURES,
    "weighted U",
    "weighted E",
    "g degree 1",
    "g degree 2",
    "g degree 3 up",
    "f degree 1",
    "known degree 1",
    "known spread",
)
"""U, E, UE, between and imbalance; U and E weighted by length; the share of degree 1, 2, and 3 and more in what of G
differs between tokens; of odd degree 1 in F; of degree 1 in the embeddings of contexts that know every concept, and the
standard deviation of the cosines between these: 0 for a regular simplex."""


def measured(population: Population) -> Look:
    """What `linrep.history.follow` shall look at: `MEASURES` of each replicate of a complete population.

    Raises:
        InputError: when it looks, a population that is not complete.
    """
    whole = (population.contexts != UNKNOWN).all(axis=1)

    def look(_: int, tables: Tables) -> Columns:
        found = measure(population, tables).per_replicate()
        return found | {name: value.cpu().numpy() for name, value in _spectra(population, tables, whole).items()}

    return look


def known_cosines(vectors: Float[Tensor, "*batch states dim"]) -> Float[Tensor, "*batch pairs"]:
    """Cosines of all pairs, after the mean is taken from each: −1/(n − 1) for the n corners of a regular simplex."""
    centred = torch.nn.functional.normalize(vectors - vectors.mean(dim=-2, keepdim=True), dim=-1)
    first, second = torch.triu_indices(vectors.shape[-2], vectors.shape[-2], offset=1)
    cosines: Float[Tensor, "*batch pairs"] = (centred @ centred.mT)[..., first, second]
    return cosines


def _spectra(
    population: Population, tables: Tables, whole: Bool[np.ndarray, " contexts"]
) -> dict[str, Float[Tensor, " replicates"]]:
    embedding, unembedding = (table.double() for table in tables)
    of_tokens = shares(degree_weights(unembedding, population.tokens))
    known = embedding[:, torch.from_numpy(whole)]  # in the order of the tokens
    pairs = (population.token_pairs, population.context_pairs)
    weighted = [
        torch.stack([weighted_cosine(vectors) for vectors in concept_vectors(table, pair)]).mean(dim=0)
        for table, pair in zip((unembedding, embedding), pairs, strict=True)
    ]
    return {
        "weighted U": weighted[0],
        "weighted E": weighted[1],
        "g degree 1": of_tokens[:, 1],
        "g degree 2": of_tokens[:, 2],
        "g degree 3 up": of_tokens[:, 3:].sum(dim=-1),
        "f degree 1": shares(context_degree_weights(embedding, population.contexts))[:, 1],
        "known degree 1": shares(degree_weights(known, population.tokens))[:, 1],
        "known spread": known_cosines(known).std(dim=-1),
    }
