"""What chance would give: shuffled partners within a concept, random pairs between concepts."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linrep.geometry import mean_absolute_between

SAME = 1e-12
"""Two vectors are the same when their squared distance is at most this share of their squared lengths."""

_BLOCK = 2**23
"""Numbers that are held at once, of the random pairs and of the products of words: 64 MB."""


def coinciding(
    first: Float[Tensor, "pairs dim"], second: Float[Tensor, "pairs dim"]
) -> Bool[np.ndarray, "pairs pairs"]:
    """Entry (i, j): first word i and second word j have the same vector, so that they must not become a pair.

    Equal vectors have equal projections, so that only words that lie together on one axis are compared.
    """
    axis = torch.randn(first.shape[1], dtype=first.dtype, generator=torch.Generator().manual_seed(0))
    lengths = [side.square().sum(dim=1) for side in (first, second)]
    slack = axis.norm() * (SAME * (lengths[0].max() + lengths[1].max())).sqrt()  # |(x − y)·axis| ≤ |x − y||axis|
    along, (places, order) = first @ axis, torch.sort(second @ axis)
    starts, ends = torch.searchsorted(places, along - slack), torch.searchsorted(places, along + slack, right=True)
    found = np.zeros((len(first), len(second)), dtype=bool)
    for row in torch.nonzero(ends > starts).flatten().tolist():
        near = order[starts[row] : ends[row]]
        apart = (second[near] - first[row]).square().sum(dim=1)
        found[row, near.numpy()] = (apart <= SAME * (lengths[0][row] + lengths[1][near])).numpy()
    return found


def shuffled_orders(
    forbidden: Bool[np.ndarray, "pairs pairs"], count: int, *, generator: np.random.Generator
) -> Int[np.ndarray, "shuffles pairs"]:
    """Random permutations of the second words in which no first word i meets a forbidden second word.

    Without forbidden partners they are uniform. With some, each is the end of a random walk over transpositions that
    starts at the given order and refuses forbidden steps: reversible, hence uniform over what it can reach, so that the
    permutation p-value stays valid. The given order itself must be allowed.
    """
    pairs = len(forbidden)
    orders = np.tile(np.arange(pairs), (count, 1))
    if not forbidden.any():
        return generator.permuted(orders, axis=1)
    rows = np.arange(count)
    for _ in range(math.ceil(2 * pairs * math.log(pairs + 1)) + 10):  # four times the mixing time of transpositions
        i, j = generator.integers(pairs, size=(2, count))
        to_i, to_j = orders[rows, j], orders[rows, i]
        good = ~(forbidden[i, to_i] | forbidden[j, to_j])
        orders[rows[good], i[good]], orders[rows[good], j[good]] = to_i[good], to_j[good]
    return orders


def smallest_shuffle_p(
    pairs: Int[np.ndarray, "pairs 2"], orders: Int[np.ndarray, "shuffles pairs"], *, restricted: bool
) -> float:
    """The smallest p-value that shuffling the partners of these pairs can give, whatever the vectors.

    An order that deals out the given pairs again always ties with them. Of the n! orders these are Π rᵢ! · Π cⱼ!, when
    no pair stands twice and r and c count how often each first and each second word occurs: 1 of 2 for two pairs, 1 of
    6 for three, all of them when all pairs share a word. Where partners are forbidden, the share is that among the
    orders drawn. No p-value is below 1/(1 + shuffles).

    Args:
        pairs: the words, by number. orders: as drawn by `shuffled_orders`.
        restricted: whether any partner was forbidden.
    """
    shuffles, count = orders.shape
    if restricted:
        words = int(pairs.max()) + 1
        drawn = np.sort(pairs[:, 0] * words + pairs[orders, 1], axis=1)
        given = np.sort(pairs[:, 0] * words + pairs[:, 1])
        share = float((drawn == given).all(axis=1).mean())
    else:
        times = [number for column in pairs.T for number in np.unique(column, return_counts=True)[1].tolist()]
        share = math.prod(map(math.factorial, times)) / math.factorial(count)
    return float(max(share, 1 / (1 + shuffles)))


def shuffled_cosines(
    first: Float[Tensor, "pairs dim"],
    second: Float[Tensor, "pairs dim"],
    orders: Int[np.ndarray, "shuffles pairs"],
) -> Float[np.ndarray, " shuffles"]:
    """Mean cosine over distinct pairs of the vectors first_i − second_order(i), for each order.

    Never forms these vectors. With c the coefficients ±1/|first_i − second_order(i)| of the words, Σ of the unit
    vectors is c · words, and U = (|Σ|² − n)/(n(n − 1)) as in `linrep.geometry.mean_cosine`.
    """
    pairs = orders.shape[1]
    index = torch.from_numpy(orders)
    inverse = _squared_lengths(first, second, index).rsqrt()
    total = inverse @ first - torch.zeros_like(inverse).scatter_(1, index, inverse) @ second  # (shuffles, dim)
    cosines: Float[np.ndarray, " shuffles"] = ((total.square().sum(dim=1) - pairs) / (pairs * (pairs - 1))).numpy()
    return cosines


def _squared_lengths(
    first: Float[Tensor, "pairs dim"], second: Float[Tensor, "pairs dim"], orders: Int[Tensor, "shuffles pairs"]
) -> Float[Tensor, "shuffles pairs"]:
    """|first_i − second_order(i)|², from the products of the words, a block of first words at a time."""
    squares = first.square().sum(dim=1) + second.square().sum(dim=1)[orders]
    for rows in _blocks(len(first), len(second)):
        products = first[rows] @ second.T
        squares[:, rows] -= 2 * products[torch.arange(len(products)), orders[:, rows]]
    return squares


def _blocks(rows: int, columns: int) -> list[slice]:
    """Slices of so many rows that a matrix with these columns stays within `_BLOCK` numbers."""
    step = max(1, _BLOCK // max(1, columns))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def random_between(
    spaces: Mapping[str, Float[Tensor, "words dim"]],
    counts: Sequence[int],
    *,
    draws: int,
    generator: np.random.Generator,
) -> dict[str, Float[np.ndarray, " draws"]]:
    """Mean absolute cosine between concepts when concept i is `counts[i]` random pairs of different words.

    Args:
        spaces: the vectors of the words, three or more, under each product; all products see the same pairs.
    """
    size = len(next(iter(spaces.values())))
    block = max(1, _BLOCK // (len(counts) * size))
    found: dict[str, list[Tensor]] = {product: [] for product in spaces}
    for start in range(0, draws, block):
        rows = [_random_sum(size, count, generator) for _ in range(min(block, draws - start)) for count in counts]
        sums = torch.from_numpy(np.stack(rows))  # (block · concepts, words)
        for product, words in spaces.items():
            found[product].append(mean_absolute_between((sums @ words).reshape(-1, len(counts), words.shape[1])))
    return {product: torch.cat(values).numpy() for product, values in found.items()}


def _random_sum(size: int, count: int, generator: np.random.Generator) -> Float[np.ndarray, " words"]:
    """The words' coefficients in a sum of random steering vectors; one that cancels has no direction: drawn again."""
    while True:
        ones = generator.integers(size, size=count)
        zeros = (ones + 1 + generator.integers(size - 1, size=count)) % size
        coefficients = np.bincount(ones, minlength=size) - np.bincount(zeros, minlength=size)
        if coefficients.any():
            return coefficients.astype(np.float64)
