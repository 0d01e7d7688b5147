"""What descent conserves: one step under several losses and optimisers, and the drift of FᵀF − GᵀG at one clock."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from linrep.claims import Claim
from linrep.experiments import balance_claims as made
from linrep.experiments.balanced_arms import causal_rows, restored_rows, unbalanced_rows
from linrep.experiments.balanced_factors import live_slice, recorded
from linrep.loss import Loss, PopulationLoss
from linrep.pilot import Batch
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.start import Tables
from linrep.theory import balance
from linrep.train import Optimizer, TrainConfig, train

SEEDS = range(20)

FEW = range(10)
"""The seeds of what needs minibatches, whose drawing takes the time."""

WORLDS = Setting(concepts=3)
"""Random worlds of three concepts, k = 3, the linear start."""

HALVINGS = tuple(2.0**-power for power in range(4))
"""Steps 1, 1/2, 1/4, 1/8."""

CLOCK = 300
"""Where the drifts are compared."""

STEPS_OF: dict[Optimizer, tuple[float, int]] = {"gd": (0.1, 3000), "sgd": (0.1, 3000), "adam": (0.01, 500)}
"""Step and steps of each optimiser: clock 300 at the paper's step for gd and sgd; Adam to a comparable loss."""


@dataclass(frozen=True, eq=False)
class SquaredError:
    """Σ_d p(d) Σ_c (f(d)·g(c) − p(c given d))²/2: a loss of the logits that does see a constant added to them."""

    weights: Float[Tensor, "replicates contexts"]
    target: Float[Tensor, "replicates contexts tokens"]

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The loss, and its gradient in F and in G."""
        embedding, unembedding = tables
        apart = embedding @ unembedding.mT - self.target
        error = self.weights.unsqueeze(-1) * apart
        return (error * apart).sum(dim=(-2, -1)) / 2, (error @ unembedding, error.mT @ embedding)


@dataclass(frozen=True, eq=False)
class Watched:
    """A loss that keeps what it was asked: one entry of each list for each step, and one for the end."""

    loss: Loss
    step: float
    values: list[Float[Tensor, " replicates"]] = field(default_factory=list)
    squares: list[Float[Tensor, " replicates"]] = field(default_factory=list)
    changes: list[Float[Tensor, " replicates"]] = field(default_factory=list)

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """The loss's own answer."""
        value, gradients = self.loss.value_and_gradient(tables)
        self.values.append(value)
        self.squares.append(balance.squared_length(gradients))
        self.changes.append(balance.step_change(gradients, self.step).flatten(-2).norm(dim=-1))
        return value, gradients


def losses(batch: Batch) -> dict[str, Loss]:
    """The cross-entropy of a population, and the squared error on its logits."""
    exact = PopulationLoss.of(batch.population, dtype=torch.float64, device="cpu")
    target = torch.from_numpy(batch.population.target)
    return {"cross-entropy": exact, "squared error": SquaredError(exact.weights, target)}


def one_step(setting: Setting = WORLDS, *, seeds: range = FEW, step: float = 0.1) -> pd.DataFrame:
    """One step of each optimiser on each loss it can take, from the seeds' own starts.

    Columns: arm, seed; first order, what a step adds to D beyond its square, relative to the terms that cancel; sum
    moves, |ΣΔg| over Σ|Δg|.
    """
    (batch,) = make_batches(setting, seeds)
    arms: list[tuple[str, Optimizer, Loss | None]] = [
        (f"gd, {name}", "gd", loss) for name, loss in losses(batch).items()
    ]
    arms += [("sgd", "sgd", None), ("adam", "adam", None)]
    found = []
    for name, optimizer, loss in arms:
        end = train(
            batch.population, batch.start, TrainConfig(step, 1, optimizer), seeds=batch.seeds, loss=loss, warn=False
        )
        after = (end.embedding, end.unembedding)
        found.append(pd.DataFrame({"arm": name, "seed": list(seeds)} | step_parts(batch.start, after)))
    return pd.concat(found, ignore_index=True)


def step_parts(before: Tables, after: Tables) -> dict[str, Float[np.ndarray, " replicates"]]:
    """The columns of `one_step` for a step from one pair of tables to another."""
    moves = (before[0] - after[0], before[1] - after[1])
    change = balance.imbalance_matrix(after) - balance.imbalance_matrix(before)
    rest = (change - balance.step_change(moves, 1.0)).flatten(-2).norm(dim=-1)
    terms = torch.stack([table.mT @ move for table, move in zip(before, moves, strict=True)]).flatten(-2).norm(dim=-1)
    total, lengths = balance.token_sum(moves[1]).norm(dim=-1), moves[1].norm(dim=-1).sum(dim=-1)
    return {"first order": (rest / terms.sum(dim=0)).numpy(), "sum moves": (total / lengths).numpy()}


def drift_rows(
    setting: Setting = WORLDS,
    *,
    seeds: range = SEEDS,
    steps: Sequence[float] = HALVINGS,
    clock: float = CLOCK,
    loss: str = "cross-entropy",
) -> pd.DataFrame:
    """Gradient descent to one clock at several steps: one row for each step and seed.

    Columns: step, seed; drift, |D_T − D_0| (Frobenius); per step, the mean |ΔD| of a step; share, the least part of
    η|∇L|² by which a step lowered the loss; bound, η (L_0 − L_T)/share; start, |D_0|; monotone.
    """
    (batch,) = make_batches(setting, seeds)
    found = []
    for step in steps:
        watched = Watched(losses(batch)[loss], step)
        config = TrainConfig(step, math.ceil(clock / step))
        end = train(batch.population, batch.start, config, seeds=batch.seeds, loss=watched, warn=False)
        values, squares = torch.stack(watched.values), torch.stack(watched.squares)
        share = ((values[:-1] - values[1:]) / (step * squares[:-1])).amin(dim=0)
        fall = values[0] - values[-1]
        columns = _moved(batch.start, (end.embedding, end.unembedding)) | {
            "per step": torch.stack(watched.changes[:-1]).mean(dim=0).numpy(),
            "share": share.numpy(),
            "bound": balance.drift_bound(step, fall).numpy() / (2 * share.numpy()),
            "monotone": np.asarray(end.monotone),
        }
        found.append(pd.DataFrame({"step": step, "seed": list(seeds)} | columns))
    return pd.concat(found, ignore_index=True)


def step_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The least and the largest of both columns of `one_step` over the seeds, for each arm."""
    grouped = rows.groupby("arm", sort=False)[["first order", "sum moves"]]
    return grouped.min().add_suffix(", least").join(grouped.max().add_suffix(", largest"))


def optimiser_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds for each optimiser, and the least and largest of drift / allowed."""
    grouped = rows.groupby("arm", sort=False)
    ratio = (rows["drift"] / rows["allowed"]).groupby(rows["arm"], sort=False)
    means = grouped[["kl", "start", "drift", "allowed", "sum moves"]].mean()
    return means.assign(**{"least ratio": ratio.min(), "largest ratio": ratio.max()})


def drift_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds for each step, and the largest drift over its bound."""
    worst = (rows["drift"] / rows["bound"]).groupby(rows["step"]).max().rename("drift / bound")
    grouped = rows.groupby("step")
    means = grouped[["start", "drift", "per step"]].mean()
    return means.join(grouped["share"].min()).join(worst).sort_index(ascending=False)


def slopes(rows: pd.DataFrame, columns: Sequence[str] = ("drift", "per step")) -> pd.DataFrame:
    """Slope of ln column on ln step, one for each seed: their mean, and its 95 % interval."""
    found = {}
    for column in columns:
        wide = rows.pivot(index="step", columns="seed", values=column)
        each = np.polyfit(np.log(wide.index.to_numpy(float)), np.log(wide.to_numpy(float)), 1)[0]
        half = float(stats.sem(each) * stats.t.ppf(0.975, len(each) - 1))
        found[column] = {"slope": each.mean(), "low": each.mean() - half, "high": each.mean() + half}
    return pd.DataFrame(found).T


def optimiser_rows(setting: Setting = WORLDS, *, seeds: range = FEW) -> pd.DataFrame:
    """The optimisers of `STEPS_OF` on the same worlds and starts: one row for each optimiser and seed.

    Columns: arm, seed; kl (nats); start, |D_0|; drift; sum moves, how far Σ_c g(c) has moved over its length at the
    start; allowed, 2η(L_0 − L_T), which the drift of gradient descent with small steps stays below.
    """
    (batch,) = make_batches(setting, seeds)
    exact = losses(batch)["cross-entropy"]
    found = []
    for optimizer, (step, steps) in STEPS_OF.items():
        end = train(batch.population, batch.start, TrainConfig(step, steps, optimizer), seeds=batch.seeds, warn=False)
        tables = (end.embedding, end.unembedding)
        fall = exact.value_and_gradient(batch.start)[0] - end.loss
        before, after = (balance.token_sum(each) for each in (batch.start[1], tables[1]))
        columns = _moved(batch.start, tables) | {
            "kl": end.loss.numpy() - batch.population.entropy,
            "sum moves": ((after - before).norm(dim=-1) / before.norm(dim=-1)).numpy(),
            "allowed": balance.drift_bound(step, fall).numpy(),
        }
        found.append(pd.DataFrame({"arm": optimizer, "seed": list(seeds)} | columns))
    return pd.concat(found, ignore_index=True)


def _moved(before: Tables, after: Tables) -> dict[str, Float[np.ndarray, " replicates"]]:
    """|D| at the start, and how far it has moved, both in the Frobenius norm."""
    start, end = (balance.imbalance_matrix(tables) for tables in (before, after))
    return {"start": start.flatten(-2).norm(dim=-1).numpy(), "drift": (end - start).flatten(-2).norm(dim=-1).numpy()}


def claims(
    steps: pd.DataFrame | None = None,
    drift: pd.DataFrame | None = None,
    optimisers: pd.DataFrame | None = None,
    live: pd.DataFrame | None = None,
    arms: pd.DataFrame | None = None,
    restored: pd.DataFrame | None = None,
    unbalanced: pd.DataFrame | None = None,
) -> list[Claim]:
    """The claims of the chapter, from its tables; what is not given is computed as the chapter does.

    Args:
        steps: of `one_step`. drift: of `drift_rows`. optimisers: of `optimiser_rows`. live: of `live_slice`. arms: of
        `causal_rows`. restored: of `restored_rows`. unbalanced: of `unbalanced_rows`.
    """
    steps = one_step() if steps is None else steps
    return [
        made.conserved(steps, slopes(drift_rows() if drift is None else drift)),
        made.drift(optimiser_rows() if optimisers is None else optimisers),
        made.token_sum(steps),
        made.balanced(
            live_slice(recorded()) if live is None else live,
            unbalanced_rows(seeds=range(8)) if unbalanced is None else unbalanced,
        ),
        made.cause(causal_rows(seeds=SEEDS) if arms is None else arms),
        made.rebalance(restored_rows(seeds=SEEDS) if restored is None else restored),
    ]
