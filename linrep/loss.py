"""Next-token cross-entropy with softmax, and its closed-form gradient.

With logits F Gᵀ, L = −Σ_{d,c} p(d, c) ln p̂(c given d) and E = p(d) p̂(c given d) − p(d, c), the gradient in the logits:
dL/dF = E G and dL/dG = Eᵀ F.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from linrep.memory import require_memory
from linrep.population import Population
from linrep.start import Tables


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
