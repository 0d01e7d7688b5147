"""Word pairs in the leading dimensions of a table: mean cosines within concepts, and of shuffled partners, by r (ours).

An order of dimensions is a matrix M whose columns come leading first: row w of the table has the coordinates w M, and
the projection on the r leading dimensions keeps the first r of them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import mean_cosine
from linrep.llm.nulls import coinciding, shuffled_cosines, shuffled_orders
from linrep.llm.products import SINGULAR, covariance

Corners = Float[Tensor, "2 pairs coordinates"]
"""The words of a concept's pairs: value 1 first, then value 0."""


def component_order(table: Float[Tensor, "rows dim"]) -> tuple[Float[Tensor, "dim dim"], Float[Tensor, " dim"]]:
    """The principal components of the rows, the widest first, and the standard deviation along each."""
    values, vectors = torch.linalg.eigh(covariance(table))  # ascending
    return vectors.flip(-1), values.flip(-1).clamp_min(0).sqrt()


def prediction_order(table: Float[Tensor, "rows dim"], states: Float[Tensor, "texts dim"]) -> Float[Tensor, "dim rank"]:
    """Whitened coordinates of the rows, those first along which the logits vary most over the contexts.

    With C the covariance of the rows, words go to w C^(−1/2) and states to h C^(1/2), which keeps the logits but for
    what they have in common; the order is that of the eigenvectors of the states' covariance then. So it is that of the
    singular values of the logits, centred over words and over contexts. Directions in which the rows do not vary are
    left out.

    Raises:
        InputError: rows that do not vary, or fewer than two states.
    """
    values, vectors = torch.linalg.eigh(covariance(table))
    kept = values > SINGULAR * values[-1]
    if not bool(kept.any()) or len(states) < 2:
        raise InputError(f"{len(table)} rows and {len(states)} state(s) given; both must vary to have an order")
    roots = values[kept].sqrt()
    to_words, to_states = vectors[:, kept] / roots, vectors[:, kept] * roots
    _, axes = torch.linalg.eigh(covariance(states.double() @ to_states))
    found: Float[Tensor, "dim rank"] = to_words @ axes.flip(-1)
    return found


def random_order(order: Float[Tensor, "dim rank"], *, generator: torch.Generator) -> Float[Tensor, "dim rank"]:
    """The same space with its dimensions in directions of no meaning: a random rotation."""
    rank = order.shape[1]
    normal = torch.randn(rank, rank, generator=generator, dtype=torch.float64)
    rotation, upper = torch.linalg.qr(normal)
    turned: Float[Tensor, "dim rank"] = order @ (rotation * upper.diagonal().sign())
    return turned


def corners(
    table: Float[Tensor, "rows dim"], pairs: Int[np.ndarray, "pairs 2"], order: Float[Tensor, "dim rank"]
) -> Corners:
    """The coordinates of a concept's words, float64."""
    found: Corners = table.detach()[torch.from_numpy(pairs.T.copy())].double() @ order
    return found


def placed(spread: Float[Tensor, " dim"], pairs: int, common: float, *, generator: torch.Generator) -> Corners:
    """Pairs of no meaning with a common part of their differences, all of it spread over dimensions as words are.

    Words are normal with standard deviations `spread`; the difference of a pair is as long as that of two of them,
    √(2·common) u + √(2·(1 − common)) e, with u the same for all pairs and e each pair's own.

    Args:
        common: from 0 to 1; about the mean cosine of the differences.
    """
    if not 0 <= common <= 1:
        raise InputError(f"common is {common}; it must be from 0 to 1")
    draw = torch.randn(2 * pairs + 1, len(spread), generator=generator, dtype=torch.float64) * spread
    zero, own, shared = draw[:pairs], draw[pairs:-1], draw[-1]
    return torch.stack([zero + (2 * common) ** 0.5 * shared + (2 * (1 - common)) ** 0.5 * own, zero])


def dealt_orders(words: Corners, count: int, *, generator: np.random.Generator) -> Int[np.ndarray, "shuffles pairs"]:
    """Orders of the second words for the null, none of which pairs a word with itself."""
    return shuffled_orders(coinciding(words[0], words[1]), count, generator=generator)


def by_rank(
    words: Corners, ranks: Sequence[int], orders: Int[np.ndarray, "shuffles pairs"]
) -> Float[np.ndarray, "ranks 2"]:
    """Mean cosine within a concept, and of its null, in the r leading dimensions, for each r.

    Raises:
        InputError: an r that is not from 1 to the number of dimensions.
    """
    dim = words.shape[-1]
    if bad := [rank for rank in ranks if not 1 <= rank <= dim]:
        raise InputError(f"r is {bad[0]}; allowed are 1 to {dim}")
    found = []
    for rank in ranks:
        ones, zeros = words[0, :, :rank], words[1, :, :rank]
        found.append([float(mean_cosine(ones - zeros)), float(shuffled_cosines(ones, zeros, orders).mean())])
    return np.array(found)


def crossed(
    excess: Float[np.ndarray, "concepts choices"], full: Float[np.ndarray, " concepts"]
) -> tuple[Float[np.ndarray, " concepts"], tuple[int, int]]:
    """What the best choice gives over the full value, chosen on one half of the concepts and measured on the other.

    Args:
        excess: of each concept (in an order that has nothing to do with it) under each choice.
        full: of each concept, what a choice is compared with.

    Returns:
        The difference of each concept, and the choice of the even places and that of the odd ones.
    """
    if len(excess) < 4:
        raise InputError(f"{len(excess)} concept(s) given; two halves need 4 or more")
    half = np.arange(len(excess)) % 2
    best = [int(excess[half == part].mean(axis=0).argmax()) for part in (0, 1)]
    other = np.array(best)[1 - half]  # the choice of the other half
    return excess[np.arange(len(excess)), other] - full, (best[0], best[1])
