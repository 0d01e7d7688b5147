"""What a sweep was asked for, how large it is, and whether it fits: all before any work."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linrep.engine.choice import compiled
from linrep.errors import InputError
from linrep.masks import mask_probability
from linrep.memory import require_memory
from linrep.seeds import PILOT_SEEDS, check_seeds
from linrep.setting import Setting
from linrep.sweep.grid import MOST_RUNS, Grid, Point, points


@dataclass(frozen=True)
class Size:
    """One run: how many replicates it trains at a time, on what, and about how many bytes that takes."""

    replicates: int
    contexts: int
    tokens: int
    dim: int
    bytes: int

    def __str__(self) -> str:
        """For a person."""
        return (
            f"{self.replicates} replicate(s) of {_count(self.contexts)} contexts by {_count(self.tokens)} tokens in "
            f"{self.dim:,} dimensions"
        )


@dataclass(frozen=True)
class Plan:
    """A grid over seeds, checked.

    Attributes:
        sizes: the size of a run of each point. bytes: what the largest runs take that are under way at one time.
    """

    points: tuple[Point, ...]
    seeds: range
    sizes: tuple[Size, ...]
    bytes: int

    @property
    def runs(self) -> int:
        """How many runs train seeds: a complete world's seeds are one batch, other worlds are run seed by seed."""
        return _runs(self.points, self.seeds)

    @property
    def searches(self) -> int:
        """How many settings have no pace of their own: it is searched on pilots before their runs."""
        return sum(open_pace(point.setting) for point in self.points)

    @property
    def largest(self) -> Size:
        """The run that takes most."""
        return max(self.sizes, key=lambda size: size.bytes)


def make_plan(grid: Grid, *, seeds: range, at_once: int = 1, limit: int | None = None) -> Plan:
    """Check a grid, and that its largest runs fit.

    Args:
        at_once: how many runs share the memory. limit: that memory, in bytes; None for what is free here.

    Raises:
        InputError: a grid or seeds that are not allowed. TooLargeError: with the size of what would not fit.
    """
    check_seeds(seeds)
    found = tuple(points(grid))
    if (runs := _runs(found, seeds)) > MOST_RUNS:
        raise InputError(f"the sweep has {runs:,} runs; allowed are {MOST_RUNS:,}")
    sizes = tuple(size_of(point.setting, len(seeds)) for point in found)
    together = _together([(size, _runs([point], seeds)) for point, size in zip(found, sizes, strict=True)], at_once)
    plan = Plan(found, seeds, sizes, sum(size.bytes for size in together))
    what = f"{len(together)} run(s) at a time, the largest {plan.largest},"
    require_memory(plan.bytes, what, device=found[sizes.index(plan.largest)].setting.device, limit=limit)
    return plan


def open_pace(setting: Setting) -> bool:
    """Whether the step size or the steps are left to the rules."""
    return setting.step_size is None or setting.steps is None


def size_of(setting: Setting, seeds: int) -> Size:
    """About what one run of a setting takes: the sum of what the guards of its parts ask for.

    On incomplete sets the contexts are estimated: their mean number over the masks drawn, were each kept token to make
    a context of its own as long as there are as many.
    """
    m = min(setting.concepts, 200)  # beyond, what is too large is too large
    tokens = 2**m if setting.tokens is None else setting.tokens
    contexts = 3**m if setting.complete else _expected_contexts(setting, m, tokens)
    pilots = len(PILOT_SEEDS) if open_pace(setting) else 0
    replicates = max(seeds, pilots) if setting.complete else 1
    rows, width = contexts + tokens, setting.width
    itemsize = 8 if setting.dtype == "float64" else 4
    size = 24 * m * rows + 8 * replicates * 3 * rows  # the sets and their probabilities: linrep.population
    size += 3 * 8 * replicates * (rows * width + width**2)  # the start, and F and G: linrep.start
    if not compiled(setting.engine, device=setting.device):
        size += (3 * itemsize + 16) * replicates * contexts * tokens  # the dense loss: linrep.loss
    if not setting.complete or setting.optimizer != "gd":
        masks = 2**m if setting.masks is None else setting.masks
        size += masks * tokens * (4 if setting.complete else 9 * m)  # what a mask makes of a token: linrep.contexts
    return Size(replicates, contexts, tokens, width, size)


def _runs(found: Sequence[Point], seeds: range) -> int:
    return sum(1 if point.setting.complete else len(seeds) for point in found)


def _expected_contexts(setting: Setting, concepts: int, tokens: int) -> int:
    """Contexts that masks drawn by their law make of some tokens: of one with j known entries, 2^j, or all tokens."""
    of_mask = [min(1 << known, tokens) for known in range(concepts + 1)]
    ways = [math.comb(concepts, known) for known in range(concepts + 1)]
    of_all = sum(way * made for way, made in zip(ways, of_mask, strict=True))
    if setting.masks is None:
        return of_all
    one_of_each = np.tri(concepts + 1, concepts, k=-1, dtype=np.int8)  # row j: a mask with j known entries
    p = mask_probability(one_of_each, setting.mask_law).tolist()
    mean: float = sum(way * chance * made for way, chance, made in zip(ways, p, of_mask, strict=True))
    return min(math.ceil(setting.masks * mean), of_all)


def _together(runs: Sequence[tuple[Size, int]], at_once: int) -> list[Size]:
    """The largest runs that can be under way at one time, from the sizes and how many runs have each."""
    largest = sorted(runs, key=lambda run: -run[0].bytes)
    return [size for size, count in largest[:at_once] for _ in range(min(count, at_once))][:at_once]


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**12 else f"{number:.3g}"
