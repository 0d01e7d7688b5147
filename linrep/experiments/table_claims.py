"""Every cell of the paper's Tables 1 to 4, and what can be read off Figure 6, as a claim: ours, the paper's, a control.

The verdicts are those of the chapters, by the rule of `linrep.stats.compare`. The control is the same mean cosine
before training, at the starts of the first `STARTS` seeds of the cell.
"""

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any

import pandas as pd
from scipy import stats

from linrep.claims import Claim
from linrep.experiments import incomplete_views, table_views
from linrep.experiments.incomplete import CELLS, RUNS
from linrep.linearity import measure
from linrep.setting import Setting
from linrep.simulate import COSINES, make_batches

STARTS = 3

ARMS = {"table1": ("sgd", "SGD"), "table2": ("adam", "Adam")}
"""The arm that is held to the paper's table, and its name in a sentence."""

READ = {"U at k = m": ("m = 7, k = 7", "U"), "U at k = 5": ("m = 7, k = 5", "U"), "E at k = 5": ("m = 7, k = 5", "E")}
"""The cell and the cosine of each number that is read off Figure 6."""


def claims() -> list[Claim]:
    """A claim for each cell of Tables 1 to 4, in the order of the paper, and three for Figure 6."""
    return [*of_complete_sets(), *of_incomplete_sets()]


def of_complete_sets() -> list[Claim]:
    """Those of Tables 1 and 2."""
    found = []
    for name, (arm, _) in ARMS.items():
        cells = table_views.verdicts(name).reset_index()
        found += complete(name, cells[cells["arm"] == arm])
    return found


def of_incomplete_sets() -> list[Claim]:
    """Those of Tables 3 and 4 and of Figure 6."""
    tables = ("table3", "table4")
    cells = [claim for name in tables for claim in incomplete(name, incomplete_views.verdicts(name).reset_index())]
    return cells + figure(incomplete_views.read_off().reset_index())


def complete(name: str, cells: pd.DataFrame) -> list[Claim]:
    """The claims of Table 1 or 2.

    Args:
        cells: columns m, cosine, runs, ours, ours ±, paper, verdict.
    """
    found = []
    for row in cells.to_dict("records"):
        m, symbol = int(row["m"]), str(row["cosine"])
        control = _untrained({"concepts": m})[symbol]
        what, where = f"{m} concepts, {ARMS[name][1]}", f"tables:sec-tables-{name[-1]}"
        found.append(_claim(row, f"{name}-m{m}", f"Table {name[-1]}", what, symbol, control, where))
    return found


def incomplete(name: str, cells: pd.DataFrame) -> list[Claim]:
    """The claims of Table 3 or 4; `cells` as in `complete`, with cell in place of m."""
    found = []
    for row in cells.to_dict("records"):
        cell, symbol = str(row["cell"]), str(row["cosine"])
        fields = CELLS[name][cell]
        control = _untrained(fields)[symbol]
        what = f"{fields['concepts']} concepts, some of the masks" + (" and words" if name == "table4" else f", {cell}")
        where = f"incomplete:sec-incomplete-{name[-1]}"
        found.append(_claim(row, f"{name}-{_short(cell)}", f"Table {name[-1]}", what, symbol, control, where))
    return found


def figure(read: pd.DataFrame) -> list[Claim]:
    """The claims of Figure 6; `read` is of `linrep.experiments.incomplete_views.read_off`."""
    found = []
    for row in read.to_dict("records"):
        cell, symbol = READ[str(row["read off"])]
        numbers = {**row, "runs": RUNS, "paper": row["paper, about"]}
        control = _untrained(CELLS["figure6"][cell])[symbol]
        what, where = f"{cell}, read off the drawing", "incomplete:sec-incomplete-figure6"
        found.append(_claim(numbers, f"figure6-{_short(cell)}", "Figure 6", what, symbol, control, where))
    return found


def interval(mean: float, stderr: float, runs: int) -> tuple[float, float]:
    """The 95 % interval of a mean of independent runs, by Student's t."""
    half = float(stats.t.ppf(0.975, runs - 1)) * stderr
    return mean - half, mean + half


def _claim(
    row: Mapping[Hashable, Any], key: str, source: str, what: str, symbol: str, control: float, where: str
) -> Claim:
    """The claim of one cell; `row` has its runs, ours, ours ±, paper and verdict."""
    low, high = interval(row["ours"], row["ours ±"], row["runs"])
    return Claim(
        key=f"{key}-{symbol}",
        statement=f"The mean cosine {symbol} is the paper's: {what}.",
        source=f"paper, {source}",
        hypotheses="H1 training, to the clock of the rule; our choices where the paper states none",
        verdict=row["verdict"],
        measured=f"{symbol}, mean of {row['runs']} runs",
        number=float(row["ours"]),
        broken=f"H1: before training, {STARTS} seeds",
        control=control,
        where=where,
        paper=float(row["paper"]),
        low=low,
        high=high,
    )


def _short(cell: str) -> str:
    """The name of a cell as a part of a key."""
    return cell.replace(" ", "").replace("=", "").replace(",", "-")


def _untrained(fields: Mapping[str, Any]) -> dict[str, float]:
    """U, E and UE at the starts of a setting, means."""
    return _at_start(tuple(sorted(fields.items())))


@cache
def _at_start(fields: tuple[tuple[str, Any], ...]) -> dict[str, float]:
    setting = Setting(**dict(fields))
    batches = make_batches(setting, range(STARTS))
    found = pd.concat([pd.DataFrame(measure(each.population, each.start).per_replicate()) for each in batches])
    return {symbol: float(found[column].mean()) for column, symbol in COSINES.items()}
