"""Tables 1 and 2 at the paper's numbers of runs: the paper's recipe beside descent on the exact loss.

Clocks, fixed before any comparison. Table 1, both arms: the clock that the rule of `linrep.pilot` finds for descent,
so that SGD (rate 0.1, batch 100, single precision) and descent (double precision) stop at the same step size x steps.
Table 2: Adam's steps by the same rule, and where gradient noise keeps the pilots above its threshold at every clock,
the clock at which their median KL divergence is lowest.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from linrep.experiments.catalogue import Size
from linrep.experiments.paper_tables import RUNS
from linrep.history import at_clocks, history
from linrep.pilot import CLOCKS, FITTED_KL, PAPER_STEPS, STEP_EFFECT, Pace, halved, steps_to
from linrep.results import Record, json_rows, short
from linrep.seeds import PILOT_SEEDS
from linrep.setting import Setting
from linrep.simulate import MEASURES, Simulation, setting_pace, simulate, step_effect

SMOKE = {3: 4, 4: 3}

RULE_CLOCK = {3: CLOCKS[0], 4: CLOCKS[1], 5: CLOCKS[2], 6: CLOCKS[3], 7: CLOCKS[3]}
"""What the clock rule finds for descent at each m; a test holds it to the record of Table 1."""

KEYS = ("m", "arm", "seed")
KEPT = (*KEYS, *MEASURES, "fitted", "monotone")


def descent(m: int) -> Setting:
    """Descent on the exact loss, everything else at its default."""
    return Setting(concepts=m)


def sgd(m: int) -> Setting:
    """The paper's recipe of Table 1: rate 0.1, batch 100. Single precision, as PyTorch has it by default."""
    return Setting(concepts=m, optimizer="sgd", dtype="float32")


def adam(m: int) -> Setting:
    """The paper's recipe of Table 2: Adam with rate 0.001; the batch, which is not stated for it, 100."""
    return Setting(concepts=m, optimizer="adam", dtype="float32")


def table1(size: Size) -> Record:
    """Descent and SGD for every m, with what halving the step of descent changes."""
    began, arms, rows = time.perf_counter(), [], []
    for m, runs in (RUNS if size == "paper" else SMOKE).items():
        found, moved = checked(descent(m), range(runs))
        same = Pace(PAPER_STEPS["sgd"], steps_to(found.clock, PAPER_STEPS["sgd"]))
        sampled = simulate(sgd(m), seeds=range(runs), pace=same, progress=True)
        arms += [arm(found, "gd", {"half step moves": moved}), arm(sampled, "sgd", {})]
        rows += [per_seed(found, "gd"), per_seed(sampled, "sgd")]
    return Record("table1", {"sizes": _sizes(size)}, (), "per_seed", _body(arms, rows), _since(began))


def table2(size: Size) -> Record:
    """Adam for every m."""
    began, arms, rows = time.perf_counter(), [], []
    for m, runs in (RUNS if size == "paper" else SMOKE).items():
        pace, pilot_kl = adam_pace(m)
        found = simulate(adam(m), seeds=range(runs), pace=pace, progress=True)
        arms.append(arm(found, "adam", {"pilots": pilot_kl}))
        rows.append(per_seed(found, "adam"))
    return Record("table2", {"sizes": _sizes(size)}, (), "per_seed", _body(arms, rows), _since(began))


def checked(setting: Setting, seeds: range) -> tuple[Simulation, float]:
    """Descent at the pilots' step, halved until the reported seeds pass the check of the step too.

    Returns:
        The simulation, and the largest change of a cosine of any fitted, monotone seed when its step is halved.
    """
    pace = setting_pace(setting, progress=True)
    found = simulate(setting, seeds=seeds, pace=pace, progress=True)
    while True:
        half = simulate(setting, seeds=seeds, pace=halved(found.pace), progress=True)
        moved = step_effect(found, half)
        if moved < STEP_EFFECT:
            return found, moved
        found = half


def adam_pace(m: int) -> tuple[Pace, dict[str, float]]:
    """Adam's steps by the rule above, and the pilots' median KL divergence at every clock, nats."""
    rate = PAPER_STEPS["adam"]
    pilots = range(PILOT_SEEDS[0], PILOT_SEEDS[-1] + 1)
    record = history(adam(m), seeds=pilots, pace=Pace(rate, CLOCKS[-1]), points=2)
    kl = {clock: float(np.median(rows["kl"])) for clock, rows in at_clocks(record).items()}
    chosen = chosen_clock(dict(zip(CLOCKS, kl.values(), strict=True)))
    return Pace(rate, chosen), {clock: short(value) for clock, value in kl.items()}


def chosen_clock(kl: Mapping[int, float]) -> int:
    """The first clock at which the pilots' median KL divergence is below the threshold; else the one of the lowest."""
    fitted = [clock for clock in kl if kl[clock] < FITTED_KL]
    return fitted[0] if fitted else min(kl, key=lambda clock: kl[clock])


def arm(found: Simulation, name: str, more: dict[str, Any]) -> dict[str, Any]:
    """How an arm was run."""
    return {
        "m": found.setting.concepts,
        "arm": name,
        "optimizer": found.setting.optimizer,
        "dtype": found.setting.dtype,
        "runs": len(found.seeds),
        "step_size": found.pace.step_size,
        "steps": found.pace.steps,
        "clock": round(found.clock),
        "seconds": round(found.seconds, 3),
        **{key: short(value) if isinstance(value, float) else value for key, value in more.items()},
    }


def per_seed(found: Simulation, name: str) -> pd.DataFrame:
    """One row for each seed, six significant digits."""
    table = found.per_seed().assign(m=found.setting.concepts, arm=name)[list(KEPT)]
    return table.assign(**{column: table[column].map(short) for column in MEASURES})


def slice_of(arms: pd.DataFrame, *, m: int, name: str, seeds: range) -> pd.DataFrame:
    """Some seeds of an arm run again at the recorded pace, as `per_seed` rows."""
    row = arms[(arms["m"] == m) & (arms["arm"] == name)].iloc[0]
    setting = {"gd": descent, "sgd": sgd, "adam": adam}[name](m)
    again = simulate(setting, seeds=seeds, pace=Pace(float(row["step_size"]), int(row["steps"])))
    return per_seed(again, name)


def _body(arms: list[dict[str, Any]], rows: list[pd.DataFrame]) -> dict[str, Any]:
    """Arms and rows; what is not known (monotone, of SGD and Adam) is null."""
    return {"arms": arms, "per_seed": json_rows(pd.concat(rows, ignore_index=True))}


def _sizes(size: Size) -> dict[str, int]:
    return {str(m): runs for m, runs in (RUNS if size == "paper" else SMOKE).items()}


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)
