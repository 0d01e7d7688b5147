"""Losses of the logits F Gᵀ that gradient descent can descend in place of the cross-entropy.

Write z = F Gᵀ, p̂ = softmax(z), p = p(c given d), and say that c agrees with d if it contradicts no known entry of d.

    label smoothing   the cross-entropy to (1 − ε) p + ε/2^m
    probabilities     Σ_d p(d) Σ_c (p̂ − p)²
    products          Σ_d p(d) Σ_c (z − p)²
    no zeros          the cross-entropy of the softmax over the tokens that agree with d
    zeros only        the cross-entropy to the uniform distribution on the tokens that agree with d

Two of them are a cross-entropy to other targets, which is a `PopulationLoss`; the others are classes of their own. With
E the gradient in z, dL/dF = E G and dL/dG = Eᵀ F.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrep.errors import InputError
from linrep.loss import PopulationLoss
from linrep.memory import require_memory
from linrep.population import Population
from linrep.start import Tables


def smoothed_target(target: Float[np.ndarray, "*batch tokens"], epsilon: float) -> Float[np.ndarray, "*batch tokens"]:
    """(1 − ε) p + ε/2^m: label smoothing (Szegedy et al. 2016, section 7).

    Raises:
        InputError: ε that is not between 0 and 1; at 1 nothing would be left to learn.
    """
    if not 0 < epsilon < 1:
        raise InputError(f"epsilon is {epsilon}; label smoothing takes one between 0 and 1, both left out")
    return np.asarray((1 - epsilon) * target + epsilon / target.shape[-1])


def label_smoothing(
    population: Population, *, epsilon: float, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> PopulationLoss:
    """The cross-entropy to the smoothed targets.

    Raises:
        InputError: an ε that `smoothed_target` refuses. TooLargeError: it would not fit in memory.
    """
    return cross_entropy_to(population, smoothed_target(population.target, epsilon), dtype=dtype, device=device)


def zeros_only(population: Population, *, dtype: torch.dtype = torch.float64, device: str = "cpu") -> PopulationLoss:
    """The cross-entropy to 1/|A(d)| on the tokens A(d) that agree with d: of p it keeps p(d) and the zeros.

    Raises:
        TooLargeError: it would not fit in memory.
    """
    agrees = population.consistent
    uniform = np.broadcast_to(agrees / agrees.sum(axis=1, keepdims=True), population.target.shape)
    return cross_entropy_to(population, uniform, dtype=dtype, device=device)


def cross_entropy_to(
    population: Population,
    target: Float[np.ndarray, "replicates contexts tokens"],
    *,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
) -> PopulationLoss:
    """−Σ_d p(d) Σ_c q(c given d) ln p̂(c given d) for targets q of one's own.

    Raises:
        InputError: a target that is no distribution: an entry below 0, or a row that does not sum to 1.
        TooLargeError: it would not fit in memory.
    """
    weights = _tensors(population, dtype, device)[0]
    total = target.sum(axis=-1)
    if not (target.min() >= 0 and np.abs(total - 1).max() < 1e-9):
        raise InputError(
            f"targets have least entry {target.min():.3g} and sums {total.min():.6g} to {total.max():.6g}; "
            "they must be 0 or more and sum to 1"
        )
    return PopulationLoss(weights, weights.unsqueeze(-1) * torch.from_numpy(target.copy()).to(weights))


@dataclass(frozen=True, eq=False)
class ProbabilityLoss:
    """Squared error of the probabilities, Σ_d p(d) Σ_c (p̂ − p)² (Brier 1950).

    Its gradient in the logits is E = 2 p(d) p̂ (r − Σ_c p̂ r), r = p̂ − p (eq-loss-brier).

    Attributes:
        weights: p(d). target: p(c given d).
    """

    weights: Float[Tensor, "replicates contexts"]
    target: Float[Tensor, "replicates contexts tokens"]

    @classmethod
    def of(
        cls, population: Population, *, dtype: torch.dtype = torch.float64, device: str = "cpu"
    ) -> "ProbabilityLoss":
        """The loss of a population.

        Raises:
            TooLargeError: it would not fit in memory.
        """
        return cls(*_tensors(population, dtype, device))

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The loss, and its gradient in F and in G."""
        predicted = torch.softmax(tables[0] @ tables[1].mT, dim=-1)
        residual = predicted - self.target
        value = (self.weights * residual.square().sum(dim=-1)).sum(dim=-1)
        centred = residual - (predicted * residual).sum(dim=-1, keepdim=True)
        return value, _chain(2 * self.weights.unsqueeze(-1) * predicted * centred, tables)


@dataclass(frozen=True, eq=False)
class ProductLoss:
    """Squared error of the products themselves, Σ_d p(d) Σ_c (f(d)·g(c) − p(c given d))², without a softmax.

    Attributes:
        weights: p(d). target: p(c given d).
    """

    weights: Float[Tensor, "replicates contexts"]
    target: Float[Tensor, "replicates contexts tokens"]

    @classmethod
    def of(cls, population: Population, *, dtype: torch.dtype = torch.float64, device: str = "cpu") -> "ProductLoss":
        """The loss of a population.

        Raises:
            TooLargeError: it would not fit in memory.
        """
        return cls(*_tensors(population, dtype, device))

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The loss, and its gradient in F and in G."""
        residual = tables[0] @ tables[1].mT - self.target
        value = (self.weights * residual.square().sum(dim=-1)).sum(dim=-1)
        return value, _chain(2 * self.weights.unsqueeze(-1) * residual, tables)


@dataclass(frozen=True, eq=False)
class AgreeingLoss:
    """The cross-entropy of the softmax over A(d) only: a loss that never sees a zero probability.

    Attributes:
        weights: p(d). target: p(c given d). agrees: whether c is in A(d).
    """

    weights: Float[Tensor, "replicates contexts"]
    target: Float[Tensor, "replicates contexts tokens"]
    agrees: Bool[Tensor, "contexts tokens"]

    @classmethod
    def of(cls, population: Population, *, dtype: torch.dtype = torch.float64, device: str = "cpu") -> "AgreeingLoss":
        """The loss of a population.

        Raises:
            TooLargeError: it would not fit in memory.
        """
        return cls(*_tensors(population, dtype, device), torch.from_numpy(population.consistent).to(device))

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The loss in nats, and its gradient in F and in G."""
        logits = (tables[0] @ tables[1].mT).masked_fill(~self.agrees, -torch.inf)
        log_p = torch.log_softmax(logits, dim=-1)
        explained = (self.target * log_p.masked_fill(~self.agrees, 0.0)).sum(dim=-1)
        error = self.weights.unsqueeze(-1) * (log_p.exp() - self.target)
        return -(self.weights * explained).sum(dim=-1), _chain(error, tables)


def _chain(error: Float[Tensor, "replicates contexts tokens"], tables: Tables) -> Tables:
    """The gradient in F and G from that in the logits."""
    return error @ tables[1], error.mT @ tables[0]


def _tensors(
    population: Population, dtype: torch.dtype, device: str
) -> tuple[Float[Tensor, "replicates contexts"], Float[Tensor, "replicates contexts tokens"]]:
    """p(d) and p(c given d), refused where training on them would not fit in memory."""
    shape = population.replicates, len(population.contexts), len(population.tokens)
    what = f"training {shape[0]} replicate(s) on {shape[1]} contexts by {shape[2]} tokens"
    require_memory((4 * dtype.itemsize + 16) * int(np.prod(shape)), what, device=device)
    weights, target = (torch.from_numpy(part).to(device=device, dtype=dtype)
                       for part in (population.weights, population.target))  # fmt: skip
    return weights, target
