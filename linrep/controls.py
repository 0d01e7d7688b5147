"""What each cosine would be if the claim were false: the same measures on tables that training did not arrange."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from linrep.linearity import measure
from linrep.pilot import Batch
from linrep.simulate import Run, Simulation
from linrep.start import Tables
from linrep.train import Trained


def untrained(simulation: Simulation) -> pd.DataFrame:
    """The measures of every seed at its own start, before the first step."""
    return _measured(simulation, lambda batch, _: batch.start)


def relabelled(simulation: Simulation, *, seed: int = 0) -> pd.DataFrame:
    """The measures after training, with the rows of F and those of G dealt out anew among contexts and tokens.

    The vectors stay as trained; only which concept vector each belongs to is random, one permutation for each seed.
    """
    rng = np.random.default_rng(seed)

    def shuffle(batch: Batch, trained: Trained) -> Tables:
        tables = (trained.embedding, trained.unembedding)
        first, second = (torch.stack([row[rng.permutation(len(row))] for row in table]) for table in tables)
        return first, second

    return _measured(simulation, shuffle)


def _measured(simulation: Simulation, tables_of: Callable[[Batch, Trained], Tables]) -> pd.DataFrame:
    """One row for each seed: the measures of the tables that a control puts in place of the trained ones."""
    return pd.concat([_rows(run, tables_of(run.batch, run.trained)) for run in simulation.runs], ignore_index=True)


def _rows(run: Run, tables: Tables) -> pd.DataFrame:
    measures = measure(run.batch.population, tables).per_replicate()
    return pd.DataFrame({"seed": list(run.batch.seeds)} | measures)
