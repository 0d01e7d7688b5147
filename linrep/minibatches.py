"""Minibatches of (context, token) pairs, drawn for each replicate from its own sampling stream (paper, section 5.1).

A token is drawn from p(c), a mask from the law of the masks; the context is what the mask leaves of the token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.contexts import UNKNOWN, context_keys
from linrep.memory import require_memory
from linrep.population import Population
from linrep.seeds import stream
from linrep.start import Tables

CHUNK = 500
"""Minibatches drawn at a time; a part of how a seed's stream is read."""

Numbers = tuple[Float[np.ndarray, "steps batch"], Int[np.ndarray, "steps batch"]]


@dataclass(frozen=True)
class Sampled:
    """Training on minibatches: a seed for each replicate, pairs a minibatch, SGD or Adam, and its step size."""

    seeds: Sequence[int]
    batch: int
    step_size: float
    adam: bool
    biases: bool


class Draws:
    """The random numbers behind the minibatches: which token (uniform on [0, 1]) and which mask (its index).

    Attributes:
        cumulative: cumulative p(c) of each replicate.
        position: the index of the context that a mask (row) makes of a token (column).
    """

    def __init__(self, population: Population, *, seeds: Sequence[int], batch: int) -> None:
        self.cumulative = np.cumsum(population.joint, axis=1)
        self.position = context_positions(population)
        self._generators = [stream(seed, "sampling") for seed in seeds]
        self._masks = len(population.masks)
        self._cumulative_mask = _cumulative_unless_equal(population.mask_probability)
        self._batch = batch

    def next(self, replicate: int) -> Numbers:
        """The numbers of a replicate's next `CHUNK` minibatches."""
        rng, shape = self._generators[replicate], (CHUNK, self._batch)
        uniform = rng.random(shape)
        if self._cumulative_mask is None:
            return uniform, rng.integers(self._masks, size=shape)
        return uniform, places(self._cumulative_mask, rng.random(shape))


class Minibatches:
    """Batches as tensors, step by step."""

    def __init__(self, population: Population, *, seeds: Sequence[int], batch: int, device: str) -> None:
        self._draws = Draws(population, seeds=seeds, batch=batch)
        self._replicates, self._device = len(seeds), device
        self._ready: list[tuple[Tensor, Tensor]] = []

    def next(self) -> tuple[Int[Tensor, "replicates batch"], Int[Tensor, "replicates batch"]]:
        """Indices of the contexts and of the tokens of the next minibatch."""
        if not self._ready:
            parts = [self._pairs(replicate) for replicate in range(self._replicates)]
            contexts, tokens = (torch.from_numpy(np.stack(part, axis=1)) for part in zip(*parts, strict=True))
            self._ready = list(zip(contexts.to(self._device), tokens.to(self._device), strict=True))[::-1]
        return self._ready.pop()

    def _pairs(self, replicate: int) -> tuple[Int[np.ndarray, "chunk batch"], Int[np.ndarray, "chunk batch"]]:
        uniform, mask = self._draws.next(replicate)
        token = places(self._draws.cumulative[replicate], uniform)
        return self._draws.position[mask, token].astype(np.int64), token


def places(cumulative: Float[np.ndarray, " n"], uniform: Float[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
    """The places that uniform numbers from 0 to 1 fall in; the last for those above a sum rounded below 1."""
    return np.minimum(np.searchsorted(cumulative, uniform, side="right"), len(cumulative) - 1)


def context_positions(population: Population) -> Int[np.ndarray, "masks tokens"]:
    """The index of the context that each mask makes of each token."""
    masks, tokens = population.masks, population.tokens
    require_memory(4 * len(masks) * len(tokens), f"the contexts of {len(masks)} masks and {len(tokens)} tokens")
    keys = context_keys(population.contexts)
    rows = [np.searchsorted(keys, context_keys(np.where(mask == 1, tokens, np.int8(UNKNOWN)))) for mask in masks]
    return np.stack(rows).astype(np.int32)


def minibatch_gradient(
    tables: Tables, contexts: Int[Tensor, "replicates batch"], tokens: Int[Tensor, "replicates batch"]
) -> tuple[Float[Tensor, " replicates"], Float[Tensor, "replicates batch dim"], Float[Tensor, "replicates tokens dim"]]:
    """The mean loss of a minibatch, and its gradient in the batch's rows of F and in G."""
    embedding, unembedding = tables
    rows = embedding.gather(1, contexts.unsqueeze(-1).expand(-1, -1, embedding.shape[-1]))
    log_p = torch.log_softmax(rows @ unembedding.mT, dim=-1)  # (replicates, batch, tokens)
    chosen = tokens.unsqueeze(-1)
    value = -log_p.gather(-1, chosen).mean(dim=(-2, -1))
    error = log_p.exp_().scatter_add_(-1, chosen, log_p.new_full((1, 1, 1), -1.0).expand_as(chosen))
    error /= contexts.shape[1]
    return value, error @ unembedding, error.mT @ rows


def _cumulative_unless_equal(p: Float[np.ndarray, " masks"] | None) -> Float[np.ndarray, " masks"] | None:
    """Cumulative probabilities; None for equally likely masks, given or not: they are drawn as whole numbers."""
    return None if p is None or (p == p[0]).all() else np.cumsum(p)
