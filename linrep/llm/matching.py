"""Do contexts that flip a concept move the hidden state along the concept's unembedding direction?

The paper's comparison (section 5.2): the mean steering vector of the context pairs of one concept against the mean
steering vector of the word pairs of every concept. Everything here takes arrays, and does not know the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import direction, directions, unit

FLIPS = 4096
"""Sign patterns that are tried: all of them where there are so many or fewer, else as many at random."""

TIE = 1e-12
"""A pattern that gives the same value, but for rounding, counts as a tie."""


@dataclass(frozen=True, eq=False)
class Shifts:
    """Steering vectors of one concept, in clusters that may not be taken for independent of themselves.

    Attributes:
        name: the concept.
        vectors: state at value 1 minus state at value 0.
        clusters: for each vector a label; those with one label belong together, such as one template's context pairs.
    """

    name: str
    vectors: Float[Tensor, "pairs dim"]
    clusters: Int[np.ndarray, " labels"]

    def __post_init__(self) -> None:
        """Refuse numbers of vectors that do not fit."""
        if len(self.vectors) != len(self.clusters) or len(self.vectors) == 0:
            raise InputError(
                f"concept {self.name}: {len(self.vectors)} vector(s) with {len(self.clusters)} cluster(s) given; "
                "both must be the same number, 1 or more"
            )


def matching_cosines(contexts: Sequence[Shifts], words: Sequence[Shifts]) -> Float[np.ndarray, "contexts words"]:
    """Signed cosine of each context concept's direction with each word concept's (paper, Figures 4 and 8 to 11).

    Raises:
        InputError: the mean steering vector of a concept is zero.
    """
    rows, columns = (directions([each.vectors for each in side]) for side in (contexts, words))
    found: Float[np.ndarray, "contexts words"] = (rows @ columns.mT).cpu().numpy()
    return found


def bootstrap_cosines(contexts: Shifts, words: Shifts, *, draws: int, seed: int) -> Float[np.ndarray, " draws"]:
    """Cosines of the two directions when clusters of contexts, and clusters of words, are drawn with replacement.

    Raises:
        InputError: fewer than two clusters on a side, of which nothing can be drawn anew.
    """
    generator = np.random.default_rng(seed)
    sides = [unit(cluster_weights(each, draws, generator) @ each.vectors) for each in (contexts, words)]
    found: Float[np.ndarray, " draws"] = (sides[0] * sides[1]).sum(dim=1).cpu().numpy()
    return found


def sign_flip_p(contexts: Shifts, words: Shifts, *, seed: int = 0) -> float:
    """One-sided p-value of the mean projection of the context shifts on the direction of the words.

    Null: the sign of a cluster's shifts is a fair coin, so that flipping it changes nothing. The projection is not
    divided by a length, which flips would change. The given signs are one of the patterns, so p is never zero.
    """
    toward = contexts.vectors @ direction(words.vectors)
    sums = _by_cluster(contexts, toward[:, None])[:, 0].cpu().numpy()
    signs = _patterns(len(sums), seed)
    values = signs @ sums
    return float((values >= sums.sum() - TIE * np.abs(sums).sum()).mean())


def label_p(cosines: Float[np.ndarray, "contexts words"], *, draws: int, seed: int) -> tuple[float, float]:
    """Is the mean cosine on the diagonal larger than when the word concepts are dealt out anew?

    Returns:
        The mean over random permutations, and the one-sided p-value (1 + exceeding)/(1 + draws).

    Raises:
        InputError: a matrix that is not square, or has fewer than two concepts.
    """
    count = len(cosines)
    if cosines.shape != (count, count) or count < 2:
        raise InputError(f"cosines of shape {cosines.shape} given; permuting labels needs a square matrix, 2 or more")
    generator = np.random.default_rng(seed)
    orders = generator.permuted(np.tile(np.arange(count), (draws, 1)), axis=1)
    means = cosines[np.arange(count), orders].mean(axis=1)
    exceeding = int((means >= np.diagonal(cosines).mean() - TIE).sum())
    return float(means.mean()), (1 + exceeding) / (1 + draws)


def smallest_flip_p(clusters: int) -> float:
    """The smallest p-value that `sign_flip_p` can give: one pattern, the given one, of all that are tried.

    Below five clusters it is above 0.05, so that nothing can be told.
    """
    return float(1 / min(2**clusters, FLIPS))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted for their number (Holm 1979): the family-wise error is controlled, whatever the dependence."""
    order = sorted(p, key=lambda name: p[name])
    steps = [min(1.0, (len(p) - place) * p[name]) for place, name in enumerate(order)]
    return dict(zip(order, np.maximum.accumulate(steps).tolist(), strict=True))


def nearest(cosines: Float[np.ndarray, "contexts words"], *, signed: bool = True) -> Int[np.ndarray, " contexts"]:
    """The word concept with the largest cosine, or the largest absolute one, for each context concept."""
    found: Int[np.ndarray, " contexts"] = (cosines if signed else np.abs(cosines)).argmax(axis=1)
    return found


def cluster_weights(shifts: Shifts, draws: int, generator: np.random.Generator) -> Float[Tensor, "draws pairs"]:
    """How often each vector is drawn when its cluster is, with replacement.

    Raises:
        InputError: fewer than two clusters, of which nothing can be drawn anew.
    """
    names, place = np.unique(shifts.clusters, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"concept {shifts.name} has {len(names)} cluster(s); a bootstrap needs 2 or more")
    counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return torch.from_numpy(counts[:, place]).to(shifts.vectors)


def _by_cluster(shifts: Shifts, values: Float[Tensor, "pairs columns"]) -> Float[Tensor, "clusters columns"]:
    """Sums over the clusters."""
    _, place = np.unique(shifts.clusters, return_inverse=True)
    sums = values.new_zeros(int(place.max()) + 1, values.shape[1])
    return sums.index_add_(0, torch.from_numpy(place).to(values.device), values)


def _patterns(count: int, seed: int) -> Float[np.ndarray, "patterns count"]:
    """All patterns of signs, the given one first; or that one and random ones."""
    if 2**count <= FLIPS:
        bits = np.arange(2**count)[:, None] >> np.arange(count)
        return 1.0 - 2.0 * (bits & 1)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(FLIPS, count))
    signs[0] = 1
    return signs
