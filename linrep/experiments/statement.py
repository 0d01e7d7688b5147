"""Where the claim holds, in one table: three concepts, one thing changed at a time, read from the records."""

from typing import Any

import pandas as pd

from linrep.experiments import cause_views, width_views
from linrep.experiments.width_causes import CLOCK, M
from linrep.pilot import CLOCKS
from linrep.simulate import COSINES

SHOWN = COSINES | {"between": "between", "kl": "KL"}

WIDE = 8
"""k = 2^m at three concepts."""

GROUPS: dict[str, list[tuple[str, int, str, int]]] = {
    "dimensions, linear start": [(f"k = {k}", k, "linear", CLOCK) for k in (2, 3, 4, 5, 6, 8, 12)],
    "start, k = 8": [(f"S = {start}", WIDE, start, CLOCK) for start in ("0.01", "0.03", "0.1", "0.3", "1")],
    "time, k = 3, S = 0.01": [(f"clock {clock:,}", M, "0.01", clock) for clock in (CLOCKS[0], CLOCK, CLOCKS[4])],
    "time, k = 8, S = 0.01": [(f"clock {clock:,}", WIDE, "0.01", clock) for clock in (CLOCKS[0], CLOCK, CLOCKS[4])],
}
"""Rows from the map: label, k, start and clock."""

ARMS = {
    "descent": "descent",
    "SGD 0.1, 100": "SGD, rate 0.1, batch 100",
    "SGD 1, 200": "SGD, rate 1, batch 200",
    "step x 4": "four times the step",
    "decay 1e-4": "decay 1e-4",
    "decay 1e-3": "decay 1e-3",
    "decay 1e-2": "decay 1e-2",
    "smoothing 0.01": "smoothing 0.01",
}
"""Rows from the causes, with the name that they are shown by."""

CAUSES = "one thing changed, k = 8, S = 0.1"


def statement() -> pd.DataFrame:
    """Means over twenty seeds and standard errors of U, E and UE; means of between and KL (nats); by group and row."""
    lines = [
        {"group": group, "row": label} | _of_map(k, start, clock)
        for group, rows in GROUPS.items()
        for label, k, start, clock in rows
    ]
    lines += [{"group": CAUSES, "row": label} | _of_arm(name) for name, label in ARMS.items()]
    return pd.DataFrame(lines).set_index(["group", "row"])


def _of_map(k: int, start: str, clock: int) -> dict[str, Any]:
    row = width_views.course(M, start).loc[[(k, clock)]]
    means = {symbol: row[column].item() for column, symbol in SHOWN.items()}
    return means | {f"{symbol} ±": row[f"{column} ±"].item() for column, symbol in COSINES.items()}


def _of_arm(name: str) -> dict[str, Any]:
    rows = cause_views.rows_of(WIDE, name)
    means = {symbol: rows[column].mean() for column, symbol in SHOWN.items()}
    return means | {f"{symbol} ±": rows[column].sem() for column, symbol in COSINES.items()}
