"""What a model still lacks, in parts: leak on forbidden tokens, wrong single concepts, wrong interactions.

In a context d with agreeing tokens A(d), q = p̂ restricted to A(d). Then KL(p ‖ p̂) = −ln p̂(A(d)) + KL(p ‖ q). With p*
the distribution on A(d) that has p's single-concept probabilities and q's interactions (the terms of degree two and
more of ln q), KL(p ‖ q) = KL(p ‖ p*) + KL(p* ‖ q) (Amari 2001, the mixed coordinates of the hierarchy). A model without
interactions has the total correlation of p in the middle term, whatever else it does.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.contexts import UNKNOWN
from linrep.errors import InputError, LinrepError
from linrep.population import Population
from linrep.spectrum import walsh
from linrep.start import Tables

SAME, ROUNDS = 1e-12, 2000
"""Single-concept probabilities count as equal within this; the most rounds that making them equal may take."""

Table = Float[Tensor, "replicates contexts tokens"]


@dataclass(frozen=True, eq=False)
class Parts:
    """KL divergence of each context in three parts that add up to it, nats; not weighted by p(d)."""

    leak: Float[Tensor, "replicates contexts"]
    singles: Float[Tensor, "replicates contexts"]
    interactions: Float[Tensor, "replicates contexts"]


@dataclass(frozen=True, eq=False)
class LogitGap:
    """Squared Walsh coefficients over A(d) of the log probabilities, mean over p(d): of the world and of the error.

    Attributes:
        size: of ln p, degree two and more. first: of ln q − ln p, degree one. higher: the same, degree two and more.
    """

    size: Float[Tensor, " replicates"]
    first: Float[Tensor, " replicates"]
    higher: Float[Tensor, " replicates"]


def split(population: Population, tables: Tables) -> Parts:
    """The three parts of the KL divergence of each context.

    Raises:
        LinrepError: the distribution with p's single concepts and q's interactions is not found.
    """
    agrees = torch.from_numpy(population.consistent)
    logs, leak = _restricted(tables, agrees)
    target, own = torch.from_numpy(population.target), logs.exp() * agrees
    mixed = with_singles(own, target, population.tokens)
    return Parts(leak, _divergence(mixed, own), _divergence(target, mixed))


def with_singles(own: Table, target: Table, tokens: Int[np.ndarray, "tokens concepts"]) -> Table:
    """Distributions with the single-concept probabilities of `target` and the interactions of `own`.

    Each round multiplies by a factor of one concept at a time, which leaves all terms of degree two and more of the
    logarithm as they are (iterative proportional fitting).

    Raises:
        LinrepError: no convergence.
    """
    ones = torch.from_numpy(tokens.astype(np.float64))
    wanted, found = target @ ones, own
    for _ in range(ROUNDS):
        for concept in range(tokens.shape[1]):
            now = found @ ones[:, concept]
            up = torch.where(now > 0, wanted[..., concept] / now, 1.0)
            down = torch.where(now < 1, (1 - wanted[..., concept]) / (1 - now), 1.0)
            found = found * torch.where(ones[:, concept] > 0, up[..., None], down[..., None])
            found = found / found.sum(dim=-1, keepdim=True)
        if float((found @ ones - wanted).abs().max()) < SAME:
            return found
    raise LinrepError(f"single-concept probabilities do not agree within {SAME:g} after {ROUNDS} rounds")


def agreeing_weights(values: Table, population: Population) -> Float[Tensor, "replicates contexts degrees"]:
    """The same for a function on the agreeing tokens of each context: sets S of unknown concepts, means over A(d).

    Raises:
        InputError: tokens that are not all 2^m.
    """
    functions, degree = walsh(population.tokens)
    agrees = torch.from_numpy(population.consistent)
    inside = torch.where(agrees, values, 0.0) @ functions.mT / agrees.sum(dim=-1)[:, None]
    known = population.contexts != UNKNOWN
    free = torch.from_numpy(~((population.tokens[None] == 1) & known[:, None, :]).any(axis=-1))
    squares = torch.where(free, inside, 0.0).square()
    return torch.stack([squares[..., degree == r].sum(dim=-1) for r in range(population.concepts + 1)], dim=-1)


def logit_gap(population: Population, tables: Tables) -> LogitGap:
    """How far ln p̂ is from ln p within the agreeing tokens, by degree: what log-odds and odds ratios lack."""
    agrees = torch.from_numpy(population.consistent)
    logs, _ = _restricted(tables, agrees)
    truth = torch.from_numpy(np.log(population.joint))[:, None, :].expand_as(logs)
    weights = torch.from_numpy(population.weights)
    size, error = (
        (weights[..., None] * agreeing_weights(values, population)).sum(dim=-2) for values in (truth, logs - truth)
    )
    return LogitGap(size[:, 2:].sum(dim=-1), error[:, 1], error[:, 2:].sum(dim=-1))


def by_known(values: Float[Tensor, "replicates contexts"], population: Population) -> Float[Tensor, "replicates known"]:
    """Σ p(d) of a value over the contexts that know n concepts, n = 0..m: the sum over n is the mean over p(d)."""
    weighted = torch.from_numpy(population.weights) * values
    known = (population.contexts != UNKNOWN).sum(axis=1)
    return torch.stack([weighted[:, known == n].sum(dim=-1) for n in range(population.concepts + 1)], dim=-1)


def with_interactions(population: Population, dose: float) -> Population:
    """The same worlds with the terms of degree two and more of ln p(c) times a dose: 0 makes the concepts independent.

    Raises:
        InputError: tokens that are not all 2^m, or a dose that is negative.
    """
    if not dose >= 0:
        raise InputError(f"dose is {dose}; it must be 0 or more")
    functions, degree = (np.asarray(part) for part in walsh(population.tokens))
    coefficients = np.log(population.joint) @ functions.T / len(functions)
    logs = (coefficients * np.where(degree >= 2, dose, 1.0)) @ functions
    joint = np.exp(logs - logs.max(axis=1, keepdims=True))
    return Population(
        population.contexts,
        population.tokens,
        population.masks,
        joint / joint.sum(axis=1, keepdims=True),
        population.mask_probability,
    )


def _restricted(tables: Tables, agrees: Tensor) -> tuple[Table, Float[Tensor, "replicates contexts"]]:
    """ln q on the agreeing tokens (elsewhere too, where it means nothing), and −ln p̂(A(d))."""
    logs = torch.log_softmax(tables[0].double() @ tables[1].double().mT, dim=-1)
    inside = torch.where(agrees, logs, -torch.inf).logsumexp(dim=-1)
    return logs - inside[..., None], -inside


def _divergence(first: Table, second: Table) -> Float[Tensor, "replicates contexts"]:
    """KL(first ‖ second), nats, of tables that are zero at the same places."""
    there = first > 0
    ratio = torch.where(there, first, 1.0).log() - torch.where(there, second, 1.0).log()
    found: Tensor = (first * ratio).sum(dim=-1)
    return found
