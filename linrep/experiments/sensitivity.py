"""What Tables 1 and 2 would be under other choices where the paper is silent: one choice changed at a time.

The base is the table itself. A variant keeps seeds, clock and number of runs; descent stands for SGD, whose geometry it
shares (see the chapter), at a step found anew for each variant.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from linrep.experiments.catalogue import Size
from linrep.experiments.full_tables import SMOKE, adam, descent, sgd
from linrep.experiments.paper_tables import RUNS
from linrep.pilot import CLOCKS, PAPER_STEPS, Pace, steps_to
from linrep.results import Record, read_record, results_folder, short, unfinished_folder
from linrep.setting import Setting
from linrep.simulate import COSINES, setting_pace, simulate
from linrep.stats import estimate
from linrep.sweep import Task, run_tasks

VARIANTS: dict[str, dict[str, Any]] = {
    "edges 0": {"edges": 0.0},
    "edges 0.25": {"edges": 0.25},
    "edges 0.75": {"edges": 0.75},
    "edges 1": {"edges": 1.0},
    "masks often": {"mask_law": "often"},
    "masks rarely": {"mask_law": "rarely"},
    "masks by size": {"mask_law": "size"},
    "with biases": {"biases": True},
    "start N(0, 1)": {"init_scale": 1.0},
    "start N(0, .1²)": {"init_scale": 0.1},
}
"""What is changed, by name; `Setting` says what each means."""

HORIZON = {"table1": CLOCKS[3], "table2": CLOCKS[4]}
"""The last clock at which each table is read."""

ARMS: dict[str, Callable[[int], Setting]] = {"gd": descent, "sgd": sgd, "adam": adam}


def own_arm(table: str, m: int) -> str:
    """The arm of a table that its variants are variants of.

    Descent stands for SGD but at seven concepts, where finding a step of descent anew for each variant takes longer
    than SGD itself.
    """
    if table == "table2":
        return "adam"
    return "gd" if m < 7 else "sgd"


def record(size: Size) -> Record:
    """Every variant and every clock of both tables, as means and standard errors over the runs ("smoke": few runs).

    What is finished is kept until the record is made: a run that was stopped goes on where it was.
    """
    began = time.perf_counter()
    sizes = RUNS if size == "paper" else SMOKE
    tasks = [task for table in HORIZON for m, runs in sizes.items() for task in tasks_of(table, m, runs)]
    body = {"means": run_tasks(tasks, folder=unfinished_folder("sensitivity"), progress=True, label="variants")}
    config = {"sizes": {str(m): runs for m, runs in sizes.items()}}
    return Record("sensitivity", config, (), "means", body, round(time.perf_counter() - began, 3))


def tasks_of(table: str, m: int, runs: int) -> list[Task]:
    """The variants and the clocks of one m of "table1" or "table2"."""
    given = {"table": table, "m": m, "runs": runs}
    clocks = [clock for clock in CLOCKS if clock <= HORIZON[table]]
    return [Task(f"{__name__}:variant", given | {"name": name}) for name in VARIANTS] + [
        Task(f"{__name__}:at_clock", given | {"clock": clock}) for clock in clocks
    ]


def variant(table: str, m: int, runs: int, name: str) -> dict[str, Any]:
    """One line of the record: the table's runs with one choice changed."""
    arm = own_arm(table, m)
    setting = replace(_base(arm, m), **VARIANTS[name])
    clock = _recorded(table, m, arm)["clock"]
    found = simulate(setting, seeds=range(runs), pace=_pace(setting, clock)).per_seed()
    return {"table": table, "m": m, "arm": arm, "variant": name, "clock": clock} | _means(found)


def at_clock(table: str, m: int, runs: int, clock: int) -> dict[str, Any]:
    """One line of the record: the table's runs stopped at another clock, at the table's own step."""
    arm = own_arm(table, m)
    step_size = _recorded(table, m, arm)["step_size"]
    steps = clock if arm == "adam" else steps_to(clock, step_size)
    found = simulate(_base(arm, m), seeds=range(runs), pace=Pace(step_size, steps)).per_seed()
    return {"table": table, "m": m, "arm": arm, "variant": f"clock {clock:,}", "clock": clock} | _means(found)


def _base(arm: str, m: int) -> Setting:
    """The setting of a table's arm, in single precision."""
    return replace(ARMS[arm](m), dtype="float32")


def _recorded(table: str, m: int, arm: str) -> dict[str, Any]:
    """How the table's arm was run."""
    arms = read_record(results_folder() / f"{table}.json").body["arms"]
    found: dict[str, Any] = next(row for row in arms if (row["m"], row["arm"]) == (m, arm))
    return found


def _pace(setting: Setting, clock: float) -> Pace:
    """A step and the steps to a clock: the paper's step, or for descent one found on the pilots."""
    if setting.optimizer == "gd":
        return setting_pace(setting, clock=clock)
    step_size = PAPER_STEPS[setting.optimizer]
    return Pace(step_size, round(clock if setting.optimizer == "adam" else clock / step_size))


def _means(table: pd.DataFrame) -> dict[str, Any]:
    """Runs, how many of them are fitted, and the mean and standard error of each cosine."""
    found: dict[str, Any] = {
        "runs": len(table),
        "fitted": int(table["fitted"].sum()),
        "kl": short(table["kl"].median()),
    }
    for name, symbol in COSINES.items():
        value = estimate(table[name].to_numpy(float))
        found |= {symbol: short(value.mean), f"{symbol} ±": short(value.stderr)}
    return found
