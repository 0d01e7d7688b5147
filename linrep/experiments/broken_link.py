"""Worlds in which contexts and tokens do not belong together: what training on them does to U, E, UE and between.

A broken link is another joint table p(d, c) on the same contexts and tokens. Write τ for a permutation of the tokens, σ
for one of the contexts, and A(d) for the tokens that agree with d.

    tokens relabelled       p(d, τ(c)), one τ for all contexts
    contexts relabelled     p(σ(d), c)
    each context its own    p(d, τ_d(c)), a τ_d for each context
    wrong but allowed       the same, with τ_d a permutation of A(d)
    drawn independently     p(d) p(c)
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.special import xlogy

from linrep.errors import InputError
from linrep.linearity import measure
from linrep.loss import PopulationLoss
from linrep.pilot import FITTED_KL, Batch, Pace
from linrep.population import Population
from linrep.seeds import stream
from linrep.simulate import Simulation
from linrep.start import Tables
from linrep.train import TrainConfig, Trained, train

PART = 12
"""The part of a seed's sampling stream that the permutations are drawn from."""

Pairs = Float[np.ndarray, "replicates contexts tokens"]


def broken_pairs(population: Population, *, seeds: Sequence[int]) -> dict[str, Pairs]:
    """The joint tables of the five broken links, by name; each seed has its own permutations."""
    pairs = population.pair_probability
    tables: dict[str, list[np.ndarray]] = {}
    for pair, joint, weights, seed in zip(pairs, population.joint, population.weights, seeds, strict=True):
        for name, table in _broken(pair, joint, weights, stream(seed, "sampling", part=PART)):
            tables.setdefault(name, []).append(table)
    return {name: np.stack(each) for name, each in tables.items()}


def arms(simulation: Simulation, *, pace: Pace) -> dict[str, pd.DataFrame]:
    """The worlds of a simulation as they are and with each broken link, trained from its starts: a per-seed table each.

    Columns: seed, kl (to the table that is trained on, in nats), fitted, monotone, and the measures of `Linearity`.
    """
    (run,) = simulation.runs
    population = run.batch.population
    tables = {"as it is": population.pair_probability} | broken_pairs(population, seeds=run.batch.seeds)
    return {name: _rows(run.batch, table, pace) for name, table in tables.items()}


def frequency_rows(batch: Batch, *, pace: Pace) -> pd.DataFrame:
    """Training on contexts and tokens drawn independently, with the U that word frequencies alone predict (*law*)."""
    pairs = _independent(batch.population.joint, batch.population.weights)
    return _rows(batch, pairs, pace).assign(law=frequency_law(batch.population))


def frequency_law(population: Population) -> Float[np.ndarray, " replicates"]:
    """U of unembeddings on one line that fit p(c): (S_i² − n)/(n(n − 1)), averaged over concepts.

    S_i is the sum over the n pairs of concept i of the sign of ln p(c_{i→1}) − ln p(c_{i→0}).

    Raises:
        InputError: two tokens of a pair are equally frequent, so that nothing separates them.
    """
    found = []
    for concept, pair in enumerate(population.token_pairs):
        sign = np.sign(population.joint[:, pair[:, 0]] - population.joint[:, pair[:, 1]])
        if (sign == 0).any():
            raise InputError(f"two tokens of concept {concept + 1} are equally frequent; frequencies must differ")
        total = sign.sum(axis=1)
        found.append((total**2 - len(pair)) / (len(pair) * (len(pair) - 1)))
    return np.asarray(np.mean(found, axis=0))


def equivariance_gap(simulation: Simulation, *, pace: Pace) -> float:
    """Training with tokens relabelled, rows of the start too, against relabelling what training makes: largest gap."""
    (run,) = simulation.runs
    batch, tokens = run.batch, len(run.batch.population.tokens)
    orders = np.stack([stream(seed, "sampling", part=PART).permutation(tokens) for seed in batch.seeds])
    index = torch.from_numpy(orders).unsqueeze(-1).expand(*batch.start[1].shape)
    pairs = batch.population.pair_probability
    plain = _trained(batch, batch.start, pairs, pace)
    moved_start = (batch.start[0], batch.start[1].gather(1, index))
    moved = _trained(batch, moved_start, np.take_along_axis(pairs, orders[:, None, :], axis=2), pace)
    gaps = (moved.embedding - plain.embedding, moved.unembedding - plain.unembedding.gather(1, index))
    return max(float(gap.abs().max()) for gap in gaps)


def _broken(
    pair: Float[np.ndarray, "contexts tokens"],
    joint: Float[np.ndarray, " tokens"],
    weights: Float[np.ndarray, " contexts"],
    rng: np.random.Generator,
) -> list[tuple[str, np.ndarray]]:
    """The broken tables of one world."""
    allowed = pair.copy()
    for row in allowed:
        agrees = np.flatnonzero(row)
        row[agrees] = row[rng.permutation(agrees)]
    return [
        ("tokens relabelled", pair[:, rng.permutation(pair.shape[1])]),
        ("contexts relabelled", pair[rng.permutation(len(pair))]),
        ("each context its own", rng.permuted(pair, axis=1)),
        ("wrong but allowed", allowed),
        ("drawn independently", np.outer(weights, joint)),
    ]


def _independent(
    joint: Float[np.ndarray, "replicates tokens"], weights: Float[np.ndarray, "replicates contexts"]
) -> Pairs:
    """p(d) p(c)."""
    return np.asarray(weights[:, :, None] * joint[:, None, :])


def _trained(batch: Batch, start: Tables, pairs: Pairs, pace: Pace) -> Trained:
    """Gradient descent on the cross-entropy to a joint table."""
    table = torch.from_numpy(pairs)
    loss = PopulationLoss(table.sum(dim=-1), table)
    config = TrainConfig(pace.step_size, pace.steps)
    return train(batch.population, start, config, seeds=batch.seeds, loss=loss, warn=False)


def _rows(batch: Batch, pairs: Pairs, pace: Pace) -> pd.DataFrame:
    """One per-seed table."""
    trained = _trained(batch, batch.start, pairs, pace)
    floor = xlogy(pairs.sum(axis=2), pairs.sum(axis=2)).sum(axis=1) - xlogy(pairs, pairs).sum(axis=(1, 2))
    kl = trained.loss.numpy() - floor
    flags = {"seed": list(batch.seeds), "kl": kl, "fitted": kl <= FITTED_KL, "monotone": trained.monotone}
    measures = measure(batch.population, (trained.embedding, trained.unembedding)).per_replicate()
    return pd.DataFrame(flags | measures)
