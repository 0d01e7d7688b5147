"""The long runs behind the chapter on orthogonality: squares and products along training, at k = m and k = m + 1."""

import math
import time
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from linrep.experiments.catalogue import Size
from linrep.experiments.orthogonality_rows import square_rows, theorem_batch_rows
from linrep.linearity import measure
from linrep.pilot import FITTED_KL, Pace, halved
from linrep.results import Record, read_record, require_agreement, results_folder
from linrep.setting import Setting
from linrep.simulate import make_batches, setting_pace, simulate, step_effect
from linrep.start import Tables
from linrep.train import TrainConfig, train

NAME = "orthogonality"

SEEDS = range(20)

ARMS = {
    "no edges": Setting(concepts=4, edges=0),
    "random": Setting(concepts=4),
    "fully connected": Setting(concepts=4, edges=1),
    "random, k = 8": Setting(concepts=4, dim=8),
}
"""The worlds of the chapter, four concepts each, trained by the rules; k = 4 unless the name says more."""

LONG = {
    f"{name}, k = {dim}": Setting(concepts=4, dim=dim, edges=edges)
    for dim in (4, 5)
    for name, edges in (("no edges", 0.0), ("random", 0.5), ("fully connected", 1.0))
}
"""The worlds followed to the horizon, at k = m and at k = m + 1."""

HORIZON = 31_623

CLOCKS = (100, 316, 1000, 3162, 10_000, HORIZON)
"""The clocks recorded: even in the logarithm, from before the fit to the horizon."""

SLICE = ("random, k = 4", "random, k = 5")
"""The arms of which two seeds are run again, to clock 1,000, where the record is read."""

NUMBERS = ("kl", "U", "theorem", "gap", "cosine", "direction", "true", "model", "part", "opening", "departure", "need",
           "norm", "side", "pinned")  # fmt: skip


def record(size: Size) -> Record:
    """The record: paces of `ARMS`, and the rows of `LONG`.

    The long runs take half the step that the pilots allow; the whole step at the same clocks is the check.

    Raises:
        LinrepError: the pilots find no pace.
    """
    began = time.perf_counter()
    whole = size == "paper"
    seeds, clocks = (SEEDS, CLOCKS) if whole else (range(2), CLOCKS[:3])
    found = [_short(name, setting, seeds) for name, setting in ARMS.items()]
    rows = []
    for name, setting in LONG.items():
        if whole or name in SLICE:
            pace = setting_pace(setting, clock=HORIZON if whole else CLOCKS[2])
            half, once = (follow(name, setting, seeds, step, clocks) for step in (pace.step_size / 2, pace.step_size))
            found.append(_arm(name, setting, halved(pace), half) | {"effect": _effect(half, once)})
            rows += half.to_dict("records")
    body = {"squares": [{key: _plain(value) for key, value in row.items()} for row in rows], "arms": found}
    return Record(NAME, {"clocks": list(clocks)}, tuple(seeds), "squares", body, round(time.perf_counter() - began, 3))


def recorded() -> Record:
    """The record of this chapter.

    Raises:
        InputError: there is no record.
    """
    return read_record(results_folder() / f"{NAME}.json")


def recorded_paces(record: Record) -> dict[str, Pace]:
    """The pace of every arm, as the rules found it on the pilots."""
    return {row["arm"]: Pace(row["step_size"], row["steps"]) for row in record.body["arms"]}


def arms_table(record: Record) -> pd.DataFrame:
    """Step, clock, number of fitted and monotone seeds, and what the step changes, for every arm of the record."""
    columns = {"step_size": "step size", "fitted": "fitted", "monotone": "monotone", "effect": "step moves"}
    table = pd.DataFrame(record.body["arms"]).set_index("arm")
    table.insert(0, "clock", (table["step_size"] * table["steps"]).round().astype(int))
    return table.rename(columns=columns)[["clock", *columns.values()]]


def slice_agrees(record: Record) -> int:
    """Run two seeds of the arms of `SLICE` again, to clock 1,000, and hold them to the record.

    Returns:
        The number of rows compared.

    Raises:
        LinrepError: a row or a number differs.
    """
    paces = recorded_paces(record)
    live = pd.concat([follow(name, LONG[name], range(2), paces[name].step_size, CLOCKS[:3]) for name in SLICE])
    on, numbers = ["arm", "seed", "clock", "relation"], [name for name in NUMBERS if name != "pinned"]
    require_agreement(record.to_frame(), live, on=on, columns=numbers, tolerance=1e-4)
    return len(live)


def follow(name: str, setting: Setting, seeds: range, step_size: float, clocks: tuple[int, ...]) -> pd.DataFrame:
    """Train the seeds and look at the clocks: one row for each clock, seed and relation.

    "separated" and "unconnected" are one class here, "not adjacent". Columns are `NUMBERS` and `monotone`.
    """
    batch = make_batches(setting, seeds)[0]
    marks = {math.ceil(clock / step_size): clock for clock in clocks}
    found: list[pd.DataFrame] = []

    def observe(step: int, tables: Tables, loss: Float[Tensor, " replicates"]) -> None:
        squares = square_rows(setting, batch, tables)
        products = theorem_batch_rows(setting, batch, tables)
        both = squares.merge(products.rename(columns={"cosine": "theorem"}), on=["seed", "relation"])
        kl = dict(zip(batch.seeds, (loss.double().cpu().numpy() - batch.population.entropy).tolist(), strict=True))
        linear = measure(batch.population, tables).per_replicate()["unembedding"]
        both["kl"], both["U"] = both["seed"].map(kl), both["seed"].map(dict(zip(batch.seeds, linear, strict=True)))
        found.append(merged(both).assign(clock=marks[step]))

    config = TrainConfig(step_size, max(marks))
    trained = train(
        batch.population, batch.start, config, seeds=batch.seeds, record_at=list(marks), observe=observe, warn=False
    )
    rows = pd.concat(found, ignore_index=True).assign(arm=name)
    assert trained.monotone is not None  # gradient descent always says
    rows["monotone"] = rows["seed"].map(dict(zip(batch.seeds, trained.monotone.tolist(), strict=True)))
    numbers = [column for column in NUMBERS if column in rows]
    return rows[["arm", "seed", "clock", "relation", *numbers, "monotone"]]


def merged(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with "separated" and "unconnected" as one class, "not adjacent"; a seed with both gives their mean."""
    two = rows.assign(relation=np.where(rows["relation"] == "adjacent", "adjacent", "not adjacent"))
    return two.groupby(["seed", "relation"], as_index=False).mean()


def _short(name: str, setting: Setting, seeds: range) -> dict[str, Any]:
    """What the rules chose for one of `ARMS`, and the check of its step."""
    pace = setting_pace(setting)
    once, twice = (simulate(setting, seeds=seeds, pace=each) for each in (pace, halved(pace)))
    rows = once.per_seed()
    return _arm(name, setting, pace, rows) | {"effect": _plain(step_effect(once, twice))}


def _arm(name: str, setting: Setting, pace: Pace, rows: pd.DataFrame) -> dict[str, Any]:
    """One arm's setting and pace, and how many of its seeds are fitted at the end and monotone throughout."""
    last = rows[rows["clock"] == rows["clock"].max()] if "clock" in rows else rows
    of_seed = last.drop_duplicates("seed")
    return {
        "arm": name,
        "dim": setting.width,
        "edges": setting.edges,
        "step_size": pace.step_size,
        "steps": pace.steps,
        "fitted": int((of_seed["kl"] <= FITTED_KL).sum()),
        "monotone": int(of_seed["monotone"].eq(True).sum()),
    }


def _effect(half: pd.DataFrame, once: pd.DataFrame) -> float:
    """The largest change of U or of a mean |cosine| at the horizon between the steps, over seeds monotone at both."""
    both = half.merge(once, on=["seed", "clock", "relation"], suffixes=("", " whole"))
    both = both[(both["clock"] == both["clock"].max()) & both["monotone"] & both["monotone whole"]]
    change = [(both[name] - both[f"{name} whole"]).abs().max() for name in ("U", "theorem", "cosine")]
    return float(f"{max(change):.6g}")


def _plain(value: Any) -> Any:
    """A number as a Python one; floats with six digits, more than any table shows."""
    plain = value.item() if isinstance(value, np.generic) else value
    return float(f"{plain:.6g}") if isinstance(plain, float) else plain
