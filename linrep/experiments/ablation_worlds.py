"""Worlds and context sets of the ablations: each arm changes one thing of the base, on its seeds and starts."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Int

from linrep.concepts import ConceptGraph, all_tokens
from linrep.errors import InputError
from linrep.experiments.late_phase_worlds import with_masks
from linrep.pilot import Batch
from linrep.population import complete_population
from linrep.start import initial_tables

LOW, HIGH = (0.01, 0.05), (0.95, 0.99)
"""Bernoulli parameters of near-deterministic worlds: in one of these ranges."""


def random_world(m: int, seed: int, *, edges: float = 0.5, prob: tuple[float, float] = (0.3, 0.7)) -> ConceptGraph:
    """The world of the base, or of another density or range."""
    return ConceptGraph.random(m, edges=edges, prob=prob, seed=seed)


def pushed_world(m: int, seed: int, *, edges: float = 0.5) -> ConceptGraph:
    """The same graph, with each p of 0.3 to 0.5 moved to 0.01 to 0.05, each of 0.5 to 0.7 to 0.95 to 0.99, in order."""
    graph = ConceptGraph.random(m, edges=edges, seed=seed)
    tables = tuple(
        np.where(p < 0.5, LOW[0] + (p - 0.3) / 0.2 * (LOW[1] - LOW[0]), HIGH[0] + (p - 0.5) / 0.2 * (HIGH[1] - HIGH[0]))
        for p in graph.tables
    )
    return ConceptGraph(graph.parents, tables)


def contrary_world(m: int, seed: int, *, chance: float) -> ConceptGraph:
    """The world without edges, but that concept 2 is the opposite of concept 1 with a probability."""
    graph = ConceptGraph.random(m, edges=0, seed=seed)
    parents, tables = list(graph.parents), list(graph.tables)
    parents[1], tables[1] = (0,), np.array([chance, 1 - chance])
    return ConceptGraph(tuple(parents), tuple(tables))


WORLDS: dict[str, Callable[[int, int], ConceptGraph]] = {
    "base": random_world,
    "edges 0": partial(random_world, edges=0.0),
    "edges 0.25": partial(random_world, edges=0.25),
    "edges 0.75": partial(random_world, edges=0.75),
    "edges 1": partial(random_world, edges=1.0),
    "fair coins": partial(random_world, prob=(0.5, 0.5)),
    "near-deterministic": pushed_world,
    "near-deterministic, edges 0": partial(pushed_world, edges=0.0),
    "not C1, 0.95": partial(contrary_world, chance=0.95),
    "not C1, 0.99": partial(contrary_world, chance=0.99),
}
"""The world of each arm, from m and seed."""

CONTEXTS = ("C1 never known", "nothing known")
"""Arms with the worlds of the base, and fewer contexts."""

ARMS = (*WORLDS, *CONTEXTS)

UNABLATED = {name: "base" for name in ARMS if name != "base"} | {
    "near-deterministic, edges 0": "edges 0",
    "not C1, 0.95": "edges 0",
    "not C1, 0.99": "edges 0",
}
"""What each arm is held to: worlds that are made from those without edges, to these."""


def batch_of(name: str, m: int, seeds: Sequence[int], *, dtype: torch.dtype = torch.float64) -> Batch:
    """The worlds and starts of an arm; a context has the start that it has in the base, whatever others there are.

    Raises:
        InputError: an arm that there is not.
    """
    if name not in ARMS:
        raise InputError(f"arm is {name!r}; allowed are {', '.join(ARMS)}")
    graphs = [WORLDS.get(name, random_world)(m, seed) for seed in seeds]
    start = initial_tables(3**m, 2**m, m, seeds=seeds, dtype=dtype)
    batch = Batch(complete_population(graphs), start, tuple(seeds))
    return batch if name in WORLDS else with_masks(batch, masks_of(name, m))


def masks_of(name: str, m: int) -> Int[np.ndarray, "masks concepts"]:
    """The masks of an arm with fewer contexts, 1 where an entry stays known."""
    every = all_tokens(m)
    return every[:1] if name == "nothing known" else every[every[:, 0] == 0]
