"""What the measures of the chapter on room give where the answer is known: tables of the simulated world.

Means over the ten seeds of `room_rules`, at clock 10,000, at the step on record for the cell in `width_map`.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from linrep.experiments import width_views
from linrep.experiments.room_rules import SHUFFLES, SIMULATED, SIMULATED_CLOCK, SIMULATED_SEEDS
from linrep.experiments.width_map import STARTS
from linrep.llm import leading, squares
from linrep.pilot import steps_to
from linrep.population import Population
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.start import Tables
from linrep.train import train

ORDERS = ("components", "predictions")


def trained(m: int, k: int, start: str, *, seeds: range = SIMULATED_SEEDS) -> tuple[Population, Tables]:
    """The tables of a cell of the map, trained to the clock at its step."""
    step_size = float(width_views.cells()["step_size"][m, k, start])
    setting = Setting(concepts=m, dim=k, init_scale=STARTS[start])
    (batch,) = make_batches(setting, seeds)
    config = setting.training(step_size, steps_to(SIMULATED_CLOCK, step_size))
    found = train(batch.population, batch.start, config, seeds=seeds, warn=False)
    return batch.population, (found.embedding, found.unembedding)


def cell_rows(m: int, k: int, start: str, *, seeds: range = SIMULATED_SEEDS) -> list[dict[str, float | int | str]]:
    """A row for each seed: the share at pairs, and by order U and the excess at r = m − 1, m and the full rank."""
    population, (embedding, unembedding) = trained(m, k, start, seeds=seeds)
    rows = []
    for seed, contexts, words in zip(seeds, embedding.double(), unembedding.double(), strict=True):
        row: dict[str, float | int | str] = {"m": m, "k": k, "start": start, "seed": seed}
        row["share"] = mean_share(population, words)
        row["components share m"] = mean_share(population, words @ leading.component_order(words)[0][:, :m])
        for order in ORDERS:
            found = ranks_table(population, contexts, words, order)
            for name, rank in {"m-1": m - 1, "m": m, "full": found.index[-1]}.items():
                row |= {f"{order} {column} {name}": float(found.loc[rank, column]) for column in ("U", "excess")}
        rows.append(row)
    return rows


def mean_share(population: Population, words: Float[Tensor, "tokens dim"]) -> float:
    """The share at the pair: the mean over the squares of two concepts, then over all two concepts."""
    found = squares.token_squares(population.tokens).values()
    return float(np.mean([squares.shares(squares.effects(words, each)).mean() for each in found]))


def ranks_table(
    population: Population, contexts: Float[Tensor, "contexts dim"], words: Float[Tensor, "tokens dim"], order: str
) -> pd.DataFrame:
    """U, the mean of its null, and the excess, means over concepts, in the r leading dimensions, r = 1 to the rank."""
    matrix = leading.component_order(words)[0] if order == "components" else leading.prediction_order(words, contexts)
    ranks = range(1, matrix.shape[1] + 1)
    found = []
    for concept, pairs in enumerate(population.token_pairs):
        given = leading.corners(words, pairs, matrix)
        dealt = leading.dealt_orders(given, SHUFFLES, generator=np.random.default_rng(concept))
        found.append(leading.by_rank(given, ranks, dealt))
    within, shuffled = np.mean(found, axis=0).T
    index = pd.Index(ranks, name="r")
    return pd.DataFrame({"U": within, "shuffled": shuffled, "excess": within - shuffled}, index=index)


def curves(m: int, dims: tuple[int, ...], start: str, *, seeds: range = SIMULATED_SEEDS) -> pd.DataFrame:
    """U and the excess by r, means over seeds, for each k and order."""
    parts = []
    for k in dims:
        population, (embedding, unembedding) = trained(m, k, start, seeds=seeds)
        for order in ORDERS:
            each = [
                ranks_table(population, contexts, words, order)
                for contexts, words in zip(embedding.double(), unembedding.double(), strict=True)
            ]
            table = pd.concat(each).groupby(level="r").mean()
            parts.append(table.reset_index().assign(k=k, order=order))
    return pd.concat(parts).set_index(["k", "order", "r"])


def all_cells(
    *, concepts: tuple[int, ...] = (3, 4), seeds: range = SIMULATED_SEEDS
) -> list[dict[str, float | int | str]]:
    """The rows of every m, k = m and 2^m, and start."""
    named = [(m, k, start) for m in concepts for k in (m, 2**m) for start in SIMULATED]
    return [row for m, k, start in named for row in cell_rows(m, k, start, seeds=seeds)]
