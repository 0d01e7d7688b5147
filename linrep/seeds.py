"""One seed, three independent streams: the graph, the start, and the sampling.

Arms of a comparison that share a seed therefore share graphs and starts, whatever else differs between them.
"""

from typing import Literal

import numpy as np

from linrep.errors import InputError

Stream = Literal["graph", "start", "sampling"]
_KEYS: dict[Stream, int] = {"graph": 0, "start": 1, "sampling": 2}

PILOT_SEEDS = tuple(range(10**9, 10**9 + 9))
"""Seeds on which step sizes and clocks are chosen; disjoint from every seed that may be reported. An odd number:
a median is one of them."""


def stream(seed: int, purpose: Stream, *, part: int = 0) -> np.random.Generator:
    """The generator of one purpose of one seed; `part` separates independent draws of the same purpose."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_KEYS[purpose], part)))


def check_seeds(seeds: range) -> None:
    """Refuse seeds that are negative, none, or that overlap the pilot seeds.

    Raises:
        InputError: names the range of seeds.
    """
    first, last = seeds.start, seeds.stop - 1
    if last < first:
        raise InputError(f"seeds is {last - first + 1}; at least 1 replicate is needed")
    if first < 0 or last >= PILOT_SEEDS[0]:
        raise InputError(f"seeds {first} to {last}: allowed are 0 to {PILOT_SEEDS[0] - 1}")
