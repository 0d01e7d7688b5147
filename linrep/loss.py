"""Next-token cross-entropy with softmax, its closed-form gradient, and the minibatch version of it.

With logits F Gᵀ, L = −Σ_{d,c} p(d, c) ln p̂(c given d) and E = p(d) p̂(c given d) − p(d, c), the gradient in the logits:
dL/dF = E G and dL/dG = Eᵀ F.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.memory import require_memory
from linrep.population import UNKNOWN, Population, context_keys
from linrep.seeds import stream
from linrep.start import Tables

CHUNK = 500  # minibatches drawn at a time


@runtime_checkable
class Loss(Protocol):
    """A loss of the logits F Gᵀ, with its gradient: what gradient descent can be asked to descend."""

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The loss, and its gradient in F and in G."""
        ...


@dataclass(frozen=True, eq=False)
class PopulationLoss:
    """The exact loss over all (context, token) pairs, batched over replicates.

    Attributes:
        weights: p(d).
        pair: p(d, c).
    """

    weights: Float[Tensor, "replicates contexts"]
    pair: Float[Tensor, "replicates contexts tokens"]

    @classmethod
    def of(cls, population: Population, *, dtype: torch.dtype, device: str) -> "PopulationLoss":
        """The loss of a population, as tensors of one dtype on one device.

        Raises:
            TooLargeError: p(d, c), the logits and their gradient would not fit in memory.
        """
        replicates, contexts, tokens = population.replicates, len(population.contexts), len(population.tokens)
        size = (3 * dtype.itemsize + 16) * replicates * contexts * tokens
        what = f"training {replicates} replicate(s) on {contexts} contexts by {tokens} tokens"
        require_memory(size, what, device=device)
        weights = torch.from_numpy(population.weights).to(device=device, dtype=dtype)
        return cls(weights, torch.from_numpy(population.pair_probability).to(device=device, dtype=dtype))

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The loss in nats, and its gradient in F and in G."""
        embedding, unembedding = tables
        logits = embedding @ unembedding.mT  # (replicates, contexts, tokens)
        top = logits.amax(dim=-1, keepdim=True)
        explained = (self.pair * logits).sum(dim=(-2, -1))
        exp = logits.sub_(top).exp_()
        total = exp.sum(dim=-1, keepdim=True)
        log_partition = (top + total.log()).squeeze(-1)
        value = (self.weights * log_partition).sum(dim=-1) - explained
        error = exp.mul_(self.weights.unsqueeze(-1) / total).sub_(self.pair)
        return value, (error @ unembedding, error.mT @ embedding)

    def value(self, tables: Tables) -> Float[Tensor, " replicates"]:
        """The loss in nats."""
        return self.value_and_gradient(tables)[0]


class Minibatches:
    """Batches of (context, token), drawn for each replicate from its own sampling stream (paper, section 5.1)."""

    def __init__(self, population: Population, *, seeds: Sequence[int], batch: int, device: str) -> None:
        self._generators = [stream(seed, "sampling") for seed in seeds]
        self._cumulative = np.cumsum(population.joint, axis=1)
        self._keys = context_keys(population.contexts)
        self._masks, self._tokens = population.masks, population.tokens
        self._batch, self._device = batch, device
        self._drawn: list[tuple[Tensor, Tensor]] = []

    def next(self) -> tuple[Int[Tensor, "replicates batch"], Int[Tensor, "replicates batch"]]:
        """Indices of the contexts and of the tokens of the next minibatch."""
        if not self._drawn:
            parts = [self._draw(rng, p) for rng, p in zip(self._generators, self._cumulative, strict=True)]
            contexts, tokens = (torch.from_numpy(np.stack(part, axis=1)) for part in zip(*parts, strict=True))
            self._drawn = list(zip(contexts.to(self._device), tokens.to(self._device), strict=True))[::-1]
        return self._drawn.pop()

    def _draw(
        self, rng: np.random.Generator, cumulative: Float[np.ndarray, " tokens"]
    ) -> tuple[Int[np.ndarray, "chunk batch"], Int[np.ndarray, "chunk batch"]]:
        shape = (CHUNK, self._batch)
        token = np.minimum(np.searchsorted(cumulative, rng.random(shape), side="right"), len(cumulative) - 1)
        mask = self._masks[rng.integers(len(self._masks), size=shape)]
        context = np.where(mask == 1, self._tokens[token], np.int8(UNKNOWN))
        return np.searchsorted(self._keys, context_keys(context)), token


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
