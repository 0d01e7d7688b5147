"""The gauge: f → A⁻ᵀf, g → Ag changes no logit. What it changes in trained models, and what training makes of it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.stats import ortho_group
from torch import Tensor

from linrep.geometry import directions
from linrep.linearity import concept_vectors, measure
from linrep.loss import PopulationLoss
from linrep.pilot import Batch, Pace, find_pace
from linrep.seeds import PILOT_SEEDS, stream
from linrep.setting import Setting
from linrep.simulate import COSINES, Run, Simulation, make_batches
from linrep.start import Tables
from linrep.theory import cones
from linrep.train import TrainConfig, train

CONDITIONS = (1, 3, 10, 30)
"""Condition numbers κ of A; 1 is the control, an orthogonal A."""

UNDONE = f"{CONDITIONS[-1]}, undone"
"""In place of a condition number: the last of them, then the A that makes the concepts' directions orthogonal, made
from the unembeddings under that gauge alone."""


def random_gauges(condition: float, *, seeds: Sequence[int], dim: int) -> Float[Tensor, "replicates dim dim"]:
    """One A = QSRᵀ for each seed, Q and R uniform among the orthogonal matrices and the same for all conditions."""
    left, right = (
        torch.from_numpy(np.stack([ortho_group.rvs(dim, random_state=stream(s, "sampling", part=part)) for s in seeds]))
        for part in (2, 3)
    )
    return cones.spread_gauge(left, right, condition)


def gauge_rows(simulation: Simulation) -> pd.DataFrame:
    """Every trained model under every gauge: one row for each condition number and one for `UNDONE`, per seed.

    Columns: condition, seed; loss moves (relative); U moves, UE moves; size, |F|² + |G|², which weight decay would
    punish; the measures of `Linearity`; U above, E above: how far above `cones.gauge_bound` the nearest concept is.
    """
    (run,) = simulation.runs
    tables = (run.trained.embedding, run.trained.unembedding)
    dim = simulation.setting.width
    gauges = {str(k): random_gauges(k, seeds=simulation.seeds, dim=dim) for k in CONDITIONS}
    last = gauges[str(CONDITIONS[-1])]
    moved = cones.gauge(tables, last)[1]
    undo = cones.orthogonalising_gauge(directions(concept_vectors(moved, run.batch.population.token_pairs)))
    gauges[UNDONE] = undo @ last
    return pd.concat([_rows(run, each).assign(condition=name) for name, each in gauges.items()], ignore_index=True)


def gauge_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds for each gauge, and the largest of what the loss, U and UE of a seed move by."""
    grouped = rows.groupby("condition", sort=False)
    means = grouped[[*COSINES, "between", "size"]].mean().rename(columns=COSINES)
    worst = grouped[["U above", "E above"]].min().min(axis=1)
    moves = grouped[["loss moves", "U moves", "UE moves"]].max()
    return means.join(moves).assign(**{"above the bound": worst})


def gauged_start(setting: Setting, condition: float, *, seeds: Sequence[int]) -> Batch:
    """Worlds and starts of a complete setting, the starts under random gauges: the logits at the start are the same."""
    (batch,) = make_batches(setting, seeds)
    start = cones.gauge(batch.start, random_gauges(condition, seeds=seeds, dim=setting.width))
    return Batch(batch.population, start, batch.seeds)


def gauged_pace(setting: Setting, condition: float, *, clock: float) -> Pace:
    """The step for training from gauged starts, by the rules of `linrep.pilot` on the pilot seeds."""
    return find_pace([gauged_start(setting, condition, seeds=PILOT_SEEDS)], "gd", clock=clock)


def trained_from(batch: Batch, pace: Pace) -> pd.DataFrame:
    """Gradient descent from a batch's start: one row per seed with seed, kl, fitted, monotone and the measures."""
    trained = train(
        batch.population, batch.start, TrainConfig(pace.step_size, pace.steps), seeds=batch.seeds, warn=False
    )
    linearity = measure(batch.population, (trained.embedding, trained.unembedding))
    run = Run(batch, trained, linearity)
    return Simulation(Setting(concepts=batch.population.concepts), pace, batch.seeds, (run,), 0.0).per_seed()


def _rows(run: Run, matrices: Float[Tensor, "replicates dim dim"]) -> pd.DataFrame:
    """The measures of one batch under gauges, and how far they stay from what they could be."""
    loss = PopulationLoss.of(run.batch.population, dtype=torch.float64, device="cpu")
    before: Tables = (run.trained.embedding, run.trained.unembedding)
    after = cones.gauge(before, matrices)
    once, twice = run.linearity, measure(run.batch.population, after)
    numbers = cones.condition_number(matrices).unsqueeze(-1)
    columns = {
        "loss moves": (loss.value(after) / loss.value(before) - 1).abs(),
        "U moves": (twice.unembedding - once.unembedding).mean(dim=-1).abs(),
        "UE moves": (twice.matched - once.matched).mean(dim=-1).abs(),
        "size": after[0].square().sum(dim=(-2, -1)) + after[1].square().sum(dim=(-2, -1)),
        "U above": (twice.unembedding - cones.gauge_bound(once.unembedding, numbers)).amin(dim=-1),
        "E above": (twice.embedding - cones.gauge_bound(once.embedding, numbers)).amin(dim=-1),
    }
    plain = {name: value.numpy() for name, value in columns.items()}
    return pd.DataFrame({"seed": list(run.batch.seeds)} | plain | twice.per_replicate())
