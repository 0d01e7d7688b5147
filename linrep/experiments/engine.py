"""The benchmark's record, as the chapter on the engine shows it. The measuring is in benchmarks/engine.py."""

from pathlib import Path

import pandas as pd

from linrep.errors import InputError
from linrep.results import Record, read_record

PASSES = 4
"""How often a pass goes over the buffer of logits: to fill it, for the powers, for the error, and for the gradients."""


def recorded() -> Record:
    """The record of the benchmark.

    Raises:
        InputError: there is none; names the command that makes it.
    """
    path = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "engine.json"
    if not path.is_file():
        raise InputError(f"there is no benchmark in {path}; make it: make bench")
    return read_record(path)


def costs(record: Record, *, by: str) -> pd.DataFrame:
    """ns a logit: compiled on one and on all threads (a core's time, and wall time), plain torch, and two limits.

    The limit is the arithmetic's alone; the roof adds `PASSES` over the buffer at the measured rate.

    Args:
        by: "m" for the shapes of Table 1, "k" for m = 6 with 20 replicates, "replicates" for m = k = 6.
    """
    rows = record.to_frame()
    kept = {
        "m": rows["k"].eq(rows["m"]) & ~(rows["m"].eq(6) & rows["replicates"].ne(20)),
        "k": rows["m"].eq(6) & rows["replicates"].eq(20),
        "replicates": rows["m"].eq(6) & rows["k"].eq(6),
    }[by]
    most = rows["threads"].max()
    lines = []
    for value, part in rows[kept].groupby(by):
        single = part[part["engine"].eq("numba") & part["threads"].eq(1)].iloc[0]
        shared = part[part["engine"].eq("numba") & part["threads"].eq(most)].iloc[-1]
        plain = part[part["engine"].eq("torch")].iloc[0]
        line = {by: value, "one thread": single["wall"], "all threads, a core": shared["core"]}
        line |= {
            "all threads, wall": shared["wall"],
            "plain torch, wall": plain["wall"],
            "limit, a core": single["limit"],
        }
        roof = single["limit"] + PASSES * record.body["peaks"]["buffer pass"]
        lines.append(line | {"roof, a core": roof, "times the limit": shared["core"] / single["limit"]})
    return pd.DataFrame(lines).set_index(by)


def against_recipe(record: Record) -> pd.DataFrame:
    """Seconds of all runs of Table 1 to its clocks: the recipe, descent in both precisions, and their ratios; a sum.

    The recipe runs on one core, descent on all threads: "ratio, equal cores" divides by their number.
    """
    table = pd.DataFrame(record.body["table1"]).set_index("m")
    columns = ["recipe, s", "descent, s", "single precision, s"]
    table.loc["all"] = table[[*columns, "runs"]].sum()
    table["ratio"] = table["recipe, s"] / table["descent, s"]
    table["ratio, single"] = table["recipe, s"] / table["single precision, s"]
    table["ratio, equal cores"] = table["ratio"] / record.config["threads"]
    ratios = ["ratio", "ratio, single", "ratio, equal cores"]
    return table[["runs", "recipe, ms a step", *columns, *ratios]].astype({"runs": int})
