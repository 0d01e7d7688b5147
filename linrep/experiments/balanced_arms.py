"""The imbalance as a cause: the same logits at the start, balanced or not; and worlds in which the form of Z fails."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from linrep import geometry
from linrep.experiments import balanced_factors as made
from linrep.experiments.gauge import random_gauges
from linrep.linearity import measure
from linrep.pilot import FITTED_KL, Batch
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.start import Tables
from linrep.steering import steering_vectors
from linrep.theory import balance, cones, factors
from linrep.train import TrainConfig, train

CONDITION = 10.0
"""κ of the gauges that unbalance."""

STEP = 0.5
"""The step of the four arms; the check halves it. `trained` takes twice this."""

SMALL_CONDITION = 2.0
"""κ of the gauges that break the balance of tables trained from a small start, and nothing else."""

CLOCK = 1000

ARMS = ("symmetric, balanced", "symmetric, gauged", "N(0,1)", "N(0,1), balanced")

WORLDS = {
    "uniform": made.uniform(3, 0.01),
    "independent": Setting(concepts=3, edges=0, init_scale=0.01),
    "random": Setting(concepts=3, init_scale=0.01),
    "fully connected": Setting(concepts=3, edges=1, init_scale=0.01),
}
"""Probabilities between 0.3 and 0.7 but for the first; from N(0, 0.01²)."""


def symmetric_start(batch: Batch, seeds: Sequence[int]) -> Tables:
    """Balanced tables of the logits Σ_i φ_i χ_iᵀ with all s_n = 1, in a random position of the space for each seed."""
    population = batch.population
    turn = random_gauges(1.0, seeds=seeds, dim=population.concepts)
    slopes = torch.ones(len(seeds), population.concepts, dtype=torch.float64)
    functions = factors.symmetric_functions(slopes, population.contexts)
    long, short = factors.predicted_lengths(functions, len(population.tokens))
    sign = factors.signs(population.tokens)
    return functions * long.sqrt().unsqueeze(-2) @ turn, sign * short.sqrt().unsqueeze(-2) @ turn


def causal_batch(seeds: range) -> Batch:
    """The starts of `ARMS`, m = k = 3: two pairs, each pair with the same logits."""
    (plain,) = make_batches(made.uniform(3, 1.0), seeds)
    even = symmetric_start(plain, seeds)
    gauged = cones.gauge(even, random_gauges(CONDITION, seeds=seeds, dim=3))
    starts = (even, gauged, plain.start, factors.rebalanced(balance.centred(plain.start)))
    return made.stacked(3, dict(zip(ARMS, starts, strict=True)), seeds)


def causal_rows(*, seeds: range, part: float = 1.0) -> pd.DataFrame:
    """Every arm trained to `CLOCK` at `part` of `STEP`: the columns of `balanced_factors.run`, and arm."""
    found = made.run(causal_batch(seeds), step_size=part * STEP, clocks=(CLOCK,))
    return found.assign(arm=[arm for arm in ARMS for _ in seeds])


def causal_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds that count in every arm, for each arm, and how many seeds they are."""
    columns = ["kl", "U", "E", "imbalance", "bound", "between", "as logits say", "matched", "asymmetry"]
    grouped = common(rows).groupby("arm", sort=False)
    return grouped.size().rename("seeds").to_frame().join(grouped[columns].mean())


def common(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the seeds that are fitted and monotone in every arm."""
    return made.in_all(rows)


def departures(record_rows: pd.DataFrame) -> pd.DataFrame:
    """How far between is from what the logits say, in recorded rows that count and start at S = 0.1 or more.

    (Below, four recorded digits do not resolve it.)

    Returns:
        Columns m, scale, seed; departure, |between − as logits say|; allowed, the 2 tan(α/2) of thm-cost.
    """
    kept = made.counted(record_rows).query("scale >= 0.1")
    moved = (kept["between"] - kept["as logits say"]).abs()
    allowed = 2 * np.tan(np.arcsin(kept["bound"]) / 2)
    return kept[["m", "scale", "seed"]].assign(departure=moved, allowed=allowed)


def trained(setting: Setting, *, seeds: range) -> tuple[Batch, Tables, pd.DataFrame]:
    """One setting trained to `CLOCK` at twice `STEP`: its batch, its tables (centred), and its seeds with fit."""
    (batch,) = make_batches(setting, seeds)
    config = TrainConfig(2 * STEP, round(CLOCK / (2 * STEP)))
    end = train(batch.population, batch.start, config, seeds=batch.seeds, warn=False)
    kl = end.loss.numpy() - batch.population.entropy
    fit = pd.DataFrame({"seed": list(seeds), "kl": kl, "fitted": kl <= FITTED_KL, "monotone": end.monotone})
    return batch, balance.centred((end.embedding, end.unembedding)), fit


def unbalanced_rows(*, seeds: range) -> pd.DataFrame:
    """Uniform worlds trained from N(0, 0.01²), then put under gauges of κ = `SMALL_CONDITION`: the same logits.

    Columns: those of `balanced_factors.rows`, with kl, fitted and monotone.
    """
    batch, tables, fit = trained(made.uniform(3, 0.01), seeds=seeds)
    gauged = cones.gauge(tables, random_gauges(SMALL_CONDITION, seeds=seeds, dim=3))
    return made.rows(batch, gauged).merge(fit, on="seed")


def restored_rows(*, seeds: range) -> pd.DataFrame:
    """Trained models of uniform worlds, put under a gauge of κ = `CONDITION`, then rebalanced: one row each.

    The starts are N(0, 1). Columns: tables, seed, fitted, monotone; U, E, UE; between; matched; imbalance; logits move,
    the largest change of a logit relative to the largest logit.
    """
    batch, plain, fit = trained(made.uniform(3, 1.0), seeds=seeds)
    gauged = cones.gauge(plain, random_gauges(CONDITION, seeds=seeds, dim=3))
    stages = {"trained": plain, "gauged": gauged, "gauged, rebalanced": factors.rebalanced(gauged)}
    logits = plain[0] @ plain[1].mT
    found = []
    for name, tables in stages.items():
        linear = measure(batch.population, tables).per_replicate()
        moves = (tables[0] @ tables[1].mT - logits).abs().amax(dim=(-2, -1)) / logits.abs().amax(dim=(-2, -1))
        columns = {"U": "unembedding", "E": "embedding", "UE": "matched", "between": "between"}
        parts = {short: linear[long] for short, long in columns.items()}
        parts["imbalance"] = balance.spectral_norm(balance.imbalance_matrix(tables)).numpy()
        parts["matched"] = matched(batch, tables).numpy()
        found.append(fit.assign(tables=name, **parts, **{"logits move": moves.numpy()}))
    return pd.concat(found, ignore_index=True)


def matched(batch: Batch, tables: Tables) -> Float[Tensor, " replicates"]:
    """The least cosine, over the concepts, between the mean Δf_i and the mean Δg_i."""
    population = batch.population
    both = [
        geometry.directions([steering_vectors(table, pair) for pair in pairs])
        for table, pairs in zip(tables, (population.context_pairs, population.token_pairs), strict=True)
    ]
    least: Tensor = (both[0] * both[1]).sum(dim=-1).amin(dim=-1)
    return least


def world_rows(*, seeds: range) -> pd.DataFrame:
    """Where the form of Z fails: one row for each of `WORLDS` and seed, from a small start.

    Columns: world, seed, kl, fitted, monotone; not degree one, the part of the logits beyond Σ_i φ_i χ_iᵀ; φ apart, the
    largest |cosine| between two φ_i; and those of `balanced_factors.rows`.
    """
    found = []
    for name, setting in WORLDS.items():
        batch, tables, fit = trained(setting, seeds=seeds)
        population = batch.population
        logits = tables[0] @ tables[1].mT
        functions = factors.token_functions(logits, population.tokens)
        sign = factors.signs(population.tokens)
        cosines = geometry.gram(functions.mT) - torch.eye(population.concepts, dtype=torch.float64)
        extra = {
            "not degree one": factors.apart(logits, functions @ sign.mT).numpy(),
            "φ apart": cosines.abs().amax(dim=(-2, -1)).numpy(),
        }
        found.append(made.rows(batch, tables).merge(fit, on="seed").assign(world=name, **extra))
    return pd.concat(found, ignore_index=True)
