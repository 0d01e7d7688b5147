"""Theorem 4 and the whole model: what cross-entropy does where the embeddings stay as they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from linrep.concepts import ConceptGraph
from linrep.contexts import code
from linrep.experiments.margin_run import Problems
from linrep.geometry import mean_cosine
from linrep.loss import Loss, PopulationLoss
from linrep.population import Population, masked_population
from linrep.setting import Setting
from linrep.simulate import Simulation, make_batches, simulate
from linrep.start import Tables
from linrep.steering import steering_vectors
from linrep.theory.contradiction import lone_contexts, split_divergence
from linrep.theory.margin import contexts_to_points, two_point_direction
from linrep.train import TrainConfig, train

SETTING = Setting(concepts=3)
CLOCK = 1000
"""The first clock of the book's rule, at which this setting fits."""

HEAVIER = 8
"""How much more weight the two contexts of a concept have by themselves than among all: one mask of 2^m."""

ARMS = (
    "2 contexts, f at its start",
    "all contexts, f at its start",
    "all contexts, f at its end",
    "all contexts, f trained too",
)


@dataclass(frozen=True, eq=False)
class FixedEmbedding:
    """A loss whose gradient in F is taken to be zero: descent trains G only."""

    loss: Loss

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The loss, zero, and its gradient in G."""
        value, (embedding, unembedding) = self.loss.value_and_gradient(tables)
        return value, (torch.zeros_like(embedding), unembedding)


def trained_model(*, seeds: range = range(20)) -> Simulation:
    """The book's model with three concepts, trained by its rules."""
    return simulate(SETTING, seeds=seeds)


def trained_problems(model: Simulation) -> Problems:
    """The hidden classification of every concept at the trained embeddings, its Δ_c where the model's training started.

    The column k of `names` holds the number of the concept.
    """
    names, points, starts = [], [], []
    for run in model.runs:
        population = run.batch.population
        for concept in range(population.concepts):
            names += [(concept, seed) for seed in run.batch.seeds]
            points.append(_points(run.trained.embedding, population, concept))
            starts.append(steering_vectors(run.batch.start[1], population.token_pairs[concept]).numpy())
    return Problems(pd.DataFrame(names, columns=["k", "seed"]), np.concatenate(points), np.concatenate(starts))


def split_table(model: Simulation) -> pd.DataFrame:
    """The KL divergence at the two contexts that know concept i only, before and after training, and its parts.

    Returns:
        One row for each moment and concept, means over seeds and both contexts: millinats, the divergence; the share
        of it that is contradiction; exponential, over contradiction; gap, the largest difference in nats between a
        divergence and the sum of its parts.
    """
    rows = []
    for moment in ("start", "end"):
        for concept in range(model.setting.concepts):
            total, pairs, against, tail = _splits(model, moment, concept)
            rows.append(
                {
                    "moment": moment,
                    "concept": concept + 1,
                    "millinats": 1000 * total.mean(),
                    "contradiction": against.mean() / total.mean(),
                    "exponential": tail.mean() / against.mean(),
                    "gap": np.abs(total - pairs - against).max(),
                }
            )
    return pd.DataFrame(rows).set_index(["moment", "concept"])


def geometry_rows(problems: Problems) -> pd.DataFrame:
    """One row for each problem: shorter and longer |x_j|, their cosine, whether both support ŵ, cos(ŵ, f1 − f0)."""
    lengths = np.linalg.norm(problems.points, axis=-1)
    inner = (problems.points[:, 0] * problems.points[:, 1]).sum(axis=-1)
    total, found = problems.points.sum(axis=1), two_point_direction(problems.points)
    return problems.names.assign(
        shorter=lengths.min(axis=1),
        longer=lengths.max(axis=1),
        cosine=inner / lengths.prod(axis=1),
        both=inner < (lengths**2).min(axis=1),
        matched=(total * found.direction).sum(axis=-1) / np.linalg.norm(total, axis=-1),
    )


def arm_rows(
    model: Simulation, *, step: float = 1.0, clocks: Sequence[int] = (3, 10, 30, 100, 300, CLOCK)
) -> pd.DataFrame:
    """Cross-entropy in the four `ARMS`, which share worlds and starts.

    Returns:
        One row for each arm, seed, concept and clock: cosine (U of the concept), margin (mean cosine of its steering
        vectors to the max-margin direction of the present embeddings), kl (nats), monotone.
    """
    frames = []
    for run in model.runs:
        population, start, seeds = run.batch.population, run.batch.start, run.batch.seeds
        graphs = [model.setting.world(seed) for seed in seeds]
        everything = range(population.concepts)
        frames += _alone(ARMS[0], population, graphs, start, seeds, step, clocks)
        ended = (run.trained.embedding, start[1])
        arms = ((ARMS[1], start, True), (ARMS[2], ended, True), (ARMS[3], start, False))
        frames += [_arm(name, population, at, seeds, fix, everything, step, clocks) for name, at, fix in arms]
    return pd.concat(frames, ignore_index=True)


def later_rows(
    model: Simulation, *, step: float = 8.0, clocks: Sequence[int] = (CLOCK, HEAVIER * CLOCK)
) -> pd.DataFrame:
    """The second arm until its two contexts have had as much weight as in the first: rows as in `arm_rows`."""
    frames = []
    for run in model.runs:
        population, start, seeds = run.batch.population, run.batch.start, run.batch.seeds
        frames.append(_arm(ARMS[1], population, start, seeds, True, range(population.concepts), step, clocks))
    return pd.concat(frames, ignore_index=True)


def wide_rows(
    *, dim: int = 27, seeds: range = range(20), step: float = 8.0, clocks: Sequence[int] = (CLOCK, 10 * CLOCK)
) -> pd.DataFrame:
    """The first two arms with room for all 27 embeddings to be independent: rows as in `arm_rows`.

    Args:
        clocks: of the second arm; the first has the first of them only.
    """
    setting, frames = Setting(concepts=SETTING.concepts, dim=dim), []
    for batch in make_batches(setting, seeds):
        population, start, seen = batch.population, batch.start, batch.seeds
        graphs, concepts = [setting.world(seed) for seed in seen], range(batch.population.concepts)
        frames += _alone(f"{ARMS[0]}, k = {dim}", population, graphs, start, seen, step, clocks[:1])
        frames.append(_arm(f"{ARMS[1]}, k = {dim}", population, start, seen, True, concepts, step, clocks))
    return pd.concat(frames, ignore_index=True)


def arm_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Each arm at each clock: means over seeds and concepts, the least cosine, and the share of monotone runs."""
    grouped = rows.groupby(["arm", "clock"], sort=False)
    return pd.DataFrame(
        {
            "mean cosine": grouped["cosine"].mean(),
            "least": grouped["cosine"].min(),
            "to ŵ": grouped["margin"].mean(),
            "KL, nats": grouped["kl"].mean(),
            "monotone": grouped["monotone"].mean(),
        }
    )


def arm_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """What the figure draws: columns arm, clock, cosine, kl; means over seeds and concepts."""
    return rows.groupby(["arm", "clock"], sort=False)[["cosine", "kl"]].mean().reset_index()


def _alone(
    name: str,
    population: Population,
    graphs: Sequence[ConceptGraph],
    start: Tables,
    seeds: tuple[int, ...],
    step: float,
    clocks: Sequence[int],
) -> list[pd.DataFrame]:
    """The rows of an arm with f fixed and the two contexts of one concept only, a run for each concept."""
    frames = []
    for concept, mask in enumerate(np.eye(population.concepts, dtype=np.int8)):
        alone = masked_population(graphs, mask[None])
        kept = start[0][:, population.rows([code(state) for state in alone.contexts])]
        frames.append(_arm(name, alone, (kept, start[1]), seeds, True, [concept], step, clocks))
    return frames


def _arm(
    name: str,
    population: Population,
    start: Tables,
    seeds: tuple[int, ...],
    fixed: bool,
    concepts: Sequence[int],
    step: float,
    clocks: Sequence[int],
) -> pd.DataFrame:
    """The rows of one arm."""
    exact = PopulationLoss.of(population, dtype=start[0].dtype, device="cpu")
    frames: list[pd.DataFrame] = []

    def observe(taken: int, tables: Tables, loss: Float[Tensor, " replicates"]) -> None:
        kl = loss.numpy() - population.entropy
        for concept in concepts:
            vectors = steering_vectors(tables[1], population.token_pairs[concept])
            found = two_point_direction(_points(tables[0], population, concept)).direction
            along = np.einsum("rcd,rd->rc", vectors.numpy(), found) / vectors.norm(dim=-1).numpy()
            row = {"arm": name, "seed": seeds, "concept": concept + 1, "clock": round(taken * step), "kl": kl}
            frames.append(pd.DataFrame(row | {"cosine": mean_cosine(vectors).numpy(), "margin": along.mean(axis=-1)}))

    trained = train(
        population,
        start,
        TrainConfig(step, round(clocks[-1] / step)),
        seeds=seeds,
        loss=FixedEmbedding(exact) if fixed else exact,
        record_at=[round(clock / step) for clock in clocks],
        observe=observe,
        warn=False,
    )
    monotone = dict(zip(seeds, trained.monotone.tolist(), strict=True)) if trained.monotone is not None else {}
    rows = pd.concat(frames, ignore_index=True)
    return rows.assign(monotone=rows["seed"].map(monotone))


def _points(
    embedding: Float[Tensor, "replicates contexts dim"], population: Population, concept: int
) -> Float[np.ndarray, "replicates 2 dim"]:
    """x_1 = f1 and x_2 = −f0 of a concept."""
    both = embedding[:, lone_contexts(population, concept)].double().numpy()
    return contexts_to_points(both[:, 0], both[:, 1])


def _splits(model: Simulation, moment: str, concept: int) -> list[Float[np.ndarray, "replicates 2"]]:
    """Divergence, pairs, contradiction and exponential of every seed, at the start or the end of training."""
    splits = []
    for run in model.runs:
        ended = (run.trained.embedding, run.trained.unembedding)
        splits.append(split_divergence(run.batch.population, run.batch.start if moment == "start" else ended, concept))
    names = ("divergence", "pairs", "contradiction", "exponential")
    return [np.concatenate([getattr(split, name) for split in splits]) for name in names]
