"""The losses of several context sets as one: each on the complete set of contexts, with weight 0 for those left out."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from linrep.concepts import ConceptGraph
from linrep.contexts import code
from linrep.loss import PopulationLoss
from linrep.population import complete_population, masked_population


def padded_loss(
    graphs: Sequence[ConceptGraph], masks: Sequence[Sequence[str]]
) -> tuple[PopulationLoss, Float[np.ndarray, " runs"]]:
    """The losses of all sets as one, on all contexts with weight 0 for those left out; and their entropy floors."""
    complete = complete_population(graphs)
    weights = torch.zeros(len(masks), *complete.weights.shape, dtype=torch.float64)
    pair = torch.zeros(len(masks), *complete.pair_probability.shape, dtype=torch.float64)
    floors = []
    for place, known in enumerate(masks):
        population = masked_population(graphs, _mask_rows(known))
        there = complete.rows([code(state) for state in population.contexts])
        weights[place][:, there] = torch.from_numpy(population.weights)
        pair[place][:, there] = torch.from_numpy(population.pair_probability)
        floors.append(population.entropy)
    return PopulationLoss(weights.flatten(0, 1), pair.flatten(0, 1)), np.concatenate(floors)


def _mask_rows(masks: Sequence[str]) -> Int[np.ndarray, "masks concepts"]:
    """Masks written as text, as rows."""
    return np.array([[int(entry) for entry in mask] for mask in masks], dtype=np.int8)
