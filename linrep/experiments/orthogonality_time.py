"""How the squares of dependent and of independent concepts move along training, from the record."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from linrep.errors import InputError
from linrep.results import Record
from linrep.stats import LEVEL, estimate

FITTED_FROM = 3162
"""Slopes are taken from this clock on: the one that the clock rule chose for four concepts."""

FOLLOWED = {
    "fully connected, k = 4": ("fully connected, k = 4", "adjacent"),
    "no edges, k = 4": ("no edges, k = 4", "not adjacent"),
    "fully connected, k = 5": ("fully connected, k = 5", "adjacent"),
    "no edges, k = 5": ("no edges, k = 5", "not adjacent"),
}
"""The lines of the figure: arm and relation."""


class Slope(NamedTuple):
    """A slope: mean over the seeds, the ends of its 95 % interval, and the number of seeds."""

    mean: float
    low: float
    high: float
    seeds: int


def rows_of(record: Record) -> pd.DataFrame:
    """The rows of the seeds whose loss never rose, with the product |f(⋄...⋄)| S."""
    rows = record.to_frame()
    rows = rows[rows["monotone"]]
    return rows.assign(product=rows["norm"] * rows["side"])


def followed(record: Record) -> pd.DataFrame:
    """The rows of the lines of `FOLLOWED`, each named in the column `line`."""
    rows = rows_of(record)
    parts = [
        rows[(rows["arm"] == arm) & (rows["relation"] == relation)].assign(line=line)
        for line, (arm, relation) in FOLLOWED.items()
    ]
    return pd.concat(parts, ignore_index=True)


def time_table(record: Record, column: str) -> pd.DataFrame:
    """Mean ± standard error over seeds of a column, by arm and relation (rows) and clock (columns), from 1,000 on."""
    rows = rows_of(record)
    groups = rows[rows["clock"] >= 1000].groupby(["arm", "relation", "clock"])[column]
    cells = groups.apply(lambda values: _shown(values.to_numpy(float)))
    return cells.unstack("clock").rename(columns=lambda clock: f"{clock:,}").rename_axis(columns=None)


def slope(record: Record, column: str, arm: str, relation: str) -> Slope:
    """The slope of ln(column) on ln(clock) from `FITTED_FROM` on: one for each seed, then mean and interval.

    Raises:
        InputError: the record has no such rows.
    """
    rows = rows_of(record)
    rows = rows[(rows["arm"] == arm) & (rows["relation"] == relation) & (rows["clock"] >= FITTED_FROM)]
    found = estimate(np.array([_slope(of_seed, column) for _, of_seed in rows.groupby("seed")]))
    half = found.stderr * float(stats.t.ppf(1 - LEVEL / 2, found.count - 1))
    return Slope(found.mean, found.mean - half, found.mean + half, found.count)


def slopes(record: Record, column: str) -> pd.DataFrame:
    """`slope` of every arm and relation."""
    pairs = rows_of(record)[["arm", "relation"]].drop_duplicates().sort_values(["arm", "relation"])
    lines = [
        {"arm": arm, "relation": relation} | slope(record, column, arm, relation)._asdict()
        for arm, relation in pairs.itertuples(index=False)
    ]
    return pd.DataFrame(lines).rename(columns={"mean": "slope"}).set_index(["arm", "relation"])


def horizon_table(record: Record, dim: int) -> pd.DataFrame:
    """Adjacent pairs at one k: what exact log-odds at ⋄...⋄ need of the squares, what there is, and the part learned.

    The need of |□|/S is that of `opening_at_full_rank` at k = m, and |ln OR|/(|f(⋄...⋄)| S) at k = m + 1.

    Raises:
        InputError: the record has no arm of this dimension.
    """
    rows = rows_of(record)
    arms = [row["arm"] for row in record.body["arms"] if row["dim"] == dim]
    rows = rows[rows["arm"].isin(arms) & (rows["relation"] == "adjacent") & (rows["clock"] >= FITTED_FROM)]
    if rows.empty:
        raise InputError(f"dim is {dim}; the record has no long run of that dimension")
    need = "need" if rows["pinned"].isna().all() else "pinned"
    columns = {
        "product": "|f(⋄)| S",
        need: "need |□|/S",
        "opening": "|□|/S",
        "departure": "departure",
        "part": "learned",
    }
    return rows.groupby(["arm", "clock"])[list(columns)].mean().rename(columns=columns)


def _slope(rows: pd.DataFrame, column: str) -> float:
    """The least-squares slope of ln(column) on ln(clock)."""
    return float(np.polyfit(np.log(rows["clock"].to_numpy(float)), np.log(rows[column].to_numpy(float)), 1)[0])


def _shown(values: np.ndarray) -> str:
    """Mean ± standard error, three decimals."""
    found = estimate(values)
    return f"{found.mean:.3f} ± {found.stderr:.3f}"
