"""E by how much a context knows: where the embeddings of incomplete worlds lag behind."""

import math

import numpy as np
import pandas as pd

from linrep import geometry
from linrep.contexts import UNKNOWN
from linrep.experiments.incomplete import CELLS, recorded_cell
from linrep.pilot import Pace, steps_to
from linrep.setting import Setting
from linrep.simulate import simulate
from linrep.steering import steering_vectors


def embedding_by_known(name: str, cell: str, *, seed: int, clock: int) -> pd.DataFrame:
    """One seed of a cell, trained now, its embedding steering vectors sorted by how many concepts their contexts know.

    Returns:
        By known, the number of known concepts: contexts, their share of p(d), and E among the contexts that know so
        many, over the concepts that have two or more of them.
    """
    step_size = recorded_cell(name, cell)["step_size"]
    setting = Setting(**{"dtype": "float32", **CELLS[name][cell]})
    pace = Pace(step_size, steps_to(clock, step_size))
    (run,) = simulate(setting, seeds=range(seed, seed + 1), pace=pace).runs
    population, table = run.batch.population, run.trained.embedding.double()
    known = (population.contexts != UNKNOWN).sum(axis=1)
    lines = []
    for count in range(1, int(known.max()) + 1):
        groups = [pairs[known[pairs[:, 0]] == count] for pairs in population.context_pairs]
        cosines = [float(geometry.mean_cosine(steering_vectors(table, each))[0]) for each in groups if len(each) > 1]
        line: dict[str, float] = {"known": count, "contexts": int((known == count).sum())}
        line |= {"share": float(population.weights[0][known == count].sum())}
        lines.append(line | {"E": float(np.mean(cosines)) if cosines else math.nan})
    return pd.DataFrame(lines).set_index("known")
