"""How far a model in training is from the hypothesis of Theorem 3, apart for agreeing and contradicting pairs.

The full run goes to the clock 31,623 and is a record; the chapter runs its first part again.
"""

import math
import time

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from linrep.errors import InputError
from linrep.experiments.catalogue import Size
from linrep.pilot import CLOCKS, Pace, halved
from linrep.population import Population
from linrep.results import Record
from linrep.setting import Setting
from linrep.simulate import make_batches, setting_pace
from linrep.start import Tables
from linrep.theory import log_odds, spans
from linrep.theory.explicit import Pair
from linrep.train import TrainConfig, train

PROB = (0.2, 0.4)
"""Bernoulli parameters of this chapter's worlds: their log-odds, −1.39 to −0.41, stay away from zero."""

ARMS = {
    "independent, k = 3": Setting(concepts=3, edges=0, prob=PROB),
    "independent, k = 8": Setting(concepts=3, dim=8, edges=0, prob=PROB),
    "dependent, k = 3": Setting(concepts=3, edges=1, prob=PROB),
}
GAPS = ("agreeing", "contradicting")
NAME = "log_odds"
LIVE = 562
"""The clock up to which the chapter runs the record's arms again."""


def record(size: Size) -> Record:
    """The gaps of every arm along training, and at half the step at `CLOCKS`.

    The clock goes to 31,623 with 20 seeds ("smoke": 1,000 with 3).
    """
    began = time.perf_counter()
    seeds, horizon = (range(20), CLOCKS[3]) if size == "paper" else (range(3), CLOCKS[0])
    paces = {arm: setting_pace(setting, clock=horizon) for arm, setting in ARMS.items()}
    tables = [gaps_along(arm, seeds=seeds, pace=pace, horizon=horizon) for arm, pace in paces.items()]
    halves = [gaps_along(arm, seeds=seeds, pace=halved(pace), horizon=horizon) for arm, pace in paces.items()]
    halves = [each[each["clock"].isin(CLOCKS)] for each in halves]
    rows = pd.concat([*(each.assign(step="whole") for each in tables), *(each.assign(step="half") for each in halves)])
    config = {
        "horizon": horizon,
        "step_sizes": {arm: pace.step_size for arm, pace in paces.items()},
        "settings": {arm: setting.to_dict() for arm, setting in ARMS.items()},
    }
    body = {"gaps": rows.to_dict("records")}
    return Record(NAME, config, tuple(seeds), "gaps", body, round(time.perf_counter() - began, 3))


def live_slice(recorded: Record, *, horizon: int = LIVE) -> pd.DataFrame:
    """The record's arms run again at its whole steps, for its seeds, up to a clock."""
    seeds = range(recorded.seeds[0], recorded.seeds[-1] + 1)
    sizes: dict[str, float] = recorded.config["step_sizes"]
    paces = {arm: Pace(size, math.ceil(horizon / size)) for arm, size in sizes.items()}
    found = [gaps_along(arm, seeds=seeds, pace=pace, horizon=horizon) for arm, pace in paces.items()]
    return pd.concat([each.assign(step="whole") for each in found], ignore_index=True)


def gaps_along(arm: str, *, seeds: range, pace: Pace, horizon: int) -> pd.DataFrame:
    """Train one arm and look at it at the clocks of `marks_to` the horizon.

    Returns:
        One row for each seed and clock: arm, seed, clock, kl (nats), agreeing, contradicting (gaps to λ_i(c), nats),
        completed (the gap to λ_i(c∘d) on contradicting pairs), dispersion (of the log-odds over the tokens), monotone
        (over the whole run).

    Raises:
        InputError: an arm that there is not.
    """
    if arm not in ARMS:
        raise InputError(f"there is no arm {arm!r}; there are {', '.join(ARMS)}")
    (batch,) = make_batches(ARMS[arm], seeds)
    clock_at = {math.ceil(clock / pace.step_size): clock for clock in marks_to(horizon)}
    rows: list[dict[str, object]] = []

    def observe(step: int, tables: Tables, loss: Float[Tensor, " replicates"]) -> None:
        kl = loss.numpy() - batch.population.entropy
        for place, seed in enumerate(batch.seeds):
            rows.append(
                {"arm": arm, "seed": seed, "clock": clock_at[step], "kl": float(kl[place])}
                | gaps(batch.population, place, (tables[0][place].numpy(), tables[1][place].numpy()))
            )

    config = TrainConfig(pace.step_size, pace.steps)
    trained = train(
        batch.population, batch.start, config, seeds=seeds, record_at=list(clock_at), observe=observe, warn=False
    )
    assert trained.monotone is not None  # gradient descent
    return pd.DataFrame(rows).assign(monotone=np.tile(trained.monotone.numpy(), len(clock_at)))


def marks_to(horizon: int) -> list[int]:
    """Clocks even in the logarithm, four to a factor of ten, from 100 to the horizon: `CLOCKS` are among them."""
    return [mark for quarter in range(8, 21) if (mark := round(10 ** (quarter / 4))) <= horizon]


def gaps(population: Population, place: int, tables: Pair) -> dict[str, float]:
    """The gaps of one model to λ_i(c) and the dispersion of its log-odds over tokens, averaged over the concepts."""
    found = []
    for concept, pairs in enumerate(population.token_pairs):
        rows = log_odds.contexts_without(population.contexts, concept)
        odds = log_odds.model_log_odds(tables[0][rows], tables[1], pairs)
        agrees = log_odds.agrees_off(population.contexts[rows], population.tokens, pairs, concept)
        joint = population.joint[place]
        gap = log_odds.log_odds_gap(odds, log_odds.true_log_odds(joint, pairs)[None], agrees)
        filled = log_odds.completed_log_odds(joint, population.tokens, population.contexts[rows], pairs)
        completed = log_odds.log_odds_gap(odds, filled, agrees).contradicting
        found.append((gap.agreeing, gap.contradicting, completed, spans.dispersion(odds.T)))
    return dict(zip((*GAPS, "completed", "dispersion"), np.mean(found, axis=0).tolist(), strict=True))


def step_effect(recorded: pd.DataFrame) -> pd.DataFrame:
    """What halving the step does to the means over the seeds, for each arm and each of `CLOCKS`.

    Returns:
        For each gap its change in nats, and the same over the standard error of the mean (columns ending in " / se").
    """
    groups = recorded.groupby(["step", "arm", "clock"])[list(GAPS)]
    means, errors = groups.mean(), pd.DataFrame(groups.sem().loc["whole"])
    half, whole = (pd.DataFrame(means.loc[step]) for step in ("half", "whole"))
    change = (half - whole).abs().dropna()
    return change.join((change / errors).dropna().add_suffix(" / se"))


def late_table(recorded: pd.DataFrame) -> pd.DataFrame:
    """Means and standard errors over the seeds at `CLOCKS`, for each arm: KL divergence in millinats, gaps in nats."""
    shown = recorded[(recorded["step"] == "whole") & recorded["clock"].isin(CLOCKS)]
    by = shown.assign(kl=1000 * shown["kl"]).groupby(["arm", "clock"])[["kl", *GAPS]]
    found = by.mean().join(by.sem().add_suffix(" ±"))
    return found[[name + end for name in ("kl", *GAPS) for end in ("", " ±")]].rename(columns={"kl": "1000 KL"})
