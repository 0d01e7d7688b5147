"""Settings whose outcome was predicted before they were run, and a control for each.

Linear above k = m: four fair coins in sixteen dimensions with weight decay λ = 0.015. The optimum at unlimited width is
then exactly linear (`linrep.theory.regularised_path`), and descent on a decayed loss forgets its start by e^(−λ clock).
Control: λ = 0.003, whose optimum is not linear, on the same worlds and starts; predicted within 0.03 of that optimum.

Not linear at k = m, first: four dependent concepts from N(0, 3²). The logits of such a start are wrong by many nats. To
mend them the tables have to move by about their own length, not by many times it, so that much of the start is left in
every steering vector when the fit is good. Control: N(0, 0.1²), on the same worlds, predicted linear. This prediction
failed, and stays in the table.

Not linear at k = m, second, said after the first had failed: the same worlds, N(0, 0.1²), and of all contexts only
those that know every concept. Each of them has one right word, and nothing ties words that share a concept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from linrep.history import follow, linearity
from linrep.loss import PopulationLoss
from linrep.perturbed import Decayed
from linrep.pilot import CLOCKS, Batch, find_pace
from linrep.population import masked_population
from linrep.seeds import PILOT_SEEDS
from linrep.setting import Setting
from linrep.simulate import COSINES, make_batches
from linrep.start import initial_tables
from linrep.stats import estimate
from linrep.theory.regularised_path import solve_path

COINS = Setting(concepts=4, dim=16, edges=0.0, prob=(0.5, 0.5), init_scale=0.1)
OPTIMUM_WITHIN = 0.03


@dataclass(frozen=True)
class Prediction:
    """A setting and what was said of the mean U over its seeds.

    Attributes:
        decay: λ, 0 for none. clock: step size times steps.
        low, high: the range that was predicted. fits: whether a median KL divergence below 0.01 nats was predicted.
        whole: train on the contexts that know every concept, and on no other.
    """

    name: str
    setting: Setting
    decay: float
    clock: int
    low: float
    high: float
    fits: bool
    whole: bool = False


def predictions() -> list[Prediction]:
    """What was said."""
    crooked = solve_path(4, 0.003).linearity
    scales = {scale: Setting(concepts=4, dim=4, init_scale=scale) for scale in (3.0, 0.1)}
    near = (crooked - OPTIMUM_WITHIN, crooked + OPTIMUM_WITHIN)
    return [
        Prediction("k = 16, decay 0.015", COINS, 0.015, CLOCKS[1], 0.99, 1.0, fits=False),
        Prediction("k = 16, decay 0.003", COINS, 0.003, CLOCKS[1], *near, fits=False),
        Prediction("k = 4, start N(0, 3²)", scales[3.0], 0.0, CLOCKS[2], -1.0, 0.8, fits=True),
        Prediction("k = 4, start N(0, .1²)", scales[0.1], 0.0, CLOCKS[2], 0.95, 1.0, fits=True),
        Prediction("k = 4, all known", scales[0.1], 0.0, CLOCKS[2], -1.0, 0.5, fits=True, whole=True),
    ]


def outcome(said: Prediction, seeds: Sequence[int]) -> pd.DataFrame:
    """The seeds of a prediction at its clock, by the step that the rules find for the setting without decay."""
    pilots, batches = (_batches(said, each) for each in (PILOT_SEEDS, seeds))
    pace = find_pace(pilots, "gd", clock=said.clock)
    config = said.setting.training(pace.step_size, pace.steps)
    tables = [
        follow(batch, config, {pace.steps: said.clock}, linearity(batch), loss=_loss(batch, said))[1]
        for batch in batches
    ]
    return pd.concat(tables, ignore_index=True)


def _batches(said: Prediction, seeds: Sequence[int]) -> list[Batch]:
    """Worlds and starts; with `whole`, less the contexts that leave something open."""
    if not said.whole:
        return make_batches(said.setting, seeds)
    m = said.setting.concepts
    population = masked_population([said.setting.world(seed) for seed in seeds], np.ones((1, m), dtype=np.int8))
    sizes = (len(population.contexts), len(population.tokens))
    start = initial_tables(*sizes, said.setting.width, seeds=seeds, init_scale=said.setting.init_scale)
    return [Batch(population, start, tuple(seeds))]


def _loss(batch: Batch, said: Prediction) -> Decayed | None:
    """The decayed loss, where there is decay."""
    if not said.decay:
        return None
    return Decayed(PopulationLoss.of(batch.population, dtype=batch.start[0].dtype, device="cpu"), said.decay)


def table(*, seeds: range) -> pd.DataFrame:
    """Each prediction beside what came out: mean cosines over seeds, the standard error of U, and whether it held.

    It held if the mean U is in the range and the fit is as predicted.
    """
    lines = []
    for said in predictions():
        rows = outcome(said, seeds)
        u = estimate(rows["unembedding"].to_numpy(float))
        median = float(np.median(rows["kl"]))
        line = {"setting": said.name, "said, from": said.low, "to": said.high, "U": u.mean, "U ±": u.stderr}
        line |= {symbol: rows[column].mean() for column, symbol in list(COSINES.items())[1:]}
        inside = said.low <= u.mean <= said.high
        fit = median < 0.01 if said.fits else True
        lines.append(
            line | {"median KL": median, "monotone": int(rows["monotone"].sum()), "held": bool(inside and fit)}
        )
    return pd.DataFrame(lines).set_index("setting")
