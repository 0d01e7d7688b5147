"""Figure 2 of the paper: which contexts are trained on decides the shape that the unembeddings take (m = k = 3).

All sets share worlds, starts and pace. Each is the complete set of 27 contexts with its own weights, zero for contexts
that it leaves out; so one batch trains them all, and a seed starts from the same tables in every set.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrep.claims import Word
from linrep.concepts import ConceptGraph, all_tokens
from linrep.errors import DivergenceError, InputError, LinrepError
from linrep.experiments.context_loss import padded_loss
from linrep.geometry import mean_cosine
from linrep.linearity import concept_vectors
from linrep.pilot import FITTED_KL, STEP_EFFECT, STEP_GRID, Pace, halved
from linrep.population import complete_population
from linrep.seeds import PILOT_SEEDS
from linrep.start import initial_tables
from linrep.stats import estimate
from linrep.steering import counterfactual_pairs
from linrep.theory.cones import centres, separation
from linrep.train import LossRoseError, TrainConfig, train

CONCEPTS = 3
TOKENS = all_tokens(CONCEPTS)

FIGURE_2 = {
    "C1": ("100",),
    "C1 and C2": ("110",),
    "all": tuple("".join(entries) for entries in itertools.product("01", repeat=CONCEPTS)),
}
"""The context sets of the paper's Figure 2: for each the masks, 1 where the entry of a token stays known."""

OURS = {
    "C1, C2, both": ("100", "010", "110"),
    "one known": ("100", "010", "001"),
    "two known": ("110", "101", "011"),
    "three known": ("111",),
}
"""Further sets, ours."""

CLOCK = 1000
CLUSTERED, COUPLED, CUBE, MOST = 2.0, 2 / 3, 0.9, 0.9
"""Twice the separation of a cube; halfway from the U of a regular simplex (1/3) to that of a cube; a linear U; a share
of the seeds. Fixed before the first run."""


@dataclass(frozen=True, eq=False)
class SetRuns:
    """Every context set trained on every seed.

    Attributes:
        masks: the masks of each set, by its name. seeds: the seeds of the second axis.
        pace: the step size and the steps, the same for all.
        kl: loss minus the entropy floor of the set's own contexts, nats.
    """

    masks: dict[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    pace: Pace
    unembedding: Float[Tensor, "sets seeds tokens dim"]
    kl: Float[np.ndarray, "sets seeds"]
    monotone: Bool[np.ndarray, "sets seeds"]

    def table(self, name: str) -> Float[Tensor, "seeds tokens dim"]:
        """The unembeddings of one set, all seeds."""
        return self.unembedding[list(self.masks).index(name)]


def train_sets(
    masks: dict[str, tuple[str, ...]],
    *,
    seeds: Sequence[int],
    pace: Pace,
    dim: int = CONCEPTS,
    require_monotone: bool = False,
) -> SetRuns:
    """Gradient descent on the exact loss of each context set, from the linear start of the complete set.

    Args:
        dim: k, the dimension of the space.
        require_monotone: end with LossRoseError as soon as a loss is seen to rise.
    """
    graphs = [ConceptGraph.random(CONCEPTS, seed=seed) for seed in seeds]
    complete = complete_population(graphs)
    loss, floor = padded_loss(graphs, list(masks.values()))
    start = initial_tables(len(complete.contexts), len(TOKENS), dim, seeds=seeds)
    trained = train(
        complete,
        (start[0].repeat(len(masks), 1, 1), start[1].repeat(len(masks), 1, 1)),
        TrainConfig(pace.step_size, pace.steps),
        seeds=list(seeds) * len(masks),
        loss=loss,
        require_monotone=require_monotone,
        warn=False,
    )
    shape = (len(masks), len(seeds))
    assert trained.monotone is not None  # gradient descent always says
    return SetRuns(
        masks,
        tuple(seeds),
        pace,
        trained.unembedding.reshape(*shape, len(TOKENS), dim),
        (trained.loss.numpy() - floor).reshape(shape),
        trained.monotone.numpy().reshape(shape),
    )


def common_pace(masks: dict[str, tuple[str, ...]], *, clock: float = CLOCK) -> Pace:
    """The largest step of the grid at which every pilot of every set falls monotonically, and at which halving it
    moves U of no fitted pilot by 0.005 or more: the rule of `linrep.pilot`, for all sets at once.

    Raises:
        LinrepError: no step of the grid does.
    """
    for step_size in STEP_GRID:
        pace = Pace(step_size, math.ceil(clock / step_size))
        try:
            whole = train_sets(masks, seeds=PILOT_SEEDS, pace=pace, require_monotone=True)
            half = train_sets(masks, seeds=PILOT_SEEDS, pace=halved(pace), require_monotone=True)
        except (LossRoseError, DivergenceError):
            continue
        if step_effect(whole, half) < STEP_EFFECT:
            return pace
    raise LinrepError(f"no step size from {STEP_GRID[0]:g} to {STEP_GRID[-1]:.2g} passes")


def step_effect(whole: SetRuns, half: SetRuns) -> float:
    """The largest change of U of a run, fitted and monotone at both steps, when the step is halved."""
    once, twice = rows(whole), rows(half)
    counted = once["fitted"] & once["monotone"] & twice["monotone"]
    return float((once["U"] - twice["U"])[counted].abs().max())


def rows(runs: SetRuns) -> pd.DataFrame:
    """One row for each set and seed.

    Columns: contexts (the set), seed, kl, fitted, monotone; U, averaged over the concepts that some mask of the set
    lets know; by C1, by C1 and C2: the separation of the clusters of tokens that share these values; centres: the
    cosine between Δ_i of the cluster centres at the two values of the other concept, averaged over i = 1, 2.
    """
    parts = []
    for place, (name, masks) in enumerate(runs.masks.items()):
        training = {"kl": runs.kl[place], "fitted": runs.kl[place] <= FITTED_KL, "monotone": runs.monotone[place]}
        shape = _shape(runs.unembedding[place], known_concepts(masks))
        parts.append(pd.DataFrame({"contexts": name, "seed": runs.seeds} | training | shape))
    return pd.concat(parts, ignore_index=True)


def untrained_rows(seeds: Sequence[int]) -> pd.DataFrame:
    """The same measures at the common start, U averaged over all concepts: a control. No kl, fitted, monotone."""
    _, table = initial_tables(3**CONCEPTS, len(TOKENS), CONCEPTS, seeds=seeds)
    return pd.DataFrame({"contexts": "untrained", "seed": seeds} | _shape(table, range(CONCEPTS)))


def known_concepts(masks: Sequence[str]) -> list[int]:
    """The concepts that at least one of the masks lets know, from 0.

    Raises:
        InputError: none.
    """
    known = [concept for concept in range(CONCEPTS) if any(mask[concept] == "1" for mask in masks)]
    if not known:
        raise InputError(f"masks {', '.join(masks)} let no concept be known")
    return known


def mean_linearity(table: Float[Tensor, "*batch tokens dim"], concepts: Sequence[int]) -> Float[Tensor, "*batch"]:
    """U of tables of the eight tokens, averaged over some of the concepts."""
    vectors = concept_vectors(table, counterfactual_pairs(TOKENS))
    return torch.stack([mean_cosine(vectors[concept]) for concept in concepts], dim=-1).mean(dim=-1)


def centres_cosine(table: Float[Tensor, "*batch tokens dim"]) -> Float[Tensor, "*batch"]:
    """U of the four centres of the tokens that share C1 and C2: 1 for a parallelogram, 0 for a regular simplex."""
    points, labels = centres(table, TOKENS[:, :2])
    cosines = [mean_cosine(vectors) for vectors in concept_vectors(points, counterfactual_pairs(labels))]
    return torch.stack(cosines, dim=-1).mean(dim=-1)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """For each set: seeds, how many are monotone and fitted, U of the known concepts (mean ± standard error), and
    in how many seeds U is above 0.9, and the tokens form two clusters and four.
    """
    lines = []
    for name, part in table.groupby("contexts", sort=False):
        mean = estimate(part["U"].to_numpy(float))
        there = {key: str(part[key].sum()) if key in part else "-" for key in ("monotone", "fitted")}
        line = {"contexts": name, "seeds": len(part), **there, "U of known": f"{mean.mean:.3f} ± {mean.stderr:.3f}"}
        line |= {"U > 0.9": (part["U"] > CUBE).sum(), "2 clusters": _two(part).sum(), "4 clusters": _four(part).sum()}
        lines.append(line)
    return pd.DataFrame(lines).set_index("contexts")


def figure_2_verdict(table: pd.DataFrame) -> Word:
    """The verdict on Figure 2, by the constants of this module.

    "reproduced" if the tokens form two clusters (C1), four clusters (C1 and C2) in nine seeds of ten, neither with all
    contexts, and U of the known concepts lies by two standard errors below 2/3 (C1 and C2) and above 0.9 (all);
    "undecided" if only an interval is too wide; else "different".
    """
    first, both, every = (table[table["contexts"] == name] for name in FIGURE_2)
    coupled, cube = (estimate(part["U"].to_numpy(float)) for part in (both, every))
    shares = [_two(first).mean(), _four(both).mean(), 1 - (_two(every) | _four(every)).mean()]
    if min(shares) < MOST or coupled.mean >= COUPLED or cube.mean <= CUBE:
        return "different"
    clear = coupled.mean + 2 * coupled.stderr < COUPLED and cube.mean - 2 * cube.stderr > CUBE
    return "reproduced" if clear else "undecided"


def typical_seed(table: pd.DataFrame, name: str) -> int:
    """The seed whose centres' cosine in a set is nearest to the median of all seeds: the one to draw."""
    part = table[table["contexts"] == name].set_index("seed")["centres"]
    return int(part.index[int((part - part.median()).abs().argmin())])


def _shape(table: Float[Tensor, "seeds tokens dim"], known: Sequence[int]) -> dict[str, Float[np.ndarray, " seeds"]]:
    """The measures of a set's tables."""
    found = {"U": mean_linearity(table, known), "by C1": separation(table, TOKENS[:, :1])}
    found |= {"by C1 and C2": separation(table, TOKENS[:, :2]), "centres": centres_cosine(table)}
    return {name: value.numpy() for name, value in found.items()}


def _two(table: pd.DataFrame) -> "pd.Series[bool]":
    """Seeds whose tokens form two clusters, those of C1, and not four."""
    return (table["by C1"] > CLUSTERED) & (table["by C1 and C2"] <= CLUSTERED)


def _four(table: pd.DataFrame) -> "pd.Series[bool]":
    """Seeds whose tokens form four clusters, those of C1 and C2, and not two."""
    return (table["by C1 and C2"] > CLUSTERED) & (table["by C1"] <= CLUSTERED)
