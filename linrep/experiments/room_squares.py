"""Squares of a model's words: the numbers that the record on room keeps of them (asking 2 of `room_rules`)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.experiments.room_rules import FEW_DEALS, FEWEST, SHUFFLES, ranks_of
from linrep.llm import squares
from linrep.llm.matrix import Unembedding
from linrep.llm.words import read_pairs
from linrep.results import short


def word_families(model: Unembedding) -> list[squares.Family]:
    """All families of squares as tokens, those with few squares too."""
    return [squares.tokenised(name, each, model.tokenizer) for name, each in squares.read_squares(read_pairs()).items()]


def square_rows(
    model: Unembedding, families: Sequence[squares.Family], *, arm: str = "trained"
) -> list[dict[str, Any]]:
    """Asking 2: a row for each product and family with two squares or more."""
    rows, matrices = [], model.transforms
    for name in ("euclidean", "causal"):
        matrix = matrices[name]
        for family in families:
            if len(family.squares) < 2:
                continue
            ids, places = np.unique(family.squares, return_inverse=True)
            table = model.unembedding.detach()[torch.from_numpy(ids)].double() @ matrix
            place = {"arm": arm, "product": name, "family": family.name, "read": family.read}
            rows.append(place | family_numbers(table, places.reshape(-1, 4)))
    return rows


def share_rows(
    model: Unembedding, orders: Mapping[str, Float[Tensor, "dim rank"]], families: Sequence[squares.Family]
) -> list[dict[str, Any]]:
    """The share at the pair in the r leading dimensions of each order, and with the fourth word from another square.

    Means over families with enough squares.
    """
    kept = [family.squares for family in families if len(family.squares) >= FEWEST]
    rng = np.random.default_rng(0)
    rows = []
    for order, matrix in orders.items():
        tables = [model.unembedding.detach()[torch.from_numpy(each)].double() @ matrix for each in kept]
        for rank in ranks_of(matrix.shape[1]):
            found = [_share_and_null(table[..., :rank], rng) for table in tables]
            share, fourth = np.mean(found, axis=0).tolist()
            rows.append({"order": order, "r": rank, "share": short(share), "fourth": short(fourth)})
    return rows


def _share_and_null(words: Float[Tensor, "squares 4 dim"], rng: np.random.Generator) -> tuple[float, float]:
    """The mean share of a family, and its mean with the fourth word from another square."""
    table, places = words.flatten(0, 1), np.arange(4 * len(words)).reshape(-1, 4)
    dealt = [squares.fourth_dealt(places, generator=rng) for _ in range(FEW_DEALS)]
    share, *null = (float(squares.shares(squares.effects(table, each)).mean()) for each in (places, *dealt))
    return share, float(np.mean(null))


def family_numbers(table: Float[Tensor, "words dim"], places: Int[np.ndarray, "squares 4"]) -> dict[str, Any]:
    """The shares of a family's squares, their null, and whether the interaction is one direction."""
    found = squares.effects(table, places)
    rng = np.random.default_rng(0)
    dealt = [squares.effects(table, squares.fourth_dealt(places, generator=rng)) for _ in range(SHUFFLES)]
    nulls = [squares.interaction(each)["pair"] for each in dealt]
    return {
        "shares": [short(float(share)) for share in squares.shares(found)],
        "fourth": short(float(np.mean([squares.shares(each).mean() for each in dealt]))),
        **{key: short(value) for key, value in squares.interaction(found).items()},
        "pair, fourth": short(float(np.mean(nulls))),
    }
