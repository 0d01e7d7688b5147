"""What the chapter on the tables shows: the records of Tables 1 and 2 beside the paper's numbers, cell by cell."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from linrep.errors import InputError
from linrep.experiments.beside_paper import as_cells, comparison_lines, self_pair_lines
from linrep.experiments.full_tables import KEYS, slice_of
from linrep.experiments.paper_tables import TABLE1, TABLE2, Printed
from linrep.results import Record, read_record, require_agreement, results_folder
from linrep.simulate import COSINES
from linrep.stats import Estimate, compare, compare_paired, estimate

PRINTED: dict[str, Printed] = {"table1": TABLE1, "table2": TABLE2}


def recorded(name: str) -> Record:
    """The record of that name.

    Raises:
        InputError: there is none.
    """
    return read_record(results_folder() / f"{name}.json")


def settings_table(record: Record) -> pd.DataFrame:
    """How each arm was run, how many replicates are fitted and monotone, and the median KL divergence, nats."""
    rows = record.to_frame()
    lines = []
    for arm in record.body["arms"]:
        mine = rows[(rows["m"] == arm["m"]) & (rows["arm"] == arm["arm"])]
        monotone = int(mine["monotone"].eq(True).sum()) if arm["optimizer"] == "gd" else np.nan
        kept = {name: arm[name] for name in ("m", "arm", "runs", "step_size", "steps", "clock")}
        counts = {"fitted": int(mine["fitted"].sum()), "monotone": monotone, "median KL": mine["kl"].median()}
        lines.append(kept | counts | {"half step moves": arm.get("half step moves", np.nan)})
    table = pd.DataFrame(lines).rename(columns={"step_size": "step size"}).astype({"monotone": "Int64"})
    return table.set_index(["m", "arm"])


def verdicts(name: str, *, fitted_only: bool = False) -> pd.DataFrame:
    """Each cell: ours and the paper's with standard errors, the difference with its interval, the verdict.

    Args:
        name: "table1" or "table2".
        fitted_only: leave out the unfitted replicates; the paper averages all of its own. An arm with fewer than two
            fitted replicates has no line.
    """
    lines = []
    record = recorded(name)
    rows = record.to_frame()
    for each in record.body["arms"]:
        m, arm = int(each["m"]), str(each["arm"])
        mine = rows[(rows["m"] == m) & (rows["arm"] == arm)]
        kept = mine[mine["fitted"]] if fitted_only else mine
        if len(kept) < 2:
            continue
        lines += [{"m": m, "arm": arm} | line for line in comparison_lines(kept, PRINTED[name][m])]
    return pd.DataFrame(lines).set_index(["m", "arm", "cosine"])


def equivalence(record: Record, *, first: str = "sgd", second: str = "gd") -> pd.DataFrame:
    """One arm against the other, seed by seed: mean difference, its interval, and the verdict of `compare_paired`."""
    rows = record.to_frame()
    lines = []
    for m in rows["m"].unique().tolist():
        of_m = rows[rows["m"] == m]
        ours, theirs = (of_m[of_m["arm"] == arm].set_index("seed") for arm in (first, second))
        if list(ours.index) != list(theirs.index):
            raise InputError(f"the arms {first} and {second} have different seeds at m = {m}; a pairing needs the same")
        for column, symbol in COSINES.items():
            found = compare_paired(ours[column].to_numpy(float), theirs[column].to_numpy(float))
            widest = {"widest pair": float((ours[column] - theirs[column]).abs().max())}
            lines.append({"m": m, "cosine": symbol, "pairs": len(ours)} | as_cells(found) | widest)
    return pd.DataFrame(lines).set_index(["m", "cosine"])


def self_pairs(name: str, arm: str) -> pd.DataFrame:
    """U and E of an arm, with and without a vector's cosine with itself; see `self_pair_lines`."""
    rows = recorded(name).to_frame()
    mine = rows[rows["arm"] == arm]
    sizes = mine["m"].unique().tolist()
    lines = [line for m in sizes for line in self_pair_lines(mine[mine["m"] == m], PRINTED[name][m], m=m)]
    return pd.DataFrame(lines).set_index(["m", "cosine"])


def sensitivity(name: str, symbol: str) -> pd.DataFrame:
    """One cosine under every variant: rows are variants, columns m; the paper's and the table's own come first."""
    rows = recorded("sensitivity").to_frame()
    mine = rows[rows["table"] == name]
    wide = mine.pivot(index="variant", columns="m", values=symbol).loc[mine["variant"].unique()]
    column = {symbol: column for column, symbol in COSINES.items()}[symbol]
    arms = dict(zip(mine["m"].tolist(), mine["arm"].tolist(), strict=True))
    own = {m: _own_runs(name, m, arm)[column].mean() for m, arm in arms.items()}
    first = pd.DataFrame(
        {m: [PRINTED[name][m][symbol].mean, mean] for m, mean in own.items()},
        index=["the paper", "the table's choices"],
    )
    return pd.concat([first, wide]).rename_axis(index="variant", columns="m")


def shifts(name: str) -> pd.DataFrame:
    """Each variant against the table's own choices: difference with its interval and verdict by `compare`, per cosine.

    "reproduced" means that the change leaves the mean within the margin.
    """
    lines = []
    for row in recorded("sensitivity").body["means"]:
        if row["table"] != name:
            continue
        own = _own_runs(name, row["m"], row["arm"])
        for column, symbol in COSINES.items():
            base = estimate(own[column].to_numpy(float))
            cells = as_cells(compare(_estimate(row, symbol), base))
            lines.append({"variant": row["variant"], "m": row["m"], "cosine": symbol} | cells)
    return pd.DataFrame(lines).set_index(["variant", "m", "cosine"])


def explained(name: str) -> pd.DataFrame:
    """For each cell that is not reproduced, the variants whose mean lies within `MARGIN` of the paper's by the rule."""
    table = verdicts(name).reset_index()
    main = {"table1": "sgd", "table2": "adam"}[name]
    open_cells = table[(table["arm"] == main) & (table["verdict"] != "reproduced")]
    rows = recorded("sensitivity").to_frame()
    lines = []
    for cell in open_cells.to_dict("records"):
        near = rows[(rows["table"] == name) & (rows["m"] == cell["m"]) & (rows["runs"] > 1)]
        theirs = PRINTED[name][cell["m"]][cell["cosine"]]
        names = [row["variant"] for row in near.to_dict("records") if _agrees(row, cell["cosine"], theirs)]
        lines.append({key: cell[key] for key in ("m", "cosine", "ours", "paper", "verdict")} | {"reproduced by": names})
    return pd.DataFrame(lines)


def require_live(name: str, slices: Sequence[tuple[int, str, range]], *, tolerance: float) -> int:
    """Run some seeds of some arms (m, arm, seeds) again and hold them to the record; how many were.

    Raises:
        LinrepError: a number differs from that on record by more than the tolerance.
    """
    record, count = recorded(name), 0
    for m, arm, seeds in slices:
        live = slice_of(pd.DataFrame(record.body["arms"]), m=m, name=arm, seeds=seeds)
        require_agreement(record.to_frame(), live, on=KEYS, columns=["kl", *COSINES, "between"], tolerance=tolerance)
        count += len(live)
    return count


def _own_runs(name: str, m: int, arm: str) -> pd.DataFrame:
    """The table's own runs that a line of the sensitivity record is a variant of."""
    rows = recorded(name).to_frame()
    return rows[(rows["m"] == m) & (rows["arm"] == arm)]


def _agrees(row: Mapping[str, Any], symbol: str, theirs: Estimate) -> bool:
    """Whether a variant's mean reproduces the paper's by the rule."""
    return compare(_estimate(row, symbol), theirs).verdict == "reproduced"


def _estimate(row: Mapping[str, Any], symbol: str) -> Estimate:
    """A cosine of a line of the sensitivity record."""
    return Estimate(row[symbol], row[f"{symbol} ±"], int(row["runs"]))
