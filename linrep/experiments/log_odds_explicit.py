"""The explicit models of `linrep.theory.explicit`: their fit and their linearity against the sharpness T."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from linrep.geometry import mean_cosine
from linrep.loss import PopulationLoss
from linrep.population import Population, complete_population
from linrep.setting import Setting
from linrep.theory import explicit
from linrep.theory.explicit import Pair
from linrep.theory.log_odds import marginal_log_odds, true_log_odds

SHARPNESS = (2, 4, 6, 8, 10, 12, 14, 16, 18, 20)
"""T of the fits: up to a KL divergence of 3·10^−9 nats, which double precision still resolves."""

LONG = (5, 10, 20, 40, 80, 160, 320)
"""T of the directions, which approach each other far more slowly."""


def fit_table(*, seeds: Sequence[int] = range(20), concepts: int = 3) -> pd.DataFrame:
    """How well the explicit models fit dense worlds (edges 1, Bernoulli parameters 0.1 to 0.9), in nats.

    Returns:
        One row for each T. Columns penalised, completed, free: the largest KL divergence over the seeds; bound: that of
        prop-explicit; product: the least KL divergence over the seeds of the m-dimensional tables for independent
        concepts of the same marginals, the control.
    """
    population = _dense(seeds, concepts)
    lines = []
    for value in SHARPNESS:
        models = {name: divergence(population, tables) for name, tables in _models(population, value, seeds).items()}
        largest = {name: float(kl.max()) for name, kl in models.items() if name != "product"}
        bound = explicit.divergence_bound(concepts, value)
        lines.append({"T": value, **largest, "bound": bound, "product": float(models["product"].min())})
    return pd.DataFrame(lines).set_index("T")


def direction_table(*, seeds: Sequence[int] = range(20), concepts: int = 3) -> pd.DataFrame:
    """What U of the penalised logits lacks to 1 in the same dense worlds: means over the seeds.

    Returns:
        One row for each T. Columns even: F and G of prop-explicit with the scale sqrt(T/2); first order: the mean of
        (λ − λ')²/(4T) over pairs of tokens; balanced: factors with FᵀF = GᵀG; unscaled: with the scale 1.
    """
    population = _dense(seeds, concepts)
    lines = []
    for value in LONG:
        lacks = np.array([_lacks(population, joint, value) for joint in population.joint]).mean(axis=0)
        lines.append(dict(zip(("T", "even", "first order", "balanced", "unscaled"), (value, *lacks), strict=True)))
    return pd.DataFrame(lines).set_index("T")


def divergence(population: Population, tables: Sequence[Pair]) -> Float[np.ndarray, " replicates"]:
    """KL divergence, nats, of one model for each world of the population."""
    loss = PopulationLoss.of(population, dtype=torch.float64, device="cpu")
    embedding, unembedding = (torch.from_numpy(np.stack(part)) for part in zip(*tables, strict=True))
    return np.asarray(loss.value((embedding, unembedding)).numpy() - population.entropy)


def _dense(seeds: Sequence[int], concepts: int) -> Population:
    """The worlds of both tables."""
    setting = Setting(concepts=concepts, edges=1, prob=(0.1, 0.9))
    return complete_population([setting.world(seed) for seed in seeds])


def _models(population: Population, sharpness: float, seeds: Sequence[int]) -> dict[str, list[Pair]]:
    """The tables of each model for every world; logits without small factors are F, and G is the identity."""
    contexts, tokens, worlds = population.contexts, population.tokens, population.joint
    one = np.eye(len(tokens))
    return {
        "penalised": [explicit.explicit_tables(p, contexts, sharpness=sharpness) for p in worlds],
        "completed": [(explicit.completed_logits(p, contexts, sharpness=sharpness), one) for p in worlds],
        "free": [
            (explicit.free_logits(p, contexts, sharpness=sharpness, seed=seed), one)
            for seed, p in zip(seeds, worlds, strict=True)
        ],
        "product": [
            explicit.independent_tables(marginal_log_odds(p, tokens), contexts, sharpness=sharpness) for p in worlds
        ],
    }


def _lacks(population: Population, joint: Float[np.ndarray, " tokens"], sharpness: float) -> tuple[float, ...]:
    """1 − U with the scale sqrt(T/2), its first order in 1/T, 1 − U balanced, and 1 − U with the scale 1."""
    contexts = population.contexts
    even = explicit.explicit_tables(joint, contexts, sharpness=sharpness)
    balanced = explicit.balanced_tables(explicit.penalised_logits(joint, contexts, sharpness=sharpness))
    unscaled = explicit.explicit_tables(joint, contexts, sharpness=sharpness, scale=1.0)
    odds = [true_log_odds(joint, pairs) for pairs in population.token_pairs]
    first = np.mean([[(a - b) ** 2 for a, b in combinations(each, 2)] for each in odds]) / (4 * sharpness)
    return (
        1 - unembedding_cosine(population, even[1]),
        float(first),
        1 - unembedding_cosine(population, balanced[1]),
        1 - unembedding_cosine(population, unscaled[1]),
    )


def unembedding_cosine(population: Population, unembedding: Float[np.ndarray, "tokens dim"]) -> float:
    """U of one model, averaged over the concepts."""
    vectors = (unembedding[pairs[:, 0]] - unembedding[pairs[:, 1]] for pairs in population.token_pairs)
    return float(np.mean([float(mean_cosine(torch.from_numpy(each))) for each in vectors]))
