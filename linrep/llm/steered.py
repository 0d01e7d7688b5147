"""Steering with arrays: which direction costs least, what a step along it does to a forecast, how far to go.

A state h gives the forecast p = softmax(h Wᵀ). After h + α d it is p exp(α u) up to a constant, with u = W d: what
steering does to a forecast is decided by its log-probabilities and u. Nothing here knows a model.
"""

from collections.abc import Sequence

import networkx
import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import brentq
from torch import Tensor

from linrep.errors import InputError, LinrepError
from linrep.steering import steering_vectors

FAR = 60
"""How often a step is doubled in the search for one that costs enough."""


def linked_halves(
    pairs: Int[np.ndarray, "pairs 2"], *, generator: np.random.Generator
) -> tuple[Int[np.ndarray, " training"], Int[np.ndarray, " held"]]:
    """Places of the pairs in two halves, such that no token is in both.

    Pairs that share a token, also by way of other pairs, stay together; groups are dealt out at random, the largest
    first, each to the half that is smaller.

    Raises:
        InputError: all pairs are linked.
    """
    graph = networkx.Graph(pairs.tolist())
    groups = [sorted(group) for group in networkx.connected_components(graph)]
    if len(groups) < 2:
        raise InputError(f"all {len(pairs)} pairs are linked by tokens they share; halves need 2 groups or more")
    of_token = {token: number for number, group in enumerate(groups) for token in group}
    labels = np.array([of_token[token] for token in pairs[:, 0].tolist()])
    sizes, chance = np.bincount(labels), generator.permutation(len(groups))
    halves: tuple[list[int], list[int]] = ([], [])
    for group in sorted(range(len(groups)), key=lambda number: (-sizes[number], chance[number])):
        smaller = min(halves, key=len) if len(halves[0]) != len(halves[1]) else halves[int(generator.integers(2))]
        smaller.extend(np.flatnonzero(labels == group).tolist())
    first, second = (np.array(sorted(half), dtype=np.int64) for half in halves)
    return first, second


def halves(labels: Sequence[int], *, generator: np.random.Generator) -> tuple[set[int], set[int]]:
    """The different labels in two halves at random; the second has one more when their number is odd.

    Raises:
        InputError: fewer than two labels.
    """
    names = sorted(set(labels))
    if len(names) < 2:
        raise InputError(f"{len(names)} template(s) given; halves need 2 or more")
    order = generator.permutation(names).tolist()
    middle = len(order) // 2
    return set(order[:middle]), set(order[middle:])


def mean_difference(
    unembedding: Float[Tensor, "vocabulary dim"], pairs: Int[np.ndarray, "pairs 2"]
) -> Float[Tensor, " dim"]:
    """The mean Δg of some word pairs, value 1 first."""
    return steering_vectors(unembedding, pairs).mean(dim=0)


def least_spread(covariance: Float[Tensor, "dim dim"], toward: Float[Tensor, " dim"]) -> Float[Tensor, " dim"]:
    """The direction d with the least dᵀ C d among those with d·toward = 1: C⁻¹ toward, scaled (ours).

    Raises:
        InputError: a covariance that is singular to rounding, or `toward` is zero.
    """
    if not toward.any():
        raise InputError("the mean difference is zero; it asks for no direction")
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        raise InputError(f"the covariance in {len(toward)} dimensions is singular; no direction has the least spread")
    solved: Tensor = torch.cholesky_solve(toward[:, None], factor)[:, 0]
    return solved / (solved @ toward)


def forecast_covariance(
    log_p: Float[Tensor, "contexts vocabulary"], unembedding: Float[Tensor, "vocabulary dim"], *, rows: int = 2048
) -> Float[Tensor, "dim dim"]:
    """Covariance of g under the forecast, averaged over contexts: the Fisher information of h, in float64.

    Args:
        log_p: log-probabilities of each context. rows: rows of W at a time.
    """
    p = log_p.double().exp()
    means = p @ unembedding  # (contexts, dim)
    centre, share = means.mean(dim=0), p.mean(dim=0)
    square = torch.zeros(unembedding.shape[1], unembedding.shape[1], dtype=torch.float64)
    for start in range(0, len(unembedding), rows):
        part = unembedding[start : start + rows] - centre  # near the mean: the products lose no digits
        square.addmm_(part.mT, share[start : start + rows, None] * part)
    apart = means - centre
    return square - apart.mT @ apart / len(means)


def log_forecast(
    states: Float[Tensor, "contexts dim"], unembedding: Float[Tensor, "vocabulary dim"]
) -> Float[Tensor, "contexts vocabulary"]:
    """Log-probabilities of the next token for a head without bias, cap or scale."""
    return (states @ unembedding.mT).log_softmax(dim=1)


def logit_shift(
    unembedding: Float[Tensor, "vocabulary dim"], direction: Float[Tensor, " dim"]
) -> Float[Tensor, " vocabulary"]:
    """u = W d, less its mean, on which no probability depends."""
    moved = unembedding @ direction
    return moved - moved.mean()


def cost(
    log_p: Float[Tensor, "contexts vocabulary"], moved: Float[Tensor, " vocabulary"], *, alpha: float
) -> tuple[float, float]:
    """Mean KL(steered ‖ plain) over the contexts, in nats, and the share whose likeliest token is another one."""
    steered = log_p + alpha * moved
    p = steered.softmax(dim=1)
    kl = alpha * (p @ moved) - steered.logsumexp(dim=1)
    changed = steered.argmax(dim=1) != log_p.argmax(dim=1)
    return max(0.0, float(kl.double().mean())), float(changed.double().mean())


def alpha_at(log_p: Float[Tensor, "contexts vocabulary"], moved: Float[Tensor, " vocabulary"], *, kl: float) -> float:
    """The α above 0 at which the mean KL(steered ‖ plain) is `kl` nats; it rises with α, so there is one.

    Raises:
        LinrepError: no step costs as much.
    """
    unit = moved / moved.abs().max()

    def miss(alpha: float) -> float:
        return float(np.sqrt(cost(log_p, unit, alpha=alpha)[0]) - np.sqrt(kl))  # the root is nearly linear in α

    high = 1.0
    for _ in range(FAR):
        if miss(high) > 0:
            break
        high *= 2
    else:
        raise LinrepError(f"no step along the direction costs {kl} nats")
    return float(brentq(miss, 0.0, high, rtol=1e-5)) / float(moved.abs().max())


def changes(
    unembedding: Float[Tensor, "vocabulary dim"], pairs: Int[np.ndarray, "pairs 2"], direction: Float[Tensor, " dim"]
) -> Float[np.ndarray, " pairs"]:
    """By how much one step along the direction changes the log-odds of each pair, value 1 first, in nats."""
    found: Float[np.ndarray, " pairs"] = (steering_vectors(unembedding, pairs) @ direction).numpy()
    return found
