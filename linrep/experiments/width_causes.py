"""What moves linearity above k = m, one thing at a time, on the same worlds and starts.

Base: descent at the step that the rules find, m = 3, start N(0, 0.1²), to clock 10,000; at k = 8, and at k = m, where
little is to be gained. Every arm is compared with the base seed by seed. Fixed before the runs, but for "covariance",
the noise in one table, and Adam on exact gradients, which were added after the others had been seen.
"""

import time
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from linrep.experiments.catalogue import Size
from linrep.experiments.width_measures import measured
from linrep.history import follow
from linrep.loss import Loss, PopulationLoss
from linrep.perturbed import AdamScaled, Decayed, Noisy
from linrep.pilot import CLOCKS, Batch, steps_to
from linrep.results import Record, json_rows, short, unfinished_folder
from linrep.setting import Setting
from linrep.sharpness import sharpness
from linrep.simulate import make_batches, setting_pace
from linrep.sweep import Task, own_workers, run_tasks
from linrep.theory.other_losses import label_smoothing
from linrep.train import Trained

NAME = "width_causes"
M, DIMS, SCALE, CLOCK, SEEDS = 3, (8, 3), 0.1, CLOCKS[2], 20

Arm = dict[str, float | int | str]

ARMS: dict[str, Arm] = {
    "descent": {},
    "SGD 0.1, 20": {"how": "sgd", "rate": 0.1, "batch": 20},
    "SGD 0.5, 100": {"how": "sgd", "rate": 0.5, "batch": 100},
    "SGD 1, 200": {"how": "sgd", "rate": 1.0, "batch": 200},
    "SGD 0.1, 100": {"how": "sgd", "rate": 0.1, "batch": 100},
    "SGD 1, 1000": {"how": "sgd", "rate": 1.0, "batch": 1000},
    "SGD 0.1, 1000": {"how": "sgd", "rate": 0.1, "batch": 1000},
    "SGD 1, 20": {"how": "sgd", "rate": 1.0, "batch": 20},
    "noise 1, 200": {"how": "noise", "rate": 1.0, "batch": 200},
    "noise 0.5, 100": {"how": "noise", "rate": 0.5, "batch": 100},
    "noise 1, 20": {"how": "noise", "rate": 1.0, "batch": 20},
    "covariance 1, 200": {"how": "covariance", "rate": 1.0, "batch": 200},
    "noise in F 1, 200": {"how": "noise", "rate": 1.0, "batch": 200, "only": "F"},
    "noise in G 1, 200": {"how": "noise", "rate": 1.0, "batch": 200, "only": "G"},
    "step x 2": {"times": 2},
    "step x 4": {"times": 4},
    "decay 1e-5": {"how": "decay", "by": 1e-5},
    "decay 1e-4": {"how": "decay", "by": 1e-4},
    "decay 1e-3": {"how": "decay", "by": 1e-3},
    "decay 1e-2": {"how": "decay", "by": 1e-2},
    "smoothing 0.001": {"how": "smoothing", "by": 1e-3},
    "smoothing 0.01": {"how": "smoothing", "by": 1e-2},
    "smoothing 0.1": {"how": "smoothing", "by": 1e-1},
    "Adam 0.001": {"how": "adam", "rate": 0.001},
    "Adam 0.01": {"how": "adam", "rate": 0.01},
    "exact Adam 0.001": {"how": "exact adam", "rate": 0.001},
    "exact Adam 0.01": {"how": "exact adam", "rate": 0.01},
}
"""What differs from the base. `how`: SGD and Adam on minibatches, normal noise of the amount of a minibatch's, or with
its covariance, weight decay, label smoothing, Adam on the exact gradient; without it, descent, at `times` the step.
Adam's clock counts steps."""

RECIPE_DIMS = (3, 4, 5, 6, 8, 12)
"""Where the paper's recipe, SGD with rate 0.1 and batch 100 from the linear start, is run beside descent."""


def record(size: Size) -> Record:
    """Every arm, and the paper's recipe ("smoke": four arms at k = 8, three seeds to clock 1,000)."""
    began = time.perf_counter()
    if size == "paper":
        given = [{"k": k, "name": name, "clock": CLOCK, "seeds": SEEDS} for k in DIMS for name in ARMS]
        given += [
            {"k": k, "name": name, "clock": CLOCK, "seeds": SEEDS, "start": "linear"}
            for k in RECIPE_DIMS
            for name in ("descent", "SGD 0.1, 100")
        ]
    else:
        names = ("descent", "SGD 1, 200", "noise 1, 200", "decay 1e-2")
        given = [{"k": 8, "name": name, "clock": CLOCKS[0], "seeds": 3} for name in names]
    tasks = [Task(f"{__name__}:arm", {**each, "sharp": True}) for each in given]
    workers = own_workers() if size == "paper" else 0
    found = run_tasks(tasks, folder=unfinished_folder(NAME), workers=workers, progress=True, label="arms")
    body = {part: [row for each in found for row in each[part]] for part in ("arms", "per_seed")}
    config = {"concepts": M, "scale": SCALE, "clock": CLOCK if size == "paper" else CLOCKS[0]}
    return Record(NAME, config, (), "per_seed", body, round(time.perf_counter() - began, 3))


def arm(
    k: int,
    name: str,
    clock: int,
    seeds: int,
    start: Literal["linear", "small"] = "small",
    step_size: float | None = None,
    sharp: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """One arm: how it was run (arms, one row), and a row for each seed and each of `CLOCKS` (per_seed).

    Args:
        step_size: None for the arm's rate, or what the rules find.
        sharp: also the sharpness of the exact loss at the last clock, times the step, for each seed ("edge").

    Raises:
        DivergenceError: training left the finite numbers.
    """
    setting = Setting(concepts=M, dim=k, init_scale=SCALE if start == "small" else None)
    given = ARMS[name]
    step_size = step_size or _step(setting, given, clock)
    batches = make_batches(setting, range(seeds))
    trained = [_train(batch, given, step_size, clock) for batch in batches]
    rows = pd.concat([found for _, found in trained])
    place = {"k": k, "start": start, "arm": name}
    columns = ["seed", "clock", "kl", "unembedding", "embedding", "matched", "between", "imbalance", "g degree 1"]
    kept = [*columns, *(["monotone"] if "monotone" in rows else [])]
    how: dict[str, Any] = {**place, "step_size": step_size, "seeds": seeds}
    if sharp:
        values = [_sharpness(batch, each) for batch, (each, _) in zip(batches, trained, strict=True)]
        how["edge"] = [short(step_size * value) for value in torch.cat(values).tolist()]
    return {"arms": [how], "per_seed": [{**place, **row} for row in json_rows(rows[kept])]}


def _step(setting: Setting, given: Mapping[str, Any], clock: int) -> float:
    """The rate that an arm has, or the step of the rules, which is found for descent, times what the arm says."""
    if "rate" in given:
        return float(given["rate"])
    return setting_pace(setting, clock=clock).step_size * float(given.get("times", 1))


def _train(batch: Batch, given: Mapping[str, Any], step_size: float, clock: int) -> tuple[Trained, pd.DataFrame]:
    """A batch of seeds, trained and along the clock."""
    how = given.get("how")
    unit = 1.0 if how in ("adam", "exact adam") else step_size
    marks = {steps_to(mark, unit): mark for mark in CLOCKS if mark <= clock}
    optimizer: Literal["gd", "sgd", "adam"] = how if how in ("sgd", "adam") else "gd"
    config = Setting(concepts=M, optimizer=optimizer, batch=int(given.get("batch", 100))).training(
        step_size, max(marks)
    )
    return follow(batch, config, marks, measured(batch.population), loss=_loss(batch, given))


def _sharpness(batch: Batch, trained: Trained) -> Float[Tensor, " replicates"]:
    """Of the exact loss at trained tables."""
    tables = (trained.embedding.double(), trained.unembedding.double())
    return sharpness(PopulationLoss.of(batch.population, dtype=tables[0].dtype, device="cpu"), tables)


def _loss(batch: Batch, given: Mapping[str, Any]) -> Loss | None:
    """What is descended in place of the exact loss."""
    exact = PopulationLoss.of(batch.population, dtype=batch.start[0].dtype, device="cpu")
    match given.get("how"):
        case "noise":
            return Noisy(exact, batch=int(given["batch"]), seeds=batch.seeds, only=given.get("only"))
        case "covariance":
            return Noisy(exact, batch=int(given["batch"]), seeds=batch.seeds, shape="covariance")
        case "exact adam":
            return AdamScaled(exact)
        case "decay":
            return Decayed(exact, float(given["by"]))
        case "smoothing":
            return label_smoothing(batch.population, epsilon=float(given["by"]))
    return None
