"""Loss and cosines along a training run, against the clock (step size times steps; Adam's steps)."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from linrep.engine.choice import Engine
from linrep.linearity import measure
from linrep.loss import Loss, PopulationLoss
from linrep.pilot import CLOCKS, Batch, Pace, clock_of
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.start import Tables
from linrep.train import TrainConfig, Trained, train

Columns = Mapping[str, Float[np.ndarray, " replicates"]]
Look = Callable[[int, Tables], Columns]


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
    clocks = {mark: clock_of(Pace(config.step_size, mark), config.optimizer) for mark in marks}
    found = [
        follow(batch, config, clocks, linearity(batch), engine=setting.engine)[1]
        for batch in make_batches(setting, seeds)
    ]
    return pd.concat(found, ignore_index=True)


def at_clocks(record: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The per-seed rows at each of `CLOCKS` that the record reaches, keyed by the clock as text, such as "3,162"."""
    reached = {clock: record.loc[record["clock"] >= clock, "clock"].min() for clock in CLOCKS}
    return {f"{clock:,}": record[record["clock"] == first] for clock, first in reached.items() if first == first}


def linearity(batch: Batch) -> Look:
    """What `follow` shall look at: the measures of `Linearity`."""

    def look(_: int, tables: Tables) -> Columns:
        return measure(batch.population, tables).per_replicate()

    return look


def follow(
    batch: Batch,
    config: TrainConfig,
    marks: Mapping[int, float],
    look: Look,
    *,
    loss: Loss | None = None,
    engine: Engine = "auto",
    require_monotone: bool = False,
) -> tuple[Trained, pd.DataFrame]:
    """Train a batch, and look at it on the way.

    Args:
        marks: the clock to note for each number of steps at which to look, ascending; 0 is the start.
        look: from the number of steps and the tables to columns, each with a value for every replicate.
        loss: what is descended in place of the exact cross-entropy; kl is that of the cross-entropy all the same.
        require_monotone: end with LossRoseError when a loss is seen to rise.

    Returns:
        The trained batch; and one row for each seed and mark: seed, clock, kl (nats), the columns of `look`, and with
        gd also monotone, whether the loss of the seed never rose over the whole run.

    Raises:
        DivergenceError, LossRoseError: as `linrep.train.train` raises them.
    """
    rows: list[pd.DataFrame] = []
    start = batch.start[0]
    exact = None
    if loss is not None:
        exact = PopulationLoss.of(batch.population, dtype=start.dtype, device=str(start.device))

    def observe(step: int, tables: Tables, value: Float[Tensor, " replicates"]) -> None:
        value = exact.value(tables) if exact else value
        kl = value.double().cpu().numpy() - batch.population.entropy
        rows.append(
            pd.DataFrame({"seed": list(batch.seeds), "clock": marks[step], "kl": kl} | dict(look(step, tables)))
        )

    trained = train(
        batch.population,
        batch.start,
        config,
        seeds=batch.seeds,
        loss=loss,
        engine=engine,
        record_at=tuple(marks),
        observe=observe,
        require_monotone=require_monotone,
        warn=False,
    )
    found = pd.concat(rows, ignore_index=True)
    if trained.monotone is not None:
        found["monotone"] = np.tile(trained.monotone.cpu().numpy(), len(rows))
    return trained, found
