"""When linearity peaks, how far it falls while the loss still improves, and what is fitted meanwhile.

Rules. A seed counts if it is fitted and monotone at the last clock, at the step and at half of it, and if halving the
step moves none of its cosines, at any mark from the clock of the clock rule on, by 0.005 or more; a first version, seen
to fail where cosines rise steeply, began at clock 1,000. The step is the one that `linrep.pilot` finds for dependent
worlds from the linear start over the whole horizon, for all arms of one m.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.experiments import late_phase_parts as parts
from linrep.experiments.catalogue import Size
from linrep.experiments.full_tables import RULE_CLOCK
from linrep.experiments.late_phase_worlds import arms, batch_of
from linrep.history import Columns, follow
from linrep.linearity import measure
from linrep.pilot import CLOCKS, FITTED_KL, STEP_EFFECT, Batch, steps_to
from linrep.results import Record, json_rows, short, unfinished_folder
from linrep.setting import Setting
from linrep.simulate import COSINES, setting_pace
from linrep.spectrum import degree_weights
from linrep.start import Tables
from linrep.stats import estimate
from linrep.sweep import Task, own_workers, run_tasks
from linrep.theory.interaction import product_floor

NAME = "late_phase"
HORIZON = CLOCKS[4]
SEEDS = {3: 20, 4: 20, 5: 20}
FROM = {m: RULE_CLOCK[m] for m in SEEDS}
"""The first clock at which a step is checked, for each m. Before it cosines rise steeply, and half a step of time shows
in them."""

MOMENTS = ("leak", "singles", "interactions")
SERIES = ("kl", *COSINES, "between", "imbalance", *MOMENTS, "first", "higher", "bend")
"""What is followed: late_phase_parts says what the last six are; bend is the share of degree two and more in g."""


def record(size: Size) -> Record:
    """Every arm ("smoke": m = 3 with 4 seeds to clock 3,162). Finished arms wait on disk until the record is made."""
    began, folder = time.perf_counter(), unfinished_folder(NAME)
    seeds, horizon = (SEEDS, HORIZON) if size == "paper" else ({3: 4}, CLOCKS[1])
    workers = own_workers() if size == "paper" else 0
    steps = run_tasks(
        [Task(f"{__name__}:step", {"m": m, "clock": horizon}) for m in seeds], folder=folder, workers=workers
    )
    sizes = dict(zip(seeds, steps, strict=True))
    named = {name: given | {"step_size": sizes[given["m"]]} for name, given in arms(seeds, horizon).items()}
    tasks = [Task(f"{__name__}:arm", given) for given in named.values()]
    found = dict(zip(named, run_tasks(tasks, folder=folder, workers=workers, progress=True, label="arms"), strict=True))
    few = {**next(iter(named.values())), "seeds": min(10, seeds[3])}
    (quarter,) = run_tasks([Task(f"{__name__}:quarter_step", few)], folder=folder)
    body = {
        "arms": [{"arm": name, **named[name], **arm["how"]} for name, arm in found.items()],
        "means": [{"arm": place, **row} for place, arm in enumerate(found.values()) for row in arm["means"]],
        "per_seed": [{"arm": place} | columns(arm["per_seed"]) for place, arm in enumerate(found.values())],
        "quarter": quarter,
    }
    return Record(NAME, {"step_sizes": sizes}, (), "means", body, round(time.perf_counter() - began, 3))


def step(m: int, clock: int) -> float:
    """The step size of dependent worlds of m concepts, found on the pilots."""
    return setting_pace(Setting(concepts=m), clock=clock).step_size


def arm(m: int, start: str, world: str, seeds: int, clock: int, step_size: float, spare: int = 0) -> dict[str, Any]:
    """One arm at its step and at half of it: means over the seeds that count, and one row for each seed."""
    batch = batch_of(m, start, world, range(seeds), spare=spare)
    whole, last = along(batch, clock=clock, step_size=step_size)
    half, _ = along(batch, clock=clock, step_size=step_size, finer=2, whole=False)
    table = last.assign(moved=moved(whole, half, FROM[m]), half=half.groupby("seed")["monotone"].first())
    table["counts"] = (
        (table["kl"] <= FITTED_KL) & table["monotone"] & table.pop("half") & (table["moved"] < STEP_EFFECT)
    )
    kept = whole[whole["seed"].isin(table.index[table["counts"]])]
    other = half[half["seed"].isin(kept["seed"])]
    rows = [_means(clock, rows) for clock, rows in kept.dropna().groupby("clock")]
    late = [part[part["clock"] >= FROM[m]] for part in (kept, other)]
    how = {"half step moves": short(largest_shift(*late)), "early too": short(largest_shift(kept, other))}
    how |= {"moved": short(float(table["moved"][table["counts"]].max()))} if table["counts"].any() else {}
    return {
        "how": how | {"monotone": int(table["monotone"].sum()), "fitted": int((table["kl"] <= FITTED_KL).sum())},
        "means": rows if world == "dependent" else [_brief(row) for row in rows[::2]],
        "per_seed": per_seed(table),
    }


def quarter_step(m: int, start: str, world: str, seeds: int, clock: int, step_size: float) -> dict[str, Any]:
    """For each monotone seed the largest change of a cosine, from `FROM` on, when the step is divided by four."""
    batch = batch_of(m, start, world, range(seeds))
    whole, fine = (along(batch, clock=clock, step_size=step_size, finer=finer, whole=False)[0] for finer in (1, 4))
    change = moved(whole, fine, FROM[m])[whole.groupby("seed")["monotone"].first()]
    return {"seeds": len(change), "moved": [short(value) for value in change]}


def along(
    batch: Batch, *, clock: int, step_size: float, finer: int = 1, whole: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train a batch, looking at the clocks of `marks_to`: eight to a factor of ten.

    Args:
        finer: by what the step is divided; the same moments are looked at.
        whole: also take the KL divergence apart, at every other mark and at the last.

    Returns:
        One row for each seed and mark (seed, clock, monotone over the run, and `SERIES`, missing where not taken); and
        one for each seed at the end: floor, peak (the clock of the largest U), top (that U), kl at top, and `SERIES`.
    """
    marks = {steps_to(mark, step_size) * finer: mark for mark in marks_to(clock)}
    split_at = set(list(marks)[::-2])

    def look(step: int, tables: Tables) -> Columns:
        values = measure(batch.population, tables).per_replicate()
        return values | taken_apart(batch, tables) if whole and step in split_at else values

    config = Setting(concepts=batch.population.concepts).training(step_size / finer, max(marks))
    _, found = follow(batch, config, marks, look)
    return found, _at_the_end(batch, found)


def taken_apart(batch: Batch, tables: Tables) -> dict[str, Float[np.ndarray, " replicates"]]:
    """The parts of the KL divergence, also by how many concepts are known; the gaps by degree; the bend of g."""
    population = batch.population
    split = parts.split(population, tables)
    found = {name: parts.by_known(getattr(split, name), population).numpy() for name in MOMENTS}
    gap = parts.logit_gap(population, tables)
    weights = degree_weights(tables[1], population.tokens)
    values = {name: table.sum(axis=1) for name, table in found.items()}
    for known in range(population.concepts + 1):
        values[f"known {known}"] = sum(table[:, known] for table in found.values())
    bend = weights[:, 2:].sum(dim=-1) / weights[:, 1:].sum(dim=-1)
    return values | {"first": gap.first.numpy(), "higher": gap.higher.numpy(), "bend": bend.numpy()}


def marks_to(clock: int) -> list[int]:
    """Clocks even in the logarithm, eight to a factor of ten, from 100 on: `CLOCKS` are among them."""
    return [mark for eighth in range(16, 41) if (mark := round(10 ** (eighth / 8))) <= clock]


def moved(whole: pd.DataFrame, half: pd.DataFrame, first: int) -> "pd.Series[float]":
    """For each seed the largest change of U, E or UE, from a clock on."""
    once, twice = (rows[rows["clock"] >= first].set_index(["seed", "clock"])[list(COSINES)] for rows in (whole, half))
    found: pd.Series[float] = (once - twice).abs().max(axis=1).groupby("seed").max()
    return found


def largest_shift(whole: pd.DataFrame, half: pd.DataFrame) -> float:
    """The largest change of a mean cosine over seeds, at any clock, when the step is halved."""
    once, twice = (rows.groupby("clock")[list(COSINES)].mean() for rows in (whole, half))
    return float((once - twice).abs().to_numpy().max(initial=0.0))


def per_seed(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One row for each seed, six significant digits."""
    kept = ["floor", "peak", "top", "kl at top", "kl", "unembedding", "interactions", "counts"]
    return json_rows(table.reset_index()[["seed", *kept]])


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns, which take half the room."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def _at_the_end(batch: Batch, found: pd.DataFrame) -> pd.DataFrame:
    """One row for each seed: the world's product floor, the moment of the largest U, and the last mark."""
    top = found.loc[found.groupby("seed")["unembedding"].idxmax()].set_index("seed")
    last = found[found["clock"] == found["clock"].max()].set_index("seed").drop(columns="clock")
    floor = pd.Series(product_floor(batch.population).clip(0), index=batch.seeds)
    table: pd.DataFrame = last.assign(peak=top["clock"], top=top["unembedding"], floor=floor)
    return table.assign(**{"kl at top": top["kl"]})


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    """A row of means, its breakdown by known concepts left to the empty context alone."""
    return {name: value for name, value in row.items() if not name.startswith("known") or name == "known 0"}


def _means(clock: Any, rows: pd.DataFrame) -> dict[str, Any]:
    """Means over the seeds at a clock, and the standard error of U."""
    names = [*SERIES, *(name for name in rows if str(name).startswith("known"))]
    found: dict[str, Any] = {"clock": int(clock)} | {str(name): short(float(rows[name].mean())) for name in names}
    error = estimate(rows["unembedding"].to_numpy(float)).stderr
    return found | {"U ±": None if error != error else short(error)}
