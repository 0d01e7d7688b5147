"""Loss and cosines along a training run, against the clock (step size times steps; Adam's steps)."""

import math

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from linrep.engine.choice import Engine
from linrep.linearity import measure
from linrep.pilot import CLOCKS, Batch, Pace, clock_of
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.start import Tables
from linrep.train import TrainConfig, train


def history(setting: Setting, *, seeds: range, pace: Pace, points: int = 40) -> pd.DataFrame:
    """Train the seeds and record them at the start, at `points` clocks even in the logarithm, and at every `CLOCKS`.

    Returns:
        One row for each seed and clock: seed, clock, kl (nats), and the measures of `Linearity`; with gd also
        monotone, whether the loss of the seed never rose over the whole run.
    """
    config = setting.training(pace.step_size, pace.steps)
    even = (math.ceil(mark) for mark in np.geomspace(1, pace.steps, points))
    one = clock_of(Pace(pace.step_size, 1), setting.optimizer)
    struck = (math.ceil(clock / one) for clock in CLOCKS)
    marks = sorted(mark for mark in {0, *even, *struck} if mark <= pace.steps)
    return pd.concat(
        [_record(batch, config, marks, setting.engine) for batch in make_batches(setting, seeds)], ignore_index=True
    )


def at_clocks(record: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The per-seed rows at each of `CLOCKS` that the record reaches, keyed by the clock as text, such as "3,162"."""
    reached = {clock: record.loc[record["clock"] >= clock, "clock"].min() for clock in CLOCKS}
    return {f"{clock:,}": record[record["clock"] == first] for clock, first in reached.items() if first == first}


def _record(batch: Batch, config: TrainConfig, marks: list[int], engine: Engine) -> pd.DataFrame:
    """The rows of one batch."""
    rows: list[pd.DataFrame] = []

    def observe(step: int, tables: Tables, loss: Float[Tensor, " replicates"]) -> None:
        kl = loss.double().cpu().numpy() - batch.population.entropy
        measures = measure(batch.population, tables).per_replicate()
        rows.append(
            pd.DataFrame(
                {"seed": list(batch.seeds), "clock": clock_of(Pace(config.step_size, step), config.optimizer), "kl": kl}
                | measures
            )
        )

    trained = train(
        batch.population,
        batch.start,
        config,
        seeds=batch.seeds,
        engine=engine,
        record_at=marks,
        observe=observe,
        warn=False,
    )
    found = pd.concat(rows, ignore_index=True)
    if trained.monotone is not None:
        found["monotone"] = found["seed"].map(dict(zip(batch.seeds, trained.monotone.tolist(), strict=True)))
    return found
