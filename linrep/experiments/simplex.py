"""Four clusters in the limit: where descent takes four tokens, each the only one possible in a context of its own.

The four centres that contexts with both concepts known leave of a world, without the tokens' finite log-odds: m = 2,
all entries known, k = 3. The loss L vanishes there; descending ln L instead follows the same path, only faster.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from linrep.concepts import ConceptGraph
from linrep.errors import InputError
from linrep.geometry import mean_cosine
from linrep.linearity import concept_vectors
from linrep.pilot import Pace
from linrep.population import masked_population
from linrep.start import Tables, initial_tables
from linrep.train import TrainConfig, train

PACE = Pace(0.01, 1700)
"""Monotone on every seed; at half the step no cosine moves by 0.02 (the chapter checks both)."""


@dataclass(frozen=True, eq=False)
class LogLoss:
    """ln L of tables in which token r is the only one possible in context r: ln Σ_d p(d) (−ln p̂(c_d given d)).

    Its gradient is that of L divided by L, so gradient flow takes the path of L, at another speed. Exact where L itself
    is below the smallest number.

    Attributes:
        log_weights: ln p(d).
    """

    log_weights: Float[Tensor, "replicates contexts"]

    def value_and_gradient(self, tables: Tables) -> tuple[Float[Tensor, " replicates"], Tables]:
        """ln L, and its gradient in F and in G.

        Raises:
            InputError: not as many contexts as tokens.
        """
        embedding, unembedding = tables
        if embedding.shape[1] != unembedding.shape[1]:
            raise InputError(f"{embedding.shape[1]} contexts for {unembedding.shape[1]} tokens; need one for each")
        logits = embedding @ unembedding.mT
        ahead = logits - logits.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)  # of the context's own token
        ahead.diagonal(dim1=-2, dim2=-1).fill_(-math.inf)
        odds = ahead.logsumexp(dim=-1)  # ln of (1 − p̂)/p̂ of the own token
        small = odds < -30  # where ln(1 + x) = x to double precision
        log_terms = torch.where(small, odds, functional.softplus(odds.clamp(min=-30)).log()) + self.log_weights
        value = log_terms.logsumexp(dim=-1)
        error = torch.exp(ahead + (self.log_weights - functional.softplus(odds) - value.unsqueeze(-1)).unsqueeze(-1))
        error.diagonal(dim1=-2, dim2=-1).copy_(-error.sum(dim=-1))
        return value, (error @ unembedding, error.mT @ embedding)


def approach(*, seeds: range, pace: Pace = PACE, looks: int = 17) -> pd.DataFrame:
    """The history of the four unembeddings under descent on ln L, from the linear start.

    Columns: step, seed, log10 loss, cosine (U of the four: 1 for a parallelogram, 0 for a regular simplex), uneven
    (longest over shortest edge of the four: 1 for a regular simplex), monotone (over the whole run).
    """
    graphs = [ConceptGraph.random(2, seed=seed) for seed in seeds]
    population = masked_population(graphs, np.array([[1, 1]]))
    start = initial_tables(4, 4, 3, seeds=seeds)
    loss = LogLoss(torch.from_numpy(population.weights).log())
    found: list[pd.DataFrame] = []

    def look(step: int, tables: Tables, value: Float[Tensor, " replicates"]) -> None:
        points = tables[1]
        vectors = concept_vectors(points, population.token_pairs)
        cosine = torch.stack([mean_cosine(each) for each in vectors], dim=-1).mean(dim=-1)
        edges = torch.cdist(points, points)[:, *np.triu_indices(4, k=1)]
        columns = {"log10 loss": value / math.log(10), "cosine": cosine, "uneven": edges.amax(-1) / edges.amin(-1)}
        found.append(pd.DataFrame({"step": step, "seed": seeds} | {name: v.numpy() for name, v in columns.items()}))

    trained = train(
        population,
        start,
        TrainConfig(pace.step_size, pace.steps),
        seeds=seeds,
        loss=loss,
        record_at=[round(pace.steps * part / looks) for part in range(looks + 1)],
        observe=look,
        warn=False,
    )
    assert trained.monotone is not None  # gradient descent always says
    return pd.concat(found, ignore_index=True).assign(monotone=np.tile(trained.monotone.numpy(), len(found)))


def approach_table(history: pd.DataFrame, steps: list[int]) -> pd.DataFrame:
    """At some steps the median log10 loss, and the mean and largest absolute cosine, and the median unevenness."""
    kept = history[history["step"].isin(steps)].assign(size=lambda rows: rows["cosine"].abs())
    return kept.groupby("step").agg(
        **{
            "median log10 loss": ("log10 loss", "median"),
            "mean |cosine|": ("size", "mean"),
            "largest |cosine|": ("size", "max"),
            "longest / shortest edge": ("uneven", "median"),
        }
    )
