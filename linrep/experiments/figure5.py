"""Figure 5 of the paper: loss and cosines against training time at m = 7, 10 runs, SGD beside descent."""

import time
from typing import Any

import pandas as pd

from linrep.experiments.catalogue import Size
from linrep.experiments.full_tables import descent, sgd
from linrep.history import history
from linrep.pilot import CLOCKS, PAPER_STEPS, Pace, steps_to
from linrep.results import Record, short
from linrep.simulate import COSINES, make_batches, setting_pace

HORIZON = CLOCKS[3]
"""31,623, the clock of m = 7 in Table 1."""

SHOWN = ("kl", *COSINES)


def record(size: Size) -> Record:
    """Loss and cosines of every seed along the clock ("smoke": m = 3, 3 runs, to clock 1,000)."""
    began = time.perf_counter()
    m, runs, horizon = (7, 10, HORIZON) if size == "paper" else (3, 3, CLOCKS[0])
    rate = PAPER_STEPS["sgd"]
    paces = {"gd": setting_pace(descent(m), clock=horizon), "sgd": Pace(rate, steps_to(horizon, rate))}
    settings = {"gd": descent(m), "sgd": sgd(m)}
    floors = make_batches(descent(m), range(runs))[0].population.entropy
    parts = []
    for arm, pace in paces.items():
        rows = history(settings[arm], seeds=range(runs), pace=pace)[["seed", "clock", *SHOWN]]
        rows = rows.assign(arm=arm, loss=rows["kl"] + rows["seed"].map(dict(enumerate(floors))))
        parts.append(rows.assign(clock=rows["clock"].round(3), **{name: rows[name].map(short) for name in (*SHOWN,)}))
    table = pd.concat(parts, ignore_index=True)
    table["loss"] = table["loss"].map(short)
    arms: list[dict[str, Any]] = [
        {"arm": arm, "step_size": pace.step_size, "steps": pace.steps} for arm, pace in paces.items()
    ]
    config = {"m": m, "runs": runs, "horizon": horizon}
    body = {"arms": arms, "curves": table.to_dict("records")}
    return Record("figure5", config, tuple(range(runs)), "curves", body, round(time.perf_counter() - began, 3))


def levels_off(curves: pd.DataFrame, *, within: float = 0.02) -> pd.DataFrame:
    """By arm and cosine, the first recorded clock at which the mean over seeds is `within` of its last value."""
    found: dict[str, dict[str, float]] = {}
    for arm in curves["arm"].unique().tolist():
        means = curves[curves["arm"] == arm].groupby("clock")[list(COSINES)].mean()
        near = means >= means.iloc[-1] - within
        found[arm] = {symbol: float(near.index[near[name].to_numpy()].min()) for name, symbol in COSINES.items()}
    return pd.DataFrame(found).T
