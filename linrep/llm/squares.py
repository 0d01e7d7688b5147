"""Squares of words that cross two concepts, and how much of their weight is at the pair of concepts (ours).

Four words w00, w10, w01, w11 are a function on two concepts, g = b0 + x1 b1 + x2 b2 + x1 x2 b12 with x = −1 or 1
(`linrep.spectrum`). In a parallelogram b12 = 0. The share |b12|²/(|b1|² + |b2|² + |b12|²) is 1/3 on average
for words that are dealt to the corners at random, and 1/3 exactly for the corners of a regular simplex.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from linrep.concepts import all_tokens
from linrep.errors import InputError
from linrep.geometry import direction, mean_cosine
from linrep.llm.tsv import read_rows
from linrep.llm.words import WordPairs, tokenise
from linrep.spectrum import walsh

Words = tuple[str, str, str, str]
"""w00, w10, w01, w11: the first concept flips between the first two, the second from these to the last two."""

NO_CAPITAL = ("country-capital", "english-french", "french-german", "french-spanish", "german-spanish", "lower-upper",
              "pronoun-possessive")  # fmt: skip
"""Concepts that are not crossed with the capital letter: names, other languages, "I", and the capital itself."""

TINY = 1e-24
"""A square whose three effects have no more weight than this share of its words' is no square."""


@dataclass(frozen=True, eq=False)
class Family:
    """The squares of two concepts as tokens of one model.

    Attributes:
        name: of both concepts. read: the number of squares it was read with.
        squares: token ids of w00, w10, w01, w11.
        words: the kept squares as words.
    """

    name: str
    read: int
    squares: Int[np.ndarray, "squares 4"]
    words: tuple[Words, ...]


def read_squares(concepts: Sequence[WordPairs]) -> dict[str, list[Words]]:
    """The squares by family: those of linrep's file, and each concept in lower case crossed with the capital letter.

    Args:
        concepts: the word pairs that are crossed with the capital letter; those of `NO_CAPITAL` are left out.
    """
    families: dict[str, list[Words]] = {}
    for _, (family, *words) in read_rows(resources.files("linrep.llm") / "data" / "squares.tsv"):
        families.setdefault(family, []).append((words[0], words[1], words[2], words[3]))
    for concept in concepts:
        if concept.name not in NO_CAPITAL:
            families[f"{concept.name}, capital"] = [
                (zero, one, zero.capitalize(), one.capitalize())
                for zero, one in concept.pairs
                if zero.islower() and one.islower()
            ]
    return families


def tokenised(name: str, squares: Sequence[Words], tokenizer: Any) -> Family:
    """The squares whose four words are four different single tokens.

    Args:
        tokenizer: of transformers.
    """
    sides = [tuple((zero, one) for zero, one, _, _ in squares), tuple((zero, one) for _, _, zero, one in squares)]
    found = [tokenise(WordPairs(name, side), tokenizer) for side in sides]
    known = [dict(zip(each.words, each.pairs.tolist(), strict=True)) for each in found]
    kept, ids = [], []
    for square in squares:
        lower, upper = known[0].get(square[:2]), known[1].get(square[2:])
        if lower is not None and upper is not None and len({*lower, *upper}) == 4:
            kept.append(square)
            ids.append([lower[1], lower[0], upper[1], upper[0]])  # tokenise has value 1 first
    return Family(name, len(squares), np.array(ids, dtype=np.int64).reshape(-1, 4), tuple(kept))


def effects(table: Float[Tensor, "rows dim"], squares: Int[np.ndarray, "squares 4"]) -> Float[Tensor, "squares 3 dim"]:
    """b1, b2 and b12 of each square, the rows of whose words are named in the order w00, w10, w01, w11."""
    corners = all_tokens(2)
    functions, _ = walsh(corners)
    place = [int(first + 2 * second) for first, second in corners]  # of each corner among the four columns
    sets = [corners.tolist().index(each) for each in ([1, 0], [0, 1], [1, 1])]
    found: Float[Tensor, "squares 3 dim"] = functions[sets] @ table[squares[:, place]].double() / len(corners)
    return found


def shares(found: Float[Tensor, "squares 3 dim"]) -> Float[np.ndarray, " squares"]:
    """|b12|²/(|b1|² + |b2|² + |b12|²) of each square.

    Raises:
        InputError: a square whose four words have one vector.
    """
    weights = found.square().sum(dim=-1)
    total = weights.sum(dim=-1)
    if not bool((total > TINY).all()):
        raise InputError("a square of four equal words has no weight above degree zero, and so no share at the pair")
    part: Float[np.ndarray, " squares"] = (weights[:, 2] / total).numpy()
    return part


def fourth_dealt(
    squares: Int[np.ndarray, "squares 4"], *, generator: np.random.Generator
) -> Int[np.ndarray, "squares 4"]:
    """The squares with each fourth word taken from another square of the family, at random, never from its own."""
    count = len(squares)
    if count < 2:
        raise InputError(f"{count} square(s) given; to take the fourth word from another one needs 2 or more")
    order = generator.permutation(count)  # one random cycle through all squares: no square keeps its word
    dealt = squares.copy()
    dealt[order, 3] = squares[np.roll(order, 1), 3]
    return dealt


def interaction(found: Float[Tensor, "squares 3 dim"]) -> dict[str, float]:
    """Whether the interaction is one direction, and apart from the concepts'.

    Returns:
        one, two, pair: mean cosine over distinct pairs of squares of their b1, b2, b12.
        along: the larger |cosine| of the mean b12 with the mean b1 and the mean b2.
    """
    parts = found.unbind(dim=1)
    means = [direction(part) for part in parts]
    along = max(abs(float(means[2] @ means[which])) for which in (0, 1))
    cosines = [float(mean_cosine(part)) for part in parts]
    return dict(zip(("one", "two", "pair"), cosines, strict=True)) | {"along": along}


def token_squares(tokens: Int[np.ndarray, "tokens concepts"]) -> dict[tuple[int, int], Int[np.ndarray, "squares 4"]]:
    """The squares of every two concepts in a complete set of concept vectors, everything else held."""
    row_of = {tuple(row): index for index, row in enumerate(tokens.tolist())}
    found = {}
    for first, second in combinations(range(tokens.shape[1]), 2):
        base = tokens[(tokens[:, first] == 0) & (tokens[:, second] == 0)]
        corners = []
        for one, two in ((0, 0), (1, 0), (0, 1), (1, 1)):
            moved = base.copy()
            moved[:, first], moved[:, second] = one, two
            corners.append([row_of[tuple(row)] for row in moved.tolist()])
        found[first, second] = np.array(corners).T
    return found


def bootstrap_means(
    families: Mapping[str, Float[np.ndarray, " squares"]], *, draws: int, seed: int
) -> Float[np.ndarray, " draws"]:
    """The mean over families of their mean share, with families drawn anew, and within them their squares."""
    rng = np.random.default_rng(seed)
    values = list(families.values())
    drawn = np.empty(draws)
    for number in range(draws):
        chosen = [values[place] for place in rng.integers(len(values), size=len(values))]
        drawn[number] = np.mean([each[rng.integers(len(each), size=len(each))].mean() for each in chosen])
    return drawn
