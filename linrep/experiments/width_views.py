"""What the chapter on width shows of the map: grids, courses in time, paired differences, and the state of the runs."""

from collections.abc import Sequence

import pandas as pd

from linrep.experiments.beside_paper import as_cells
from linrep.experiments.table_views import recorded
from linrep.experiments.width_map import DIMS, NAME, STARTS, along, starts_of
from linrep.pilot import STEP_EFFECT
from linrep.results import require_agreement
from linrep.setting import Setting
from linrep.simulate import COSINES
from linrep.stats import compare_paired

KEYS = ["m", "k", "start"]


def cells() -> pd.DataFrame:
    """How every cell was run, by m, k and start."""
    return pd.DataFrame(recorded(NAME).body["cells"]).set_index(KEYS)


def state() -> pd.DataFrame:
    """For each m: the last clock (k ≥ m), seeds, cells, runs; how many fitted, how many monotone; cells that settled.

    A cell is settled if halving its step moves no mean cosine by 0.005 or more.
    """
    table = cells()
    lines = []
    for m, part in table.groupby(level="m"):
        line = {"m": m, "clock": part["clock"].max(), "seeds": part["seeds"].iloc[0], "cells": len(part)}
        line |= {"runs": part["seeds"].sum(), "fitted": part["fitted"].sum(), "monotone": part["monotone"].sum()}
        line |= {"settled": int((part["halving moves"] < STEP_EFFECT).sum()), "moves most": part["halving moves"].max()}
        lines.append(line)
    return pd.DataFrame(lines).set_index("m")


def means() -> pd.DataFrame:
    """Means over seeds: a row for each m, k, start and clock."""
    return recorded(NAME).to_frame().set_index([*KEYS, "clock"]).sort_index()


def grid(m: int, column: str = "unembedding", *, clock: int | None = None) -> pd.DataFrame:
    """Means of a measure at a clock, or at the last one of each k: a row for each k, a column for each start."""
    rows = recorded(NAME).to_frame()
    rows = rows[rows["m"] == m]
    at = rows[rows["clock"] == (rows.groupby("k")["clock"].transform("max") if clock is None else clock)]
    return at.pivot_table(index="k", columns="start", values=column)[starts_of(m)]


def grids(column: str = "unembedding") -> dict[int, pd.DataFrame]:
    """`grid` at the last clocks for every number of concepts."""
    return {m: grid(m, column) for m in DIMS}


def against_dim(start: str, *, clock: int) -> pd.DataFrame:
    """The cosines with standard errors and the shares by degree at a clock, by m and k, from one start."""
    rows = recorded(NAME).to_frame()
    found = rows[(rows["start"] == start) & (rows["clock"] == clock)]
    return found.drop(columns=["start", "clock"]).set_index(["m", "k"]).sort_index()


def course(m: int, start: str) -> pd.DataFrame:
    """Every measure along the clock, by k and clock."""
    rows = recorded(NAME).to_frame()
    found = rows[(rows["start"] == start) & (rows["m"] == m)]
    return found.drop(columns=["start", "m"]).set_index(["k", "clock"]).sort_index()


def one_more(*, cosine: str = "unembedding") -> pd.DataFrame:
    """What the next wider space on record costs or gives, against k = m, on the same worlds, at the last clock."""
    rows = pd.DataFrame(recorded(NAME).body["per_seed"]).set_index([*KEYS, "seed"]).sort_index()[cosine]
    lines = []
    for m, dims in DIMS.items():
        wider = next(k for k in dims if k > m)
        for start in starts_of(m):
            narrow, wide = rows.loc[(m, m, start)], rows.loc[(m, wider, start)]
            found = compare_paired(wide.to_numpy(float), narrow.loc[wide.index].to_numpy(float))
            place = {"m": m, "start": start, "k": wider}
            lines.append(place | {"at k = m": narrow.mean(), "wider": wide.mean()} | as_cells(found))
    return pd.DataFrame(lines).set_index(["m", "start"])


def steps_down(column: str = "unembedding") -> pd.DataFrame:
    """From each k ≥ m to the next, at the last clock: in how many of the steps the mean falls; by m and start."""
    lines = []
    for m in DIMS:
        table = grid(m, column)
        wide = table[table.index >= m].diff().dropna()
        lines += [
            {
                "m": m,
                "start": start,
                "steps": len(wide),
                "down": int((wide[start] < 0).sum()),
                "largest rise": max(0.0, wide[start].max()),
            }
            for start in starts_of(m)
        ]
    return pd.DataFrame(lines).set_index(["m", "start"])


def require_live(slices: Sequence[tuple[int, int, str, int]], *, tolerance: float) -> int:
    """Train all seeds of some cells (m, k, start, clock) again and hold the means to the record; how many runs it was.

    Raises:
        LinrepError: a mean differs from that on record by more than the tolerance.
    """
    table, count = {(row["m"], row["k"], row["start"]): row for row in recorded(NAME).body["cells"]}, 0
    for m, k, start, clock in slices:
        how = table[m, k, start]
        setting = Setting(concepts=m, dim=k, init_scale=STARTS[start])
        rows = along(setting, range(how["seeds"]), step_size=how["step_size"], clock=clock)
        live = rows.groupby("clock")[["kl", *COSINES, "g degree 1"]].mean().reset_index().assign(m=m, k=k, start=start)
        columns = ["kl", *COSINES, "g degree 1"]
        require_agreement(recorded(NAME).to_frame(), live, on=[*KEYS, "clock"], columns=columns, tolerance=tolerance)
        count += how["seeds"]
    return count
