"""Which pairs of a concept a model can use, and whether so few of them can say anything.

A cosine within a concept needs two pairs. A permutation test needs more: its p-value cannot be smaller than the share
of orders that deal out the given pairs again, and where this is above the level of the test no cosine, however large,
can be told from its null. So the rule is not a number of pairs but the smallest attainable p-value.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from linrep.errors import InputError
from linrep.llm.words import TokenPairs
from linrep.stats import LEVEL

MOST_PAIRS = 20_000
"""Usable pairs of one concept: the shuffles take time and memory with their square, 0.8 GB at this number."""


def with_vectors(concept: TokenPairs, unembedding: Float[Tensor, "vocabulary dim"]) -> TokenPairs:
    """The concept less the pairs that have no steering vector: a token without a row, or two rows alike."""
    inside = concept.pairs.max(axis=1, initial=0) < len(unembedding)
    ones, zeros = torch.from_numpy(np.where(inside[:, None], concept.pairs, 0)).to(unembedding.device).unbind(dim=1)
    good = inside & (unembedding[ones] != unembedding[zeros]).any(dim=1).cpu().numpy()
    reasons = ["both words have the same vector" if row else "a word has no row in the unembedding" for row in inside]
    lost = [(concept.words[i], reasons[i]) for i in np.flatnonzero(~good)]
    words = tuple(concept.words[i] for i in np.flatnonzero(good))
    return replace(concept, pairs=concept.pairs[good], words=words, dropped=(*concept.dropped, *lost))


def usable_concepts(concepts: Sequence[TokenPairs]) -> list[TokenPairs]:
    """Those with the two pairs that a cosine needs.

    Raises:
        InputError: there is none; one has more than `MOST_PAIRS` pairs, or pairs in circles, whose mean is zero.
    """
    usable = [concept for concept in concepts if len(concept.pairs) > 1]
    if not usable:
        raise InputError(_all_dropped(concepts))
    for concept in usable:
        if (count := len(concept.pairs)) > MOST_PAIRS:
            raise InputError(
                f"the concept {concept.name} has {count:,} usable pairs; at most {MOST_PAIRS:,} are allowed"
            )
        ones, zeros = np.sort(concept.pairs, axis=0).T
        if np.array_equal(ones, zeros):
            raise InputError(
                f"the pairs of the concept {concept.name} run in circles: their mean, its direction, is zero"
            )
    return usable


def too_few(kept: int, read: int, smallest_p: float | None) -> str | None:
    """Why the pairs of a concept give no number, or one that cannot be told from its null; None when neither is so.

    Args:
        smallest_p: the smallest attainable p-value; None where there is no number at all.
    """
    if smallest_p is None:
        return f"too few pairs for a number: {kept} of {read} usable, and 2 are needed"
    if smallest_p > LEVEL:
        return f"too few pairs to tell: with these {kept} no p can be below {smallest_p:.3f}, and the level is {LEVEL}"
    return None


def _all_dropped(concepts: Sequence[TokenPairs]) -> str:
    shown = [
        f"{concept.name} keeps {len(concept.pairs)} of {concept.read}"
        + (f" ({concept.dropped[0][1]})" if concept.dropped else "")
        for concept in concepts[:3]
    ]
    more = ", ..." if len(concepts) > len(shown) else ""
    return f"no concept keeps the 2 pairs that a cosine needs: {', '.join(shown)}{more}"
