"""Counterfactual pairs and steering vectors: the one interface that the simulation and a language model share.

A steering vector is a difference of two rows of a table of vectors, the row where a concept is 1 minus the row where
it is 0, everything else equal (paper, section 2: Δg_i(c) = g(c(i→1)) − g(c(i→0)), and Δf_i(d) for contexts).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import InputError


def counterfactual_pairs(states: Int[np.ndarray, "states concepts"]) -> list[Int[np.ndarray, "_ 2"]]:
    """For each concept i, the index pairs of states that differ in entry i only: value 1 first, value 0 second.

    States may be tokens (entries 0, 1) or contexts (entries −1 for unknown, 0, 1); an unknown entry has no pair. The
    set may be incomplete: a state whose partner is missing forms no pair. Pairs are ordered by their first index.
    """
    row_of = {row.tobytes(): index for index, row in enumerate(np.ascontiguousarray(states))}
    pairs = []
    for concept in range(states.shape[1]):
        on = np.flatnonzero(states[:, concept] == 1)
        partners = states[on].copy()
        partners[:, concept] = 0
        off = [row_of.get(row.tobytes(), -1) for row in partners]
        both = np.column_stack([on, np.asarray(off, dtype=np.int64).reshape(-1)])
        pairs.append(both[both[:, 1] >= 0])
    return pairs


def require_pairs(pairs: Sequence[Int[np.ndarray, "_ 2"]], *, of: str, least: int = 2) -> None:
    """Refuse a set in which some concept has fewer counterfactual pairs than a mean cosine needs.

    Raises:
        InputError: names the first such concept and the number of its pairs.
    """
    for concept, pair in enumerate(pairs):
        if len(pair) < least:
            raise InputError(
                f"concept {concept + 1} has {len(pair)} counterfactual pair(s) among the {of}; "
                f"a mean cosine needs at least {least}"
            )


def steering_vectors(
    table: Float[Tensor, "*batch states dim"], pairs: Int[np.ndarray, "pairs 2"]
) -> Float[Tensor, "*batch pairs dim"]:
    """Differences of the table's rows: first index of each pair minus the second (Δg_i or Δf_i of the paper)."""
    return table[..., pairs[:, 0], :] - table[..., pairs[:, 1], :]
