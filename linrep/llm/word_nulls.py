"""What a context concept's direction would have in common with words that do not carry the concept.

Three kinds of word pairs: random words, random words about as frequent as the concept's own, and rows of a Gaussian
output matrix with the covariance of the real one. Each gives a distribution of cosines with one direction.

A whole Gaussian matrix is a control for the unembedding as well. Expected, before it was measured: no more within a
concept than shuffled partners have, and a *between* that is larger under the Euclidean product than under the causal
one, since its first principal component is the model's.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import unit
from linrep.llm.matrix import Unembedding

Kind = Literal["random words", "as frequent", "Gaussian"]

WINDOW = 250
"""How far a word that is as frequent may be from the word it replaces, in places of the pool's order."""


def null_cosines(
    direction: Float[Tensor, " dim"],
    pairs: Int[np.ndarray, "pairs 2"],
    unembedding: Float[Tensor, "vocabulary dim"],
    root: Float[Tensor, "dim dim"],
    pool: Int[np.ndarray, " pool"],
    *,
    kind: Kind,
    draws: int,
    seed: int,
) -> Float[np.ndarray, " draws"]:
    """Cosines of a direction with the mean difference of as many pairs that have nothing to do with it.

    Args:
        direction: of a context concept.
        pairs: token ids of the concept's own word pairs, value 1 first.
        root: the symmetric root of the covariance of W's rows, float64.
        pool: token ids to draw from, ascending. In a byte-pair vocabulary the order of ids is that of the merges, a
            rough order by frequency; "as frequent" draws within `WINDOW` places of each word.

    Raises:
        InputError: a pool of fewer than four tokens, which makes no two pairs of different words.
    """
    if len(pool) < 4:
        raise InputError(f"a pool of {len(pool)} token(s) given; a null of word pairs needs 4 or more")
    generator = np.random.default_rng(seed)
    if kind == "Gaussian":
        means = torch.from_numpy(generator.standard_normal((draws, len(root)))) @ root  # so are means of differences
    else:
        ids = torch.from_numpy(pool[drawn_places(pairs, pool, kind, draws, generator)]).to(unembedding.device)
        table = unembedding.detach().float()
        ones, zeros = (torch.nn.functional.embedding_bag(ids[:, side], table, mode="mean") for side in (0, 1))
        means = (ones - zeros).double().cpu()
    found: Float[np.ndarray, " draws"] = (unit(means) @ unit(direction.double())).numpy()
    return found


def gaussian_unembedding(model: Unembedding, *, seed: int) -> Unembedding:
    """The model's tokenizer with an output matrix of normal rows, float32: mean and covariance are W's, no meaning.

    Raises:
        InputError: the covariance of W's rows is singular.
    """
    weights = model.unembedding.detach()
    root = torch.linalg.inv(model.transforms["causal"])
    noise = np.random.default_rng(seed).standard_normal(weights.shape, dtype=np.float32)
    rows = torch.from_numpy(noise) @ root.float() + weights.float().mean(dim=0).cpu()
    return Unembedding(f"{model.name}, Gaussian rows, seed {seed}", model.hidden_size, rows, model.tokenizer)


def drawn_places(
    pairs: Int[np.ndarray, "pairs 2"],
    pool: Int[np.ndarray, " pool"],
    kind: Kind,
    draws: int,
    generator: np.random.Generator,
) -> Int[np.ndarray, "draws 2 pairs"]:
    """Places in the pool of as many random pairs as are given, `draws` times; the two words of a pair differ.

    Args:
        pairs: token ids, value 1 first; "as frequent" draws within `WINDOW` places of each word.
    """
    shape = (draws, 2, len(pairs))
    if kind == "random words":
        first, step = (
            generator.integers(len(pool), size=shape),
            generator.integers(1, len(pool), size=(draws, len(pairs))),
        )
        first[:, 1] = (first[:, 0] + step) % len(pool)
        return first
    width = min(WINDOW, (len(pool) - 1) // 2)
    home = np.searchsorted(pool, pairs.T).clip(width, len(pool) - 1 - width)  # (2, pairs)
    found = home + generator.integers(-width, width + 1, size=shape)
    same = found[:, 0] == found[:, 1]
    found[:, 1] = np.where(same, np.where(found[:, 1] < len(pool) - 1, found[:, 1] + 1, found[:, 1] - 1), found[:, 1])
    return found
