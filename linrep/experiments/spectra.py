"""The measure of linearity as a spectrum: its identity on tables of every kind, and spectra along training."""

import math
from collections.abc import Sequence
from math import comb

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep import geometry
from linrep.experiments.width_map import along
from linrep.experiments.width_measures import known_cosines
from linrep.linearity import concept_vectors
from linrep.nulls import relabelled
from linrep.pilot import Batch
from linrep.population import Population, complete_population
from linrep.seeds import stream
from linrep.setting import Setting
from linrep.simulate import make_batches, setting_pace
from linrep.spectrum import degree_weights, linear_weights, predicted_cosine, shares, walsh, weighted_cosine
from linrep.start import Tables
from linrep.train import train

Table = Float[Tensor, "replicates tokens dim"]


def trained_batch(*, concepts: int, dim: int, seeds: range, clock: int, init_scale: float) -> tuple[Batch, Tables]:
    """Some seeds trained by descent at the step of the rules: the batch, and its tables at the clock."""
    setting = Setting(concepts=concepts, dim=dim, init_scale=init_scale)
    pace = setting_pace(setting, clock=clock)
    (batch,) = make_batches(setting, seeds)
    config = setting.training(pace.step_size, pace.steps)
    trained = train(batch.population, batch.start, config, seeds=seeds, warn=False)
    return batch, (trained.embedding, trained.unembedding)


def identity_table(*, concepts: int = 3, dims: Sequence[int] = (3, 8), seeds: range, clock: int) -> pd.DataFrame:
    """U, its length-weighted form, and what the weight of degree one predicts; one row for each kind of table.

    Tables: trained ones, from N(0, 0.1²); normal rows, and trained rows dealt out anew, each seed in its own order,
    where nothing is linear; and two placed by hand. "U ±" is the standard error over seeds, NaN for the placed ones.
    "identity off by" and "lengths" are the largest over seeds and concepts, the latter the ratio of
    the longest to the shortest steering vector of one concept.
    """
    population = complete_population([Setting(concepts=concepts).world(0)])
    kinds: dict[str, Table] = {}
    for dim in dims:
        _, tables = trained_batch(concepts=concepts, dim=dim, seeds=seeds, clock=clock, init_scale=0.1)
        kinds[f"trained, k = {dim}"] = tables[1]
    last = kinds[f"trained, k = {dims[-1]}"]
    rngs = [stream(seed, "sampling", part=7) for seed in seeds]
    kinds["rows dealt out anew"] = torch.cat(
        [relabelled(table, 1, generator=rng) for table, rng in zip(last, rngs, strict=True)]
    )
    kinds["normal rows"] = torch.stack([torch.from_numpy(rng.standard_normal(last.shape[1:])) for rng in rngs])
    kinds |= placed_tables(population.tokens)
    return pd.DataFrame([{"table": name} | _identity(population, table) for name, table in kinds.items()]).set_index(
        "table"
    )


def placed_tables(tokens: Int[np.ndarray, "tokens concepts"]) -> dict[str, Table]:
    """Two tables with weight at degree two: in a dimension of its own, and along the direction of the first concept.

    The second makes concept 1 linear with steering vectors of two lengths, and bends concept 2.
    """
    functions, _ = walsh(tokens)
    sets = [tuple(np.flatnonzero(row).tolist()) for row in tokens]
    pair = functions[sets.index((0, 1))]
    straight = torch.stack([functions[sets.index((i,))] for i in range(tokens.shape[1])], dim=-1)
    own = torch.cat([straight, 0.5 * pair[:, None]], dim=-1)
    along_first = straight.clone()
    along_first[:, 0] += 0.5 * pair
    return {"degree 2, own dimension": own[None], "degree 2, along concept 1": along_first[None]}


def _identity(population: Population, table: Table) -> dict[str, float]:
    """U, weighted and predicted, means over seeds and concepts, and how far the identity is off at worst."""
    vectors = concept_vectors(table, population.token_pairs)
    plain = torch.stack([geometry.mean_cosine(each) for each in vectors], dim=-1)
    weighted = torch.stack([weighted_cosine(each) for each in vectors], dim=-1)
    predicted = predicted_cosine(linear_weights(table, population.tokens))
    lengths = [every.norm(dim=-1) for every in vectors]
    part = shares(degree_weights(table, population.tokens))
    each = plain.mean(dim=-1)
    return {
        "degree 1": float(part[:, 1].mean()),
        "U": float(each.mean()),
        "U ±": float(each.std() / len(each) ** 0.5) if len(each) > 1 else math.nan,
        "U of concept 1": float(plain[:, 0].mean()),
        "weighted U": float(weighted.mean()),
        "predicted": float(predicted.mean()),
        "identity off by": float((weighted - predicted).abs().max()),
        "U off by": float((plain - predicted).abs().max()),
        "lengths": max(float((every.amax(dim=-1) / every.amin(dim=-1)).max()) for every in lengths),
    }


def spectra_along(*, concepts: int = 3, dims: Sequence[int] = (3, 8), seeds: range, clock: int) -> pd.DataFrame:
    """Mean shares by degree along training from N(0, 0.1²); a row for each k and each of `CLOCKS` up to the clock.

    "g degree 2 ±" is the standard error over seeds.
    """
    parts = []
    for dim in dims:
        setting = Setting(concepts=concepts, dim=dim, init_scale=0.1)
        step_size = setting_pace(setting, clock=clock).step_size
        rows = along(setting, seeds, step_size=step_size, clock=clock)
        groups = rows.drop(columns=["seed", "monotone"]).groupby("clock")
        means = groups.mean().join(groups[["g degree 2"]].sem().add_suffix(" ±"))
        parts.append(means.reset_index().assign(k=dim))
    return pd.concat(parts).set_index(["k", "clock"])


def chance_shares(concepts: int) -> pd.DataFrame:
    """The share of each degree if all sets weigh alike, as they do on average for normal rows, and for a simplex.

    Columns: of g, sets of that size among all that are not empty; of f, the same for odd factors, 3^m functions.
    """
    tokens = [comb(concepts, r) / (2**concepts - 1) for r in range(1, concepts + 1)]
    odd = [comb(concepts, r) * 2 ** (concepts - r) / (3**concepts - 2**concepts) for r in range(1, concepts + 1)]
    return pd.DataFrame({"g": tokens, "f": odd}, index=pd.Index(range(1, concepts + 1), name="degree"))


def simplex_check(concepts: int) -> dict[str, float]:
    """The corners of a regular simplex and of a cube: share of degree one, and the spread of their cosines."""
    population = complete_population([Setting(concepts=concepts).world(0)])
    found = {}
    for name, table in {
        "simplex": torch.eye(2**concepts, dtype=torch.float64),
        "cube": torch.from_numpy(2.0 * population.tokens - 1),
    }.items():
        found[f"{name}, degree 1"] = float(shares(degree_weights(table, population.tokens))[1])
        found[f"{name}, spread"] = float(known_cosines(table).std())
    return found
