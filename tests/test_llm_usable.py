"""How few pairs are too few, and that a concept of many pairs takes bounded memory."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from math import factorial

import numpy as np
import pytest
import torch
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import mean_cosine
from linrep.llm import nulls, usable
from linrep.llm.matching import FLIPS, Shifts, sign_flip_p, smallest_flip_p
from linrep.llm.nulls import coinciding, shuffled_cosines, shuffled_orders, smallest_shuffle_p
from linrep.llm.probe import measure
from linrep.llm.usable import too_few
from linrep.llm.words import TokenPairs

SHUFFLES = 4000


def rows(count: int = 60, dim: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def concept(pairs: list[tuple[int, int]], name: str = "c") -> TokenPairs:
    words = tuple((f"w{zero}", f"w{one}") for one, zero in pairs)
    return TokenPairs(name, len(pairs), np.array(pairs, dtype=np.int64).reshape(-1, 2), words, ())


def enumerated(pairs: list[tuple[int, int]]) -> Fraction:
    """The share that deals out the given pairs again, of the orders that swaps reach, no word paired with itself."""
    reached, new = set(), {tuple(second for _, second in pairs)}
    while new:
        reached |= new
        new = {swapped for order in new for swapped in swaps(order) if clean(pairs, swapped)} - reached
    same = [sorted((first, second) for (first, _), second in zip(pairs, order, strict=True)) for order in reached]
    return Fraction(sum(each == sorted(pairs) for each in same), len(reached))


def swaps(order: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for i, j in combinations(range(len(order)), 2):
        places = list(range(len(order)))
        places[i], places[j] = j, i
        yield tuple(order[place] for place in places)


def clean(pairs: list[tuple[int, int]], order: tuple[int, ...]) -> bool:
    return all(first != second for (first, _), second in zip(pairs, order, strict=True))


CASES = [
    [(1, 0), (3, 2)],
    [(1, 0), (3, 2), (5, 4)],
    [(1, 0), (3, 2), (5, 4), (7, 6)],
    [(1, 0), (1, 2), (1, 4), (1, 6)],  # all share a word: every order deals out the same pairs
    [(1, 0), (1, 2), (3, 4), (3, 6), (5, 8)],
    [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)],  # a chain, in which partners are forbidden
    [(1, 0), (2, 1), (0, 2)],  # a ring: every swap pairs a word with itself
]


@pytest.mark.parametrize("pairs", CASES, ids=str)
def test_the_smallest_p_is_the_enumerated_share(pairs: list[tuple[int, int]]) -> None:
    table, given = rows(), np.array(pairs)
    forbidden = coinciding(table[given[:, 0]], table[given[:, 1]])
    orders = shuffled_orders(forbidden, SHUFFLES, generator=np.random.default_rng(0))
    found = smallest_shuffle_p(given, orders, restricted=bool(forbidden.any()))
    share = float(enumerated(pairs))
    assert found == pytest.approx(share, abs=0 if not forbidden.any() else 4 * (share / SHUFFLES) ** 0.5)


def test_no_vectors_whatever_give_less_and_some_give_it() -> None:
    for count in (2, 3, 4):
        aligned = torch.eye(20, dtype=torch.float64)[: 2 * count] * 5
        aligned[1::2] = aligned[::2] + torch.eye(20, dtype=torch.float64)[19]  # one direction for all pairs
        table = torch.cat([aligned, rows(60, 20)])
        found = measure(table, [concept([(2 * i + 1, 2 * i) for i in range(count)])], shuffles=SHUFFLES)["concepts"][0]
        assert found["smallest_p"] == pytest.approx(1 / factorial(count))
        assert found["p"] == pytest.approx(1 / factorial(count), abs=0.03)
        assert (found["note"] is None) == (count == 4)


def test_the_note_follows_the_smallest_p_and_not_the_number_of_pairs() -> None:
    table = rows()
    shared = measure(table, [concept([(1, 2 * i + 2) for i in range(9)])], shuffles=50)["concepts"][0]
    assert shared["p"] == 1.0
    assert shared["note"].startswith("too few pairs to tell: with these 9 no p can be below 1.000")
    few_shuffles = measure(table, [concept([(2 * i + 1, 2 * i) for i in range(9)])], shuffles=10)["concepts"][0]
    assert few_shuffles["smallest_p"] == pytest.approx(1 / 11)
    assert "0.091" in few_shuffles["note"]


def test_no_pair_and_one_pair_have_no_number_and_say_why() -> None:
    lost = TokenPairs("lost", 4, np.zeros((0, 2), dtype=np.int64), (), ())
    found = measure(rows(), [lost, concept([(1, 0)], "one"), concept([(3, 2), (5, 4)], "two")], shuffles=20)["concepts"]
    assert [entry["note"] for entry in found[:2]] == [
        "too few pairs for a number: 0 of 4 usable, and 2 are needed",
        "too few pairs for a number: 1 of 1 usable, and 2 are needed",
    ]
    assert [entry["smallest_p"] for entry in found] == [None, None, 0.5]
    assert too_few(2, 2, 0.5) == found[2]["note"]
    assert too_few(5, 5, 1 / 120) is None


@pytest.mark.parametrize("clusters", [2, 4, 5, 12, 13])
def test_the_smallest_p_of_sign_flips_is_reached_by_shifts_along_the_words(clusters: int) -> None:
    along = torch.zeros(clusters, 6, dtype=torch.float64)
    along[:, 0] = 1
    side = Shifts("c", along, np.arange(clusters))
    assert sign_flip_p(side, side) == pytest.approx(smallest_flip_p(clusters))
    assert (smallest_flip_p(clusters) > 0.05) == (clusters < 5)
    assert smallest_flip_p(clusters) >= 1 / FLIPS


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = rows(40), rows(40, seed=1)
    orders = shuffled_orders(np.zeros((40, 40), dtype=bool), 30, generator=np.random.default_rng(0))
    whole = shuffled_cosines(first, second, orders)
    monkeypatch.setattr(nulls, "_BLOCK", 3 * 40)
    assert shuffled_cosines(first, second, orders) == pytest.approx(whole, abs=1e-14)
    expected = [float(mean_cosine(first - second[order])) for order in orders]
    assert whole == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_coinciding_words_are_those_whose_vectors_are_equal_but_for_rounding(size: float) -> None:
    first, second = rows(40) * size, rows(40, seed=1) * size
    second[3] = first[7] * (1 + 1e-9)
    second[4] = second[9] = first[7]
    second[5] = first[8] * (1 + 1e-3)
    second[6] = 0
    assert np.argwhere(coinciding(first, second)).tolist() == [[7, 3], [7, 4], [7, 9]]


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usable, "MOST_PAIRS", 3)
    with pytest.raises(InputError, match="the concept c has 4 usable pairs; at most 3 are allowed"):
        measure(rows(), [concept([(2 * i + 1, 2 * i) for i in range(4)])])
