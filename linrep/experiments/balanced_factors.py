"""Balance gives orthogonality and matching: what the logits predict of the tables, over sizes and scales of the start.

Worlds are uniform (independent fair concepts) with k = m; seeds differ in their start alone. All runs of the record go
to one clock, `HORIZON`, at the steps of `STEPS`; both were fixed before the first of them.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from linrep import geometry
from linrep.experiments.catalogue import Size
from linrep.linearity import concept_vectors, measure
from linrep.pilot import CLOCKS, FITTED_KL, Batch
from linrep.population import Population
from linrep.results import Record, read_record, require_agreement, results_folder
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.start import Tables
from linrep.theory import balance, factors
from linrep.train import TrainConfig, train

NAME = "balance"

SCALES = (0.001, 0.01, 0.1, 0.3, 1.0)
"""S of the starts N(0, S²)."""

HORIZON = CLOCKS[3]
"""31,623: the latest clock that the book follows its runs to."""

TIMES = (CLOCKS[0], CLOCKS[2], HORIZON)
"""The clocks at which m = 3 is recorded: 1,000, 10,000 and 31,623."""

STEPS = {m: 2.0 ** (m - 3) for m in range(2, 7)}
"""The step for each number of concepts."""

SEEDS = {2: 5, 3: 8, 4: 5, 5: 5, 6: 5}
"""How many seeds are recorded for each number of concepts."""

HALVED = (2, 3, 4)
"""The numbers of concepts at which the record is computed at half the step as well."""

LIVE = (0.01, 1.0)
"""The scales that the chapter runs again, at m = 3, to clock 10,000."""

NUMBERS = ("kl", "U", "UE", "between", "worst pair", "as logits say", "matched", "asymmetry", "length a", "length b",
           "bound", "used", "imbalance", "drift")  # fmt: skip


def uniform(concepts: int, scale: float) -> Setting:
    """Independent fair concepts, k = m, from N(0, S²)."""
    return Setting(concepts=concepts, edges=0, prob=(0.5, 0.5), init_scale=scale)


def stacked(concepts: int, starts: Mapping[str | float, Tables], seeds: Sequence[int]) -> Batch:
    """One batch of uniform worlds with several starts of the same seeds, one after the other: they train together."""
    world = make_batches(uniform(concepts, 1.0), seeds)[0].population
    joint = np.tile(world.joint, (len(starts), 1))
    first, second = (torch.cat(list(tables)) for tables in zip(*starts.values(), strict=True))
    return Batch(replace(world, joint=joint), (first, second), tuple(seeds) * len(starts))


def rows(batch: Batch, tables: Tables) -> pd.DataFrame:
    """What a batch has become: one row for each replicate.

    Columns: seed; U, E, UE; between, the mean |cosine| between the mean unembedding directions, and worst pair, the
    largest; as logits say, the mean of the balanced tables with these logits; matched, the least cosine between a_i and
    b_i; asymmetry, the part of the logits that is not of the symmetric form; length a, length b, the largest relative
    error of the predicted |a_i|² and |b_i|²; bound, sin α; used, the largest change of a cosine of two g(c) against
    the balanced tables, over the 2 tan(α/2) that it may be; imbalance, |FᵀF − GᵀG| in the spectral norm, and drift, how
    far it has moved. All with unembeddings centred.
    """
    population = batch.population
    tables, start = balance.centred(tables), balance.centred(batch.start)
    logits = tables[0] @ tables[1].mT
    slopes = factors.known_slopes(factors.token_functions(logits, population.tokens), population.contexts)
    functions = factors.symmetric_functions(slopes, population.contexts)
    moved, angle = balance.imbalance_matrix(tables), factors.balance_angle(tables)
    linear = measure(population, tables).per_replicate()
    columns = {
        "as logits say": logit_between(logits, population),
        "asymmetry": factors.apart(logits, functions @ factors.signs(population.tokens).mT),
        "bound": angle.sin(),
        "used": cosine_change(tables[1], logits) / (2 * (angle / 2).tan()),
        "imbalance": balance.spectral_norm(moved),
        "drift": balance.spectral_norm(moved - balance.imbalance_matrix(start)),
    } | _lengths(population, tables, functions)
    cosines = {"U": linear["unembedding"], "E": linear["embedding"], "UE": linear["matched"]}
    cosines |= {"between": linear["between"], "worst pair": worst_pair(population, tables[1]).numpy()}
    return pd.DataFrame({"seed": list(batch.seeds)} | cosines | {name: each.numpy() for name, each in columns.items()})


def worst_pair(population: Population, unembedding: Float[Tensor, "*batch tokens dim"]) -> Float[Tensor, "*batch"]:
    """The largest |cosine| between the mean unembedding directions of two concepts."""
    cosines = geometry.gram(geometry.directions(concept_vectors(unembedding, population.token_pairs)))
    return (cosines - torch.eye(population.concepts)).abs().amax(dim=(-2, -1))


def logit_between(logits: Float[Tensor, "*batch contexts tokens"], population: Population) -> Float[Tensor, "*batch"]:
    """`between` of balanced tables, from the logits alone: the mean Δg_i is Σ_c χ_i(c) g(c)/2^(m−1)."""
    sign = factors.signs(population.tokens)
    inner = sign.mT @ factors.balanced_gram(logits) @ sign
    size = inner.diagonal(dim1=-2, dim2=-1).sqrt()
    cosines = (inner / size.unsqueeze(-1) / size.unsqueeze(-2)).abs()
    count = sign.shape[1]
    return (cosines.sum(dim=(-2, -1)) - count) / (count * (count - 1))


def cosine_change(
    unembedding: Float[Tensor, "*batch tokens dim"], logits: Float[Tensor, "*batch contexts tokens"]
) -> Float[Tensor, "*batch"]:
    """The largest difference between a cosine of two g(c) and that of the balanced tables with these logits."""
    expected = factors.balanced_gram(logits)
    size = expected.diagonal(dim1=-2, dim2=-1).sqrt()
    cosines = expected / size.unsqueeze(-1) / size.unsqueeze(-2)
    return (geometry.gram(unembedding) - cosines).abs().amax(dim=(-2, -1))


def run(batch: Batch, *, step_size: float, clocks: Sequence[float]) -> pd.DataFrame:
    """Gradient descent, looked at at some clocks: the columns of `rows`, and clock, kl (nats), fitted, monotone."""
    marks = {math.ceil(clock / step_size): clock for clock in clocks}
    found: list[pd.DataFrame] = []

    def observe(step: int, tables: Tables, loss: Float[Tensor, " replicates"]) -> None:
        kl = loss.numpy() - batch.population.entropy
        found.append(rows(batch, tables).assign(clock=marks[step], kl=kl, fitted=kl <= FITTED_KL))

    config = TrainConfig(step_size, max(marks))
    trained = train(
        batch.population, batch.start, config, seeds=batch.seeds, record_at=list(marks), observe=observe, warn=False
    )
    assert trained.monotone is not None  # gradient descent always says
    return pd.concat(found, ignore_index=True).assign(monotone=np.tile(trained.monotone.numpy(), len(clocks)))


def sweep(
    concepts: int, scales: Sequence[float], *, seeds: range, clocks: Sequence[float], part: float = 1.0
) -> pd.DataFrame:
    """Uniform worlds of some size from several start scales, at `part` of the step of `STEPS`: `run`, and m, scale."""
    starts: dict[str | float, Tables] = {
        scale: make_batches(uniform(concepts, scale), seeds)[0].start for scale in scales
    }
    found = run(stacked(concepts, starts, seeds), step_size=part * STEPS[concepts], clocks=clocks)
    return found.assign(m=concepts, scale=np.tile(np.repeat(scales, len(seeds)), len(clocks)))


def record(size: Size) -> Record:
    """The record: every size, scale and seed at the horizon, m = 3 at the clocks of `TIMES`.

    "smoke" is two seeds of m = 2 and 3 to clock 1,000.
    """
    began = time.perf_counter()
    whole = size == "paper"
    found, moves = [], {}
    for concepts in SEEDS if whole else (2, 3):
        late = TIMES if concepts == 3 else (HORIZON,)
        clocks, seeds = (late, range(SEEDS[concepts])) if whole else (CLOCKS[:1], range(2))
        found.append(sweep(concepts, SCALES, seeds=seeds, clocks=clocks))
        if concepts in HALVED:
            half = sweep(concepts, SCALES, seeds=seeds, clocks=clocks, part=0.5)
            moves[str(concepts)] = step_moves(found[-1], half, on=("scale", "seed", "clock"))
    table = pd.concat(found, ignore_index=True)[["m", "scale", "seed", "clock", *NUMBERS, "fitted", "monotone"]]
    plain = [{key: _plain(value) for key, value in row.items()} for row in table.to_dict("records")]
    config = {"horizon": HORIZON, "step_sizes": {str(m): step for m, step in STEPS.items()}, "scales": list(SCALES)}
    body = {"runs": plain, "half_step_moves": moves}
    seconds = round(time.perf_counter() - began, 3)
    return Record(NAME, config, tuple(range(max(SEEDS.values()))), "runs", body, seconds)


def recorded() -> Record:
    """The record of this chapter.

    Raises:
        InputError: there is no record.
    """
    return read_record(results_folder() / f"{NAME}.json")


def live_slice(recorded: Record) -> pd.DataFrame:
    """The record's seeds at m = 3 and the scales of `LIVE`, run again to clock 10,000 and held to the record.

    Raises:
        LinrepError: a fitted row or a number of it differs.
    """
    found = sweep(3, LIVE, seeds=range(SEEDS[3]), clocks=TIMES[:2])
    counted = found[found["fitted"] & found["monotone"]]
    require_agreement(
        recorded.to_frame(), counted, on=["m", "scale", "seed", "clock"], columns=list(NUMBERS), tolerance=1e-3
    )
    return found


def step_moves(once: pd.DataFrame, half: pd.DataFrame, *, on: Sequence[str]) -> float:
    """The largest change of U, E, UE or between of a run, fitted and monotone at both steps, by halving the step."""
    both = once.merge(half, on=list(on), suffixes=("", " half"))
    both = both[both["fitted"] & both["monotone"] & both["monotone half"]]
    change = [(both[name] - both[f"{name} half"]).abs().max() for name in ("U", "E", "UE", "between")]
    return float(f"{max(change):.4g}")


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are fitted, and monotone to the end of their run."""
    return table[table["fitted"] & table["monotone"]]


def in_all(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the seeds that count wherever the table has them: so that groups of it have the same seeds."""
    every, good = (rows["seed"].value_counts() for rows in (table, counted(table)))
    return table[table["seed"].isin(good.index[good == every.reindex(good.index)])]


def by(table: pd.DataFrame, keys: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Of the rows that count: how many they are, and the largest of each column over the seeds, for each key."""
    grouped = counted(table).groupby(list(keys))
    return grouped.size().rename("seeds").to_frame().join(grouped[list(columns)].max())


def _lengths(
    population: Population, tables: Tables, functions: Float[Tensor, "*batch contexts concepts"]
) -> dict[str, Float[Tensor, "*batch"]]:
    """How far |a_i|² and |b_i|² are from what the logits predict, and the least cosine of a_i and b_i."""
    vectors = (
        factors.coordinates(tables[0], functions),
        factors.coordinates(tables[1], factors.signs(population.tokens)),
    )
    expected = factors.predicted_lengths(functions, len(population.tokens))
    errors = [
        (each.square().sum(dim=-1) / size - 1).abs().amax(dim=-1) for each, size in zip(vectors, expected, strict=True)
    ]
    cosine = (geometry.unit(vectors[0]) * geometry.unit(vectors[1])).sum(dim=-1).amin(dim=-1)
    return {"length a": errors[0], "length b": errors[1], "matched": cosine}


def _plain(value: object) -> object:
    """A number as a Python one; floats with four digits, more than any table shows."""
    plain = value.item() if isinstance(value, np.generic) else value
    return float(f"{plain:.4g}") if isinstance(plain, float) else plain
