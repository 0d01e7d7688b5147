"""What Tables 1 and 2 would be under other choices where the paper is silent: one choice changed at a time.

The base is the table itself. A variant keeps seeds, clock and number of runs; descent stands for SGD, whose geometry it
shares (see the chapter), at a step found anew for each variant. Clocks are read off one run.
"""

import time
from dataclasses import replace
from typing import Any

import pandas as pd

from linrep.experiments.catalogue import Size
from linrep.experiments.full_tables import SMOKE, adam, descent, short
from linrep.experiments.paper_tables import RUNS
from linrep.history import at_clocks, history
from linrep.pilot import CLOCKS, FITTED_KL, PAPER_STEPS, Pace
from linrep.results import Record, read_record, results_folder
from linrep.setting import Setting
from linrep.simulate import COSINES, setting_pace, simulate
from linrep.stats import estimate

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


VARIED = {"table1": (3, 4, 5, 6), "table2": (3, 4, 6)}
"""The m at which choices are varied; elsewhere only clocks are. Ten runs at m = 7 decide little, and each is long."""


def record(size: Size) -> Record:
    """Every variant and every clock of both tables, as means and standard errors over the runs ("smoke": few runs)."""
    began = time.perf_counter()
    sizes = RUNS if size == "paper" else SMOKE
    rows = [row for table in HORIZON for m, runs in sizes.items() for row in rows_of(table, m, runs)]
    body = {"means": rows}
    config = {"sizes": {str(m): runs for m, runs in sizes.items()}}
    return Record("sensitivity", config, (), "means", body, round(time.perf_counter() - began, 3))


def rows_of(table: str, m: int, runs: int) -> list[dict[str, Any]]:
    """The variants and the clocks of one m of "table1" or "table2"."""
    arms = {row["m"]: row for row in read_record(results_folder() / f"{table}.json").body["arms"]}
    row, clock = {"table": table, "m": m}, arms[m]["clock"]
    base = replace({"table1": descent, "table2": adam}[table](m), dtype="float32")
    found = []
    for name, change in VARIANTS.items() if m in VARIED[table] else ():
        setting = replace(base, **change)
        pace = _pace(setting, clock)
        table_of = simulate(setting, seeds=range(runs), pace=pace, progress=True).per_seed()
        found.append(row | {"variant": name, "clock": clock} | _means(table_of))
    return found + [row | each for each in _clocks(base, runs, HORIZON[table])]


def _pace(setting: Setting, clock: float) -> Pace:
    """A step and the steps to a clock; Adam's clock is its steps."""
    if setting.optimizer == "adam":
        return Pace(PAPER_STEPS["adam"], round(clock))
    return setting_pace(setting, clock=clock, progress=True)


def _clocks(setting: Setting, runs: int, horizon: int) -> list[dict[str, Any]]:
    """The base at every clock up to the horizon."""
    pace = _pace(setting, horizon)
    struck = at_clocks(history(setting, seeds=range(runs), pace=pace, points=2))
    named = zip(CLOCKS, struck.values(), strict=False)
    return [
        {"variant": f"clock {clock:,}", "clock": clock} | _means(rows.assign(fitted=rows["kl"] <= FITTED_KL))
        for clock, rows in named
    ]


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
