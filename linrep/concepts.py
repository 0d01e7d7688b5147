"""The latent world: binary concepts on a directed acyclic graph with Bernoulli tables (paper, section 5.1).

The theory speaks of a Markov random field; a DAG is one, with its moral graph's neighbours.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from jaxtyping import Float, Int

from linrep.errors import InputError
from linrep.memory import require_memory
from linrep.seeds import stream

Table = Float[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class ConceptGraph:
    """Binary concepts C_1..C_m, each with its parents and the probability of being 1 for each value of them.

    Attributes:
        parents: for each concept the indices of its parents, in the order of its table's axes.
        tables: for each concept P(C_i = 1 | parents), an array with one axis of length 2 for each parent.
    """

    parents: tuple[tuple[int, ...], ...]
    tables: tuple[Table, ...]

    def __post_init__(self) -> None:
        """Refuse what is not a world: unknown parents, a cycle, a wrong table, a probability outside (0, 1)."""
        m = len(self.parents)
        if m < 1 or len(self.tables) != m:
            raise InputError(f"{m} lists of parents and {len(self.tables)} tables: need one of each per concept")
        for concept, (parents, table) in enumerate(zip(self.parents, self.tables, strict=True), start=1):
            _check_concept(concept, parents, table, m)
        try:
            cycle = nx.find_cycle(self.digraph())
        except nx.NetworkXNoCycle:
            return
        path = [cycle[0][0], *(target for _, target in cycle)]
        raise InputError(f"the graph has a cycle: {' -> '.join(str(i + 1) for i in path)}; it must be acyclic")

    @property
    def concepts(self) -> int:
        """m, the number of concepts."""
        return len(self.parents)

    @classmethod
    def random(
        cls, concepts: int, *, edges: float = 0.5, prob: tuple[float, float] = (0.3, 0.7), seed: int
    ) -> "ConceptGraph":
        """A random DAG: a random order, each forward edge with probability `edges`, tables uniform on `prob`.

        The paper does not state its edge probability; 0.5 on a random order is our choice. Graphs of one seed are
        nested: a larger `edges` adds edges and takes none away.

        Raises:
            InputError: a size, probability or range that is not allowed.
            TooLargeError: a table that would not fit in memory.
        """
        check_world(concepts, edges, prob)
        require_memory(10 * concepts**2, f"a graph of {concepts} concepts")
        rng = stream(seed, "graph")
        order = rng.permutation(concepts)
        chosen = np.triu(rng.random((concepts, concepts)) < edges, k=1)
        require_memory(
            sum(8 << min(int(n), 200) for n in chosen.sum(axis=0)), f"the tables of a graph of {concepts} concepts"
        )
        low, high = prob
        parents: dict[int, tuple[int, ...]] = {}
        tables: dict[int, Table] = {}
        for position, concept in enumerate(order.tolist()):
            parents[concept] = tuple(sorted(order[chosen[:, position]].tolist()))
            tables[concept] = np.asarray(low + (high - low) * rng.random((2,) * len(parents[concept])))
        return cls(tuple(parents[i] for i in range(concepts)), tuple(tables[i] for i in range(concepts)))

    @classmethod
    def from_tables(cls, parents: Sequence[Sequence[Any]], tables: Sequence[object]) -> "ConceptGraph":
        """A graph from explicit parents (indices from 0) and nested lists P(C_i = 1 | parents).

        Raises:
            InputError: what cannot be read as numbers, and all that `ConceptGraph` refuses.
        """
        for index in (j for row in parents for j in row):
            if isinstance(index, bool) or not isinstance(index, int | np.integer):
                raise InputError(f"the graph has a parent {index!r}; parents are whole numbers from 0")
        try:
            arrays = [np.asarray(table) for table in tables]
        except ValueError:
            raise InputError("a table of the graph is ragged; it needs one axis of length 2 for each parent") from None
        wrong = [table for table in arrays if table.dtype.kind not in "fiu"]
        if wrong:
            raise InputError(f"the graph has a table {wrong[0].tolist()!r}; tables hold numbers only")
        indices = tuple(tuple(int(j) for j in row) for row in parents)
        return cls(indices, tuple(table.astype(np.float64) for table in arrays))

    @classmethod
    def read(cls, path: Path) -> "ConceptGraph":
        """A graph from a JSON file {"parents": [[...], ...], "tables": [...]}.

        Raises:
            InputError: a file that is missing, is not such JSON, or describes no world.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            parents, tables = [list(row) for row in content["parents"]], list(content["tables"])
        except OSError as error:
            raise InputError(f"cannot read the graph {path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f'{path} is not a graph: need JSON {{"parents": [[...]], "tables": [...]}}') from None
        return cls.from_tables(parents, tables)

    def to_dict(self) -> dict[str, object]:
        """Parents and tables as lists: what `read` reads; floats keep every digit."""
        return {"parents": [list(row) for row in self.parents], "tables": [table.tolist() for table in self.tables]}

    def digraph(self) -> nx.DiGraph:
        """The graph with an edge from each parent to its child, nodes 0..m−1."""
        graph = nx.DiGraph()
        graph.add_nodes_from(range(self.concepts))
        graph.add_edges_from((parent, child) for child, row in enumerate(self.parents) for parent in row)
        return graph

    def joint(self) -> Float[np.ndarray, " tokens"]:
        """The exact joint p(c) of all 2^m concept vectors, in the order of `all_tokens`.

        Raises:
            TooLargeError: 2^m vectors would not fit in memory.
        """
        tokens = all_tokens(self.concepts)
        p = np.ones(len(tokens))
        for concept, (parents, table) in enumerate(zip(self.parents, self.tables, strict=True)):
            p_one = table[tuple(tokens[:, j] for j in parents)]
            p *= np.where(tokens[:, concept] == 1, p_one, 1 - p_one)
        return p

    def sample(self, count: int, *, seed: int) -> Int[np.ndarray, "count concepts"]:
        """Ancestral samples of c, from the seed's sampling stream."""
        if count < 1:
            raise InputError(f"count is {count}; it must be 1 or more")
        rng = stream(seed, "sampling")
        samples = np.zeros((count, self.concepts), dtype=np.int8)
        for concept in nx.topological_sort(self.digraph()):
            p_one = self.tables[concept][tuple(samples[:, j] for j in self.parents[concept])]
            samples[:, concept] = rng.random(count) < p_one
        return samples


def all_tokens(concepts: int) -> Int[np.ndarray, "tokens concepts"]:
    """All 2^m concept vectors; one token per vector, the first concept varies slowest."""
    require_memory(8 * concepts << min(concepts, 200), f"a table of 2^{concepts} concept vectors")
    places = np.arange(concepts)[::-1]
    return ((np.arange(1 << concepts)[:, None] >> places) & 1).astype(np.int8)


def check_world(concepts: int, edges: float, prob: tuple[float, float]) -> None:
    """Refuse sizes and probabilities that describe no random world.

    Raises:
        InputError: names the value and what is allowed.
    """
    if concepts < 1:
        raise InputError(f"concepts is {concepts}; it must be 1 or more")
    if not 0 <= edges <= 1:
        raise InputError(f"edges is {edges}; a probability from 0 to 1 is needed")
    low, high = prob
    for value in prob:
        if not 0 < value < 1:
            raise InputError(f"prob has {value}; both ends must lie strictly between 0 and 1")
    if low > high:
        raise InputError(f"prob is {low} to {high}; LOW must not be above HIGH")


def _check_concept(concept: int, parents: tuple[int, ...], table: Table, m: int) -> None:
    """Refuse one concept's parents and table; concepts are counted from 1 in messages."""
    if len(set(parents)) != len(parents) or any(not 0 <= j < m for j in parents):
        raise InputError(f"concept {concept} has parents {list(parents)}; allowed are distinct indices 0 to {m - 1}")
    if table.shape != (2,) * len(parents):
        raise InputError(f"concept {concept} has a table of shape {table.shape}; need {(2,) * len(parents)}")
    if not np.all((table > 0) & (table < 1)):
        bad = table[~((table > 0) & (table < 1))].flat[0]
        raise InputError(f"concept {concept} has probability {bad}; it must lie strictly between 0 and 1")
