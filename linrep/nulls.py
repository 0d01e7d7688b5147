"""What U, E, UE and the cosine between concepts are by chance: by formula, and for tables that chance has arranged.

Chance comes in two forms here: the rows of a table dealt out anew among its states, and rows drawn from the normal law
with the mean and the covariance of the table's rows. Drawn tables have a leading axis, one entry for each draw.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import mean_absolute_between, unit
from linrep.linearity import concept_vectors

SAME = 1e-9
"""Two cosines that differ by no more are the same one, added up in another order."""


@dataclass(frozen=True, eq=False)
class Half:
    """What the cosines need to know of one table: two mean vectors for each concept.

    Attributes:
        unit_mean: the mean of the steering vectors, each made 1 long.
        mean: the mean of the steering vectors as they are; its direction is the concept's.
        pairs: how many steering vectors each concept has.
    """

    unit_mean: Float[Tensor, "*batch concepts dim"]
    mean: Float[Tensor, "*batch concepts dim"]
    pairs: Int[Tensor, " concepts"]


def half(table: Float[Tensor, "*draws states dim"], pairs: Sequence[Int[np.ndarray, "_ 2"]]) -> Half:
    """The two means of each concept.

    Raises:
        InputError: a steering vector is zero.
    """
    concepts = concept_vectors(table, pairs)
    return Half(
        torch.stack([unit(vectors).mean(dim=-2) for vectors in concepts], dim=-2),
        torch.stack([vectors.mean(dim=-2) for vectors in concepts], dim=-2),
        torch.tensor([len(pair) for pair in pairs]),
    )


def within(one: Half) -> Float[np.ndarray, "*draws"]:
    """U of a table of unembeddings, E of one of embeddings: (n |mean|² − 1)/(n − 1), averaged over the concepts."""
    count = one.pairs
    each = (count * one.unit_mean.square().sum(dim=-1) - 1) / (count - 1)
    return np.asarray(each.mean(dim=-1).numpy())


def across(first: Half, second: Half) -> Float[np.ndarray, "*draws"]:
    """UE, averaged over the concepts; one of the two may be a single table without draws."""
    return np.asarray((first.unit_mean * second.unit_mean).sum(dim=-1).mean(dim=-1).numpy())


def between(one: Half) -> Float[np.ndarray, "*draws"]:
    """Mean absolute cosine between the directions of different concepts.

    Raises:
        InputError: a concept whose steering vectors add up to zero has no direction.
    """
    return np.asarray(mean_absolute_between(one.mean).numpy())


def cosines(tokens: Half, contexts: Half) -> dict[str, Float[np.ndarray, "*draws"]]:
    """The measures by their names in `linrep.simulate`: those of `linrep.linearity.measure`, averaged over concepts."""
    return {
        "unembedding": within(tokens),
        "embedding": within(contexts),
        "matched": across(tokens, contexts),
        "between": between(tokens),
    }


def relabelled(
    table: Float[Tensor, "states dim"], draws: int, *, generator: np.random.Generator
) -> Float[Tensor, "draws states dim"]:
    """The rows dealt out anew among the states, every order equally likely: the same vectors, other owners."""
    orders = generator.permuted(np.tile(np.arange(len(table)), (draws, 1)), axis=1)
    return table[torch.from_numpy(orders)]


def gaussian(
    table: Float[Tensor, "states dim"], draws: int, *, generator: np.random.Generator
) -> Float[Tensor, "draws states dim"]:
    """Independent rows from the normal law with the mean and the covariance of the table's rows.

    Its root is the symmetric one, which depends on the covariance only and on no choice of axes.
    """
    centre = table.mean(dim=0)
    centred = table - centre
    variances, axes = torch.linalg.eigh(centred.mT @ centred / len(table))
    root = axes * variances.clamp(min=0).sqrt() @ axes.mT
    normal = torch.from_numpy(generator.standard_normal((draws, *table.shape)))
    drawn: Tensor = centre + normal @ root
    return drawn


def p_value(draws: Float[np.ndarray, " draws"], observed: float, *, low: bool = False) -> float:
    """(1 + r)/(1 + n), with r of the n draws as large as observed, or as small with `low`.

    The one is the observed arrangement itself, so that p is never zero (Phipson and Smyth 2010).
    """
    reached = draws <= observed + SAME if low else draws >= observed - SAME
    return float((1 + reached.sum()) / (1 + len(draws)))


def expected_between(dim: int) -> float:
    """E|cos| of two independent directions, each uniform in a space of `dim` dimensions: Γ(k/2)/(√π Γ((k + 1)/2)).

    That is the mean of *between* for independent rows of one isotropic normal law, whatever m.
    """
    return math.exp(math.lgamma(dim / 2) - math.lgamma((dim + 1) / 2)) / math.sqrt(math.pi)


def spread(concepts: int, dim: int) -> dict[str, float]:
    """Standard deviations of U, E and UE, averaged over m concepts, for independent rows of one isotropic law.

    That of a single concept is exact: √(2/(k n (n − 1))) with n = 2^(m−1) pairs for U and 3^(m−1) for E, and
    1/√(k 6^(m−1)) for UE. Two concepts share rows; their correlation is that of inner products in place of cosines,
    1/(2^m − 2) for U, 1/(3^m − 3) for E and 0 for UE, so that the average is approximate.

    Raises:
        InputError: fewer than two concepts, which leave no two pairs.
    """
    if concepts < 2:
        raise InputError(f"concepts is {concepts}; a mean cosine between steering vectors needs 2 or more")
    tokens, contexts = 2 ** (concepts - 1), 3 ** (concepts - 1)
    single = {
        "unembedding": math.sqrt(2 / (dim * tokens * (tokens - 1))),
        "embedding": math.sqrt(2 / (dim * contexts * (contexts - 1))),
        "matched": math.sqrt(1 / (dim * tokens * contexts)),
    }
    shared = {"unembedding": 1 / (2 * tokens - 2), "embedding": 1 / (3 * contexts - 3), "matched": 0.0}
    return {name: sd * math.sqrt((1 + (concepts - 1) * shared[name]) / concepts) for name, sd in single.items()}


def labellings(concepts: int) -> Int[np.ndarray, "classes tokens"]:
    """One order of the tokens from each class of orders that have the same U: 3 for two concepts, 840 for three.

    U and *between*, averaged over concepts, do not change when a concept's values 0 and 1 are exchanged, or when two
    concepts are: 2^m m! symmetries. In each class one order leaves the first token in place and puts its m neighbours
    in increasing order; the trained one comes first.

    Raises:
        InputError: other numbers of concepts; four have more than 10^10 classes.
    """
    if concepts not in (2, 3):
        raise InputError(f"concepts is {concepts}; all labellings can be listed for 2 and 3 concepts only")
    neighbours = [2**concept - 1 for concept in range(concepts)]  # places among the tokens after the first
    orders = [
        (0, *rest)
        for rest in permutations(range(1, 2**concepts))
        if all(rest[a] < rest[b] for a, b in pairwise(neighbours))
    ]
    return np.array(orders)


def labelling_count(concepts: int) -> int:
    """How many classes of orders of the tokens there are: (2^m)!/(2^m m!)."""
    tokens: int = 2**concepts
    return math.factorial(tokens) // (tokens * math.factorial(concepts))
