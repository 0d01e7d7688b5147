"""What the chapter on incomplete worlds shows: the records beside the paper's numbers, and what other choices do."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from linrep.experiments.beside_paper import as_cells, comparison_lines
from linrep.experiments.incomplete import CELLS, RUNS, WITHOUT_EDGES, recorded_cell
from linrep.experiments.incomplete_runs import along, frame
from linrep.experiments.paper_tables import FIGURE6, READING_ERROR, TABLE3, TABLE4, Cell
from linrep.experiments.table_views import recorded
from linrep.pilot import FITTED_KL
from linrep.results import require_agreement
from linrep.simulate import COSINES
from linrep.stats import Estimate, compare, compare_paired, estimate

PRINTED: dict[str, Mapping[str, Cell]] = {"table3": TABLE3, "table4": TABLE4}


def settings(name: str) -> pd.DataFrame:
    """How each cell was run, and at its clock: how many runs are monotone and fitted, and the median KL divergence."""
    lines = []
    for cell in recorded(name).body["cells"]:
        rows = _chosen(name, cell["cell"])
        kept = {"cell": cell["cell"], "contexts": round(cell["contexts"]), "tokens": round(cell["tokens"])}
        pace = {"step size": cell["step_size"], "clock": cell["clock"], "half step moves": cell["half step moves"]}
        counts = {"runs": len(rows), "monotone": int(rows["monotone"].sum()), "fitted": int(_fitted(rows).sum())}
        lines.append(kept | pace | counts | {"median KL": rows["kl"].median()})
    return pd.DataFrame(lines).set_index("cell")


def verdicts(name: str) -> pd.DataFrame:
    """Each cell of Table 3 or 4 at its clock: ours and the paper's, the difference with its interval, the verdict."""
    lines = [
        {"cell": cell} | line
        for cell, printed in PRINTED[name].items()
        for line in comparison_lines(_chosen(name, cell), printed)
    ]
    return pd.DataFrame(lines).set_index(["cell", "cosine"])


def by_clock(name: str) -> pd.DataFrame:
    """Means over runs at every clock: KL divergence (median, nats) and the cosines; a row for each cell and clock."""
    lines = []
    for (cell, clock), rows in recorded(name).to_frame().groupby(["cell", "clock"], sort=False):
        means = {symbol: rows[column].mean() for column, symbol in COSINES.items()}
        lines.append({"cell": cell, "clock": clock, "KL": rows["kl"].median()} | means)
    return pd.DataFrame(lines).set_index(["cell", "clock"])


def dimensions() -> pd.DataFrame:
    """Figure 6: means and standard errors of the cosines at each m and k."""
    lines = []
    for cell in recorded("figure6").body["cells"]:
        rows = _chosen("figure6", cell["cell"])
        found = {symbol: estimate(rows[column].to_numpy(float)) for column, symbol in COSINES.items()}
        numbers = {symbol: value.mean for symbol, value in found.items()}
        errors = {f"{symbol} ±": value.stderr for symbol, value in found.items()}
        lines.append({"m": cell["concepts"], "k": cell["dim"]} | numbers | errors)
    return pd.DataFrame(lines).set_index(["m", "k"])


def against_whole(clock: int) -> pd.DataFrame:
    """Fewer dimensions less k = m on the same seeds, at a clock: differences, and in how many seeds it is lower."""
    lines = []
    for cell in recorded("figure6").body["cells"]:
        m, k = cell["concepts"], cell["dim"]
        if k == m:
            continue
        fewer, whole = _at("figure6", cell["cell"], clock), _at("figure6", f"m = {m}, k = {m}", clock).loc
        for column, symbol in COSINES.items():
            first, second = fewer[column].to_numpy(float), whole[fewer.index, column].to_numpy(float)
            line = {"m": m, "k": k, "cosine": symbol} | as_cells(compare_paired(first, second))
            lines.append(line | {"lower": int((first < second).sum())})
    return pd.DataFrame(lines).set_index(["m", "k", "cosine"])


def read_off() -> pd.DataFrame:
    """Figure 6 beside what can be read off the paper's drawing.

    Its standard errors are not known: they are taken to be as large as ours, and the error of reading comes on top.
    """
    where = {"U at k = m": (7, "unembedding"), "U at k = 5": (5, "unembedding"), "E at k = 5": (5, "embedding")}
    lines = []
    for name, (k, column) in where.items():
        mine = estimate(_chosen("figure6", f"m = {FIGURE6['m']}, k = {k}")[column].to_numpy(float))
        theirs = Estimate(FIGURE6[name], float(np.hypot(READING_ERROR, mine.stderr)), RUNS)
        line = {"read off": name, "ours": mine.mean, "ours ±": mine.stderr, "paper, about": theirs.mean}
        lines.append(line | as_cells(compare(mine, theirs)))
    return pd.DataFrame(lines).set_index("read off")


def falls(first: int, last: int) -> pd.DataFrame:
    """How far U and E fall from a clock to a later one in fewer dimensions, with edges and without, on the same seeds.

    Columns: the means at both clocks, their difference with its standard error, at how many seeds it is above zero, at
    how many the loss never rose, and the median KL divergence (nats) at both clocks.
    """
    free = pd.DataFrame(recorded("incomplete").body["without edges"])
    rows = {"edges": recorded("figure6").to_frame(), "no edges": free}
    lines = []
    for cell, (worlds, table), (column, symbol) in product(WITHOUT_EDGES, rows.items(), list(COSINES.items())[:2]):
        mine = table[table["cell"] == cell]
        early, late = (mine[mine["clock"] == clock].set_index("seed") for clock in (first, last))
        change = (early[column] - late[column]).to_numpy(float)
        fall = estimate(change)
        line: dict[str, Any] = {"cell": cell, "worlds": worlds, "cosine": symbol}
        line |= {f"{first:,}": early[column].mean(), f"{last:,}": late[column].mean()}
        line |= {"fall": fall.mean, "fall ±": fall.stderr, "runs": fall.count, "falling": int((change > 0).sum())}
        line |= {"monotone": int(late["monotone"].sum())}
        lines.append(line | {f"KL {first:,}": early["kl"].median(), f"KL {last:,}": late["kl"].median()})
    return pd.DataFrame(lines).set_index(["cell", "worlds", "cosine"])


def matrix(cell: str) -> pd.DataFrame:
    """Figure 7a: mean cosine of concept with concept, over steering vectors and over the runs of a cell of Table 3."""
    values = np.array(recorded_cell("table3", cell)["matrix"])
    names = [f"C{i + 1}" for i in range(len(values))]
    return pd.DataFrame(values, index=names, columns=names)


def shifts(name: str) -> pd.DataFrame:
    """Each choice varied, against the same seeds of the cell at the same clock; verdicts by the paired rule.

    "reproduced" means that the change leaves the mean within the margin; KL is the varied runs' median, nats.
    """
    record = recorded("incomplete")
    runs = record.to_frame()
    runs = runs[runs["record"] == name]
    lines = []
    for (cell, variant), rows in runs.groupby(["cell", "variant"], sort=False):
        own = _at(name, str(cell), record.config["clock"]).loc[rows["seed"]]
        for column, symbol in COSINES.items():
            found = compare_paired(rows[column].to_numpy(float), own[column].to_numpy(float))
            start = {"cell": cell, "variant": variant, "cosine": symbol, "KL": rows["kl"].median()}
            lines.append(start | {"base": own[column].mean(), "varied": rows[column].mean()} | as_cells(found))
    return pd.DataFrame(lines).set_index(["cell", "variant", "cosine"])


def explained(name: str) -> pd.DataFrame:
    """For each cell that is not reproduced: the clocks and the variants whose mean would be, by the same rule."""
    table = verdicts(name).reset_index()
    clocks, runs = recorded(name).to_frame(), recorded("incomplete").to_frame()
    runs = runs[runs["record"] == name]
    lines = []
    for line in table[table["verdict"] != "reproduced"].to_dict("records"):
        theirs, symbol = PRINTED[name][line["cell"]][line["cosine"]], line["cosine"]
        at = {f"clock {clock:,}": rows for clock, rows in clocks[clocks["cell"] == line["cell"]].groupby("clock")}
        at |= dict(iter(runs[runs["cell"] == line["cell"]].groupby("variant", sort=False)))
        names = [name for name, rows in at.items() if _agrees(rows, symbol, theirs)]
        lines.append(
            {key: line[key] for key in ("cell", "cosine", "ours", "paper", "verdict")} | {"reproduced by": names}
        )
    return pd.DataFrame(lines)


def halved() -> pd.DataFrame:
    """The seeds whose loss was seen to rise, at the step of their cell and at half of it; a row for each cell.

    Columns: how many of the runs they are, of how many the loss rises at half the step too, the largest imbalance at
    both, the largest change of each cosine, and the largest change of a mean over all runs when these are replaced.
    """
    runs = pd.DataFrame(recorded("incomplete").body["halved"])
    lines = []
    for (name, cell), rows in runs.groupby(["record", "cell"], sort=False):
        own = _chosen(str(name), str(cell))
        change = rows.set_index("seed")[list(COSINES)] - own.loc[rows["seed"], list(COSINES)]
        line = {
            "cell": cell,
            "runs": len(own),
            "rose": len(rows),
            "rise at half": int((~rows["monotone"].astype(bool)).sum()),
        }
        line |= {"imbalance": own.loc[rows["seed"], "imbalance"].max(), "imbalance at half": rows["imbalance"].max()}
        line |= {f"{symbol} moves": change[column].abs().max() for column, symbol in COSINES.items()}
        line["a mean moves"] = (change.sum() / len(own)).abs().max()
        lines.append(line)
    return pd.DataFrame(lines).set_index("cell")


def sgd_against_descent() -> pd.DataFrame:
    """The paper's recipe against descent, seed by seed, at the clocks that both reached."""
    runs = pd.DataFrame(recorded("incomplete").body["sgd"])
    lines = []
    named = runs[["record", "cell", "clock"]].drop_duplicates().to_dict("records")
    for line in named:
        rows = runs[(runs[["record", "cell", "clock"]] == list(line.values())).all(axis=1)]
        own = _at(line["record"], line["cell"], line["clock"]).loc[rows["seed"]]
        for column, symbol in COSINES.items():
            found = compare_paired(rows[column].to_numpy(float), own[column].to_numpy(float))
            place = {"cell": line["cell"], "clock": line["clock"], "cosine": symbol, "pairs": len(rows)}
            lines.append(place | as_cells(found))
    return pd.DataFrame(lines).set_index(["cell", "clock", "cosine"])


def require_live(slices: Sequence[tuple[str, str, int, range]], *, tolerance: float) -> int:
    """Run some seeds (record, cell, clock, seeds) again and hold them to the record; how many were.

    Raises:
        LinrepError: a number differs from that on record by more than the tolerance.
    """
    count = 0
    for name, cell, clock, seeds in slices:
        step_size = recorded_cell(name, cell)["step_size"]
        runs = [along(CELLS[name][cell], step_size, clock, seed) for seed in seeds]
        columns = ["kl", *COSINES, "between"]
        live = frame(runs).assign(cell=cell)
        keys = ["cell", "seed", "clock"]
        require_agreement(recorded(name).to_frame(), live, on=keys, columns=columns, tolerance=tolerance)
        count += len(runs)
    return count


def _chosen(name: str, cell: str) -> pd.DataFrame:
    """The runs of a cell at its clock."""
    return _at(name, cell, recorded_cell(name, cell)["clock"])


def _at(name: str, cell: str, clock: int) -> pd.DataFrame:
    """The runs of a cell at a clock, by seed."""
    rows = recorded(name).to_frame()
    found: pd.DataFrame = rows[(rows["cell"] == cell) & (rows["clock"] == clock)].set_index("seed")
    return found


def _fitted(rows: pd.DataFrame) -> "pd.Series[bool]":
    return rows["kl"] <= FITTED_KL


def _agrees(rows: pd.DataFrame, symbol: str, theirs: Estimate) -> bool:
    """Whether some runs reproduce the paper's number by the rule."""
    column = {symbol: column for column, symbol in COSINES.items()}[symbol]
    return compare(estimate(rows[column].to_numpy(float)), theirs).verdict == "reproduced"
