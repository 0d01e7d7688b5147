"""Descent on its way to the limit of wide training: how far it is at each decade of the clock, without any decay.

Rules, fixed before the runs. m = 2 at k = 4 and m = 3 at k = 8, complete sets, fair masks; fair coins (the world of the
reduction) and the random worlds of the map; starts N(0, S²), S = 0.01, 0.1 and 1, ten seeds each.

- Descent on the exact loss to clock 10^6. A step costs 1 to 2 microseconds a seed, and the steps that these rules find
  are 0.02 to 1, so further decades are not affordable (a plan for 10^7 in one setting was dropped for its cost, after
  the first setting had been run). The step is half of what the rule of `linrep.pilot` finds on the pilots at clock
  10^5: the sharpest curvature grows like the logits, that is like ln t, and 6/5 is below 2. It is halved, up to three
  times, until the U of each seed agrees within 0.005 with that of gradient flow, at every decade to 10^5 (this halving
  was added after a trial with two seeds, where the first step was off by 0.0035). `monotone` is counted per seed, and
  halving the step once more must move no mean of U, E, UE by 0.005 there.
- Gradient flow from the same starts by a stiff solver, to 10^10. Where both are known, each seed's U must agree within
  0.005: then the step of descent does not matter, and the flow says what descent does at later clocks.
- Flow of fair coins from a symmetric start, to 10^300.
- Control: weight decay λ from the same starts, fair coins, m = 2, to clock 30/λ: descent at λ = 10^-2 and 10^-3, flow
  at 10^-4 and 10^-6. U, R and the distance must come to those of the regularised path within 0.01: else our measures
  could not see convergence.
- At clock t descent is compared with the path at λ = 1/t.

Predictions, written down before the runs, with U to clock 10^5 on random worlds known from the map: (1) R falls over
every decade from 10^4 on in every seed. (2) At its last clock the mean U of small starts (0.01) is above that of
S = 0.1 by 0.2 or more, and above the path's by 0.2 or more: the start is not forgotten. (3) From a small symmetric
start σ_2/σ_1 of m = 2 grows as (ln t)^(τ − 1) while it is small, τ = 4/√6 = 1.633 the force that the margins of the
linear solution leave on degree two, over that on degree one (ours, a heuristic).
"""

import math
import time
from typing import Any, Literal

import pandas as pd
import torch

from linrep.concepts import ConceptGraph
from linrep.experiments.catalogue import Size
from linrep.experiments.late_phase import largest_shift
from linrep.history import Columns, Look, follow
from linrep.linearity import measure
from linrep.loss import PopulationLoss
from linrep.perturbed import Decayed
from linrep.pilot import CLOCKS, STEP_EFFECT, Batch, steps_to
from linrep.population import Population
from linrep.results import Record, json_rows, short, unfinished_folder
from linrep.setting import Setting
from linrep.simulate import make_batches, setting_pace
from linrep.spectrum import degree_weights, shares
from linrep.start import Tables
from linrep.sweep import Task, own_workers, run_tasks
from linrep.theory.cube_flow import cube_flow
from linrep.theory.cube_margin import CubeMargin, centred_logits, degree_sizes, nuclear_norm, solve_cube
from linrep.theory.gradient_flow import flow
from linrep.theory.margin_cost import centred_products, least_margin, nuclear_norms, shape_distance
from linrep.theory.regularised_path import solve_path

NAME = "limit_descent"
World = Literal["coins", "random"]

SIZES, WORLDS = (2, 3), ("coins", "random")
SCALES = {"0.01": 0.01, "0.1": 0.1, "1": 1.0}
SEEDS = 10

HORIZON, LATE = 10**6, 10**10
"""The last clocks of descent and of the flow."""

LIVE: tuple[int, World, str] = (2, "coins", "0.1")
"""m, world and start of the setting that is run in short, and repeated when the book is built."""

MODERATE = CLOCKS[4]
"""The clock at which the step is found and halved."""

HALVINGS = 3

DECAYS: dict[float, Literal["descent", "flow"]] = {1e-2: "descent", 1e-3: "descent", 1e-4: "flow", 1e-6: "flow"}
SETTLED = 30
"""λ times the clock at which decay has done its work: what is left of the start's imbalance is e^−60."""

FAR = (*(10.0**power for power in range(3, 11)), 1e30, 1e100, 1e300)
"""Clocks of the symmetric flow."""


def record(size: Size) -> Record:
    """All cells ("smoke": m = 2, one start, two seeds, to clocks 10^3 and 10^4). Finished cells wait on disk."""
    began = time.perf_counter()
    whole = size == "paper"
    places = [(m, world, start) for m in SIZES for world in WORLDS for start in SCALES] if whole else [LIVE]
    seeds, end, late = (SEEDS, HORIZON, LATE) if whole else (2, 10**3, 10**4)
    tasks = []
    for m, world, start in places:
        place = {"m": m, "world": world, "start": start, "seeds": seeds}
        tasks.append(Task(f"{__name__}:descent", place | {"clock": end}))
        tasks.append(Task(f"{__name__}:undecayed_flow", place | {"clock": late}))
    controls = [(start, decay) for decay in DECAYS for start in SCALES] if whole else [(LIVE[2], 1e-2)]
    tasks += [Task(f"{__name__}:decayed", {"start": start, "decay": by, "seeds": seeds}) for start, by in controls]
    held_to = {"sizes": sorted({m for m, *_ in places}), "starts": sorted({start for *_, start in places})}
    tasks.append(Task(f"{__name__}:references", held_to))
    workers = own_workers() if whole else 0
    found = run_tasks(tasks, folder=unfinished_folder(NAME), workers=workers, progress=True, label="cells")
    body = {part: [row for each in found for row in each.get(part, [])] for part in ("cells", "per_seed", "references")}
    config = {"scales": SCALES, "decays": list(DECAYS)}
    return Record(NAME, config, tuple(range(seeds)), "per_seed", body, round(time.perf_counter() - began, 3))


def descent(m: int, world: World, start: str, seeds: int, clock: int) -> dict[str, list[dict[str, Any]]]:
    """Descent of one setting: how it was run (cells, one row), and the measures of each seed and decade (per_seed)."""
    setting = setting_of(m, world, start)
    step_size, early = _fine_step(setting, range(seeds), clock=min(clock, MODERATE))
    half = along(setting, range(seeds), step_size=step_size / 2, clock=min(clock, MODERATE))
    moved = largest_shift(early, half)
    rows = early if clock <= MODERATE else along(setting, range(seeds), step_size=step_size, clock=clock)
    place = {"how": "descent", "m": m, "world": world, "start": start}
    last = rows[rows["clock"] == clock]
    cell = place | {"clock": clock, "seeds": seeds, "step_size": step_size, "halving moves": short(moved)}
    return {"cells": [cell | {"monotone": int(last["monotone"].sum())}], "per_seed": _placed(rows, place)}


def along(setting: Setting, seeds: range, *, step_size: float, clock: int, decay: float | None = None) -> pd.DataFrame:
    """Some seeds trained to a clock: a row for each seed and decade, with kl (nats), the measures, and monotone.

    Args:
        decay: λ of a weight decay that is descended with the loss.
    """
    marks = {steps_to(mark, step_size): mark for mark in decades(clock)}
    tables = []
    for batch in make_batches(setting, seeds):
        loss = None if decay is None else Decayed(_exact(batch), decay)
        config = setting.training(step_size, max(marks))
        tables.append(follow(batch, config, marks, measured(batch.population), loss=loss, engine=setting.engine)[1])
    return pd.concat(tables, ignore_index=True)


def undecayed_flow(m: int, world: World, start: str, seeds: int, clock: int) -> dict[str, list[dict[str, Any]]]:
    """Gradient flow of one setting, by the stiff solver: the measures of each seed and decade (per_seed)."""
    rows = flow_along(setting_of(m, world, start), range(seeds), clock=clock)
    return {"per_seed": _placed(rows, {"how": "flow", "m": m, "world": world, "start": start})}


def flow_along(setting: Setting, seeds: range, *, clock: int, decay: float = 0.0) -> pd.DataFrame:
    """The same for gradient flow; it has no monotone."""
    rows = []
    for seed in seeds:
        (batch,) = make_batches(setting, (seed,))
        exact, look, marks = _exact(batch), measured(batch.population), decades(clock)
        for mark, tables in zip(marks, flow(exact, batch.start, marks, decay=decay), strict=True):
            kl = exact.value(tables).numpy() - batch.population.entropy
            rows.append(pd.DataFrame({"seed": [seed], "clock": mark, "kl": kl} | dict(look(0, tables))))
    return pd.concat(rows, ignore_index=True)


def decayed(start: str, decay: float, seeds: int) -> dict[str, list[dict[str, Any]]]:
    """The control: fair coins, m = 2, with weight decay, to clock 30/λ; the measures of each seed (per_seed)."""
    setting, clock = setting_of(2, "coins", start), round(SETTLED / decay)
    if DECAYS[decay] == "flow":
        rows = flow_along(setting, range(seeds), clock=clock, decay=decay)
    else:
        step_size = setting_pace(setting, clock=CLOCKS[0]).step_size / 2
        rows = along(setting, range(seeds), step_size=step_size, clock=clock, decay=decay)
    place = {"how": "decayed", "m": 2, "world": "coins", "start": start, "decay": decay}
    return {"per_seed": _placed(rows[rows["clock"] == clock], place)}


def references(sizes: list[int], starts: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The path at λ = 1/t and at the control's λ, and the symmetric flow of fair coins: what descent is held to."""
    rows = []
    for m in sizes:
        best = solve_cube(m)
        clocks = sorted({*FAR, *(1 / decay for decay in DECAYS)})
        for clock in clocks:
            point = solve_path(m, 1 / clock)
            rows.append({"how": "path", "m": m, "start": "", "clock": clock, "unembedding": point.linearity}
                        | _costs_of(point.logits, best))  # fmt: skip
        for start in starts:
            rows += [
                {"how": "symmetric", "m": m, "start": start, "clock": each.clock, "unembedding": each.linearity}
                | _costs_of(each.logits, best) | {"degree 2": float(each.weights[1] / each.weights[0])}
                for each in cube_flow(m, SCALES[start], FAR)
            ]  # fmt: skip
    return {"references": json_rows(pd.DataFrame(rows), unknown="degree 2")}


def largest_gap(rows: pd.DataFrame, others: pd.DataFrame, *, column: str = "unembedding") -> float:
    """The largest difference of a measure between two runs of the same seeds, over the clocks that both have."""
    both = rows.merge(others, on=["seed", "clock"], suffixes=("", " other"), validate="one_to_one")
    return float((both[column] - both[f"{column} other"]).abs().max())


def setting_of(m: int, world: World, start: str) -> Setting:
    """k = 2^m, a world and a start by name."""
    coins = ConceptGraph.from_tables(parents=[[]] * m, tables=[0.5] * m) if world == "coins" else None
    return Setting(concepts=m, dim=2**m, init_scale=SCALES[start], graph=coins)


def decades(clock: float) -> list[float]:
    """1,000, 10,000, ... below a clock, and the clock itself."""
    return [*(10**power for power in range(3, math.ceil(math.log10(clock) - 1e-9))), clock]


def measured(population: Population) -> Look:
    """The cosines, the share of degree one in G, the norm and the margin of the logits, and their distance in shape."""
    optimum, support = centred_logits(solve_cube(population.concepts).margins), population.consistent

    def look(_: int, tables: Tables) -> Columns:
        logits = centred_products(tables)
        first = shares(degree_weights(tables[1], population.tokens))[:, 1]
        found = {"degree 1": first, "norm": nuclear_norms(logits), "margin": least_margin(logits, support)}
        found["apart"] = shape_distance(logits, optimum)
        return measure(population, tables).per_replicate() | {name: each.numpy() for name, each in found.items()}

    return look


def _fine_step(setting: Setting, seeds: range, *, clock: int) -> tuple[float, pd.DataFrame]:
    """The step at which descent follows the flow, by the rules above, and the rows of descent to the clock."""
    ideal = flow_along(setting, seeds, clock=clock)
    step_size = setting_pace(setting, clock=clock).step_size / 2
    rows = along(setting, seeds, step_size=step_size, clock=clock)
    for _ in range(HALVINGS):
        if largest_gap(rows, ideal) < STEP_EFFECT:
            break
        step_size = step_size / 2
        rows = along(setting, seeds, step_size=step_size, clock=clock)
    return step_size, rows


def _costs_of(pattern: Any, best: CubeMargin) -> dict[str, float]:
    """Norm, margin and distance in shape of symmetric logits."""
    off = best.margins > 0
    apart = shape_distance(torch.from_numpy(centred_logits(pattern)), centred_logits(best.margins))
    margin = float(pattern[off].min())
    return {"norm": nuclear_norm(degree_sizes(pattern)), "margin": margin, "apart": float(apart)}


def _exact(batch: Batch) -> PopulationLoss:
    return PopulationLoss.of(batch.population, dtype=batch.start[0].dtype, device="cpu")


def _placed(rows: pd.DataFrame, place: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows for the record: where they are from, and the numbers shortened."""
    return [place | row for row in json_rows(rows.drop(columns="between"))]
