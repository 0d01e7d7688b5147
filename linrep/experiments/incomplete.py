"""Tables 3 and 4, Figures 6 and 7a of the paper: training on some of the masks or tokens, or in fewer dimensions.

Where the paper gives a number (50 or 100 masks) it is ours; where it gives none, these are our choices, made before any
run: in Table 4 100 masks and 512 tokens, for ten and for twelve concepts, and in Figure 6 50 masks. The record
"incomplete" varies them.
"""

import time
from typing import Any

import numpy as np

from linrep.experiments.catalogue import Size
from linrep.experiments.incomplete_runs import Fields, frame, pace_task, seed_task
from linrep.pilot import CLOCKS
from linrep.results import Record, json_rows, read_record, results_folder, unfinished_folder
from linrep.sweep import Task, own_workers, run_tasks

CELLS: dict[str, dict[str, Fields]] = {
    "table3": {"50 masks": {"concepts": 10, "masks": 50}, "100 masks": {"concepts": 10, "masks": 100}},
    "table4": {
        "m = 10": {"concepts": 10, "masks": 100, "tokens": 512},
        "m = 12": {"concepts": 12, "masks": 100, "tokens": 512},
    },
    "figure6": {
        f"m = {m}, k = {k}": {"concepts": m, "dim": k, "masks": 50}
        for m, sizes in ((7, (5, 6, 7)), (10, (8, 9, 10)))
        for k in sizes
    },
}
"""What each record trains, by cell."""

SAME = {("figure6", "m = 10, k = 10"): ("table3", "50 masks")}
"""A cell that is another record's: its runs are taken from there."""

SMOKE: dict[str, dict[str, Fields]] = {  # to clock 3,162
    "table3": {"6 masks": {"concepts": 4, "masks": 6}},
    "table4": {"m = 4": {"concepts": 4, "masks": 10, "tokens": 12}},
    "figure6": {"m = 4, k = 3": {"concepts": 4, "dim": 3, "masks": 8}},
}

RUNS = 10
"""Runs of each cell, as in the paper."""

EARLIER, FEWER = CLOCKS[3], 5
"""Choices are varied at clock 31,623, with five seeds: a sixth of the work; each is held to the base at that clock."""

LAWS: dict[str, Fields] = {"masks often": {"mask_law": "often"}, "masks rarely": {"mask_law": "rarely"}}
WORLDS: dict[str, Fields] = {
    "edges 0": {"edges": 0.0},
    "edges 1": {"edges": 1.0},
    "start N(0, .1²)": {"init_scale": 0.1},
}
MASKS: dict[str, Fields] = {"25 masks": {"masks": 25}, "100 masks": {"masks": 100}}

VARIANTS: dict[tuple[str, str], dict[str, Fields]] = {
    ("table3", "50 masks"): WORLDS | LAWS,
    ("table4", "m = 10"): {
        "256 tokens": {"tokens": 256},
        "1,024 tokens": {"tokens": 1024},
        "50 masks": {"masks": 50},
    }
    | LAWS,
    ("table4", "m = 12"): {"1,024 tokens": {"tokens": 1024}, "50 masks": {"masks": 50}} | LAWS,
    ("figure6", "m = 7, k = 5"): MASKS | WORLDS | LAWS,
    ("figure6", "m = 7, k = 6"): MASKS,
    ("figure6", "m = 7, k = 7"): MASKS,
}
"""What is changed, by record, cell and name; 1,024 tokens of ten concepts are all of them."""

SGD_CLOCKS = {
    ("table3", "50 masks"): CLOCKS[2],
    ("table4", "m = 10"): CLOCKS[2],
    ("figure6", "m = 7, k = 5"): EARLIER,
    ("figure6", "m = 7, k = 7"): EARLIER,
}
"""Where, and to what clock, the paper's recipe is run beside descent: as far as is affordable."""


WITHOUT_EDGES = ("m = 7, k = 5", "m = 7, k = 6")
"""Cells of Figure 6 that are followed on worlds without edges too: their cosines were seen to fall late."""


def table3(size: Size) -> Record:
    """All tokens, 50 or 100 masks, ten runs; with the cosines of concept with concept (Figure 7a)."""
    return _record("table3", size, matrix=True)


def table4(size: Size) -> Record:
    """Some tokens and 100 masks, ten runs."""
    return _record("table4", size)


def figure6(size: Size) -> Record:
    """As many or fewer dimensions than concepts, 50 masks, ten runs."""
    return _record("figure6", size)


def incomplete(size: Size) -> Record:
    """Each choice of ours varied, SGD beside descent, half the step where a loss was seen to rise, and no edges.

    "smoke": one cell of Figure 6, two seeds, clock 1,000, and neither of the last two.
    """
    began = time.perf_counter()
    smoke = size == "smoke"
    seeds, clock = range(2 if smoke else FEWER), CLOCKS[0] if smoke else EARLIER
    cells = [("figure6", "m = 7, k = 6")] if smoke else list(VARIANTS)
    planned = [] if smoke else [pace_task(fields, horizon=CLOCKS[-1]) for fields in _edgeless().values()]
    halves = {} if smoke else _half_steps()
    named = {(name, cell, "half the step"): tasks for (name, cell), tasks in halves.items()}  # the dear ones first
    for name, cell in cells:
        step_size = recorded_cell(name, cell)["step_size"]
        for variant, change in VARIANTS[name, cell].items():
            fields = {**CELLS[name][cell], **change}
            named[name, cell, variant] = _tasks(fields, step_size=step_size, clock=clock, seeds=seeds)
    for name, cell in cells if smoke else SGD_CLOCKS:
        fields = {**CELLS[name][cell], "optimizer": "sgd"}
        end = CLOCKS[0] if smoke else SGD_CLOCKS[name, cell]
        named[name, cell, "sgd"] = _tasks(fields, step_size=0.1, clock=end, seeds=seeds)
    runs = iter(_done("incomplete", [*planned, *(task for tasks in named.values() for task in tasks)], size=size))
    paces = [next(runs) for _ in planned]
    varied, sampled, halved = [], [], []
    for (name, cell, variant), tasks in named.items():
        rows = frame([next(runs) for _ in tasks])
        row = {"record": name, "cell": cell, "variant": variant}
        if variant == "sgd":
            sampled += [{**row, **line} for line in json_rows(rows)]
        elif variant == "half the step":
            halved += [{**row, **line} for line in json_rows(rows[rows["clock"] == rows["clock"].max()])]
        else:
            varied += [{**row, **line} for line in json_rows(rows[rows["clock"] == clock])]
    body = {"per_seed": varied, "sgd": sampled, "halved": halved} | ({} if smoke else _without_edges(paces))
    return Record("incomplete", {"clock": clock}, tuple(seeds), "per_seed", body, _since(began))


def _half_steps() -> dict[tuple[str, str], list[Task]]:
    """The seeds whose loss was seen to rise, once more at half the step, to the clock of their cell."""
    found: dict[tuple[str, str], list[Task]] = {}
    for name, cells in CELLS.items():
        rows = read_record(results_folder() / f"{name}.json").to_frame()
        for cell, fields in cells.items():
            how = recorded_cell(name, cell)
            risen = rows[(rows["cell"] == cell) & (rows["clock"] == how["clock"]) & ~rows["monotone"].astype(bool)]
            for seed in risen["seed"].tolist():
                task = seed_task(fields, step_size=how["step_size"] / 2, clock=how["clock"], seed=seed)
                found.setdefault((name, cell), []).append(task)
    return found


def _edgeless() -> dict[str, Fields]:
    """The cells that are followed on independent concepts."""
    return {cell: {**CELLS["figure6"][cell], "edges": 0.0} for cell in WITHOUT_EDGES}


def _without_edges(paces: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Two cells of Figure 6 on independent concepts: the same seeds, paces of their own."""
    rows = []
    for (cell, fields), pace in zip(_edgeless().items(), paces, strict=True):
        tasks = _tasks(fields, step_size=pace["step_size"], clock=CLOCKS[-1], seeds=range(RUNS))
        rows += [{"cell": cell, **line} for line in json_rows(frame(_done("incomplete", tasks, label="no edges")))]
    found = [{"cell": cell, **pace} for cell, pace in zip(WITHOUT_EDGES, paces, strict=True)]
    return {"without edges": rows, "paces": found}


def recorded_cell(name: str, cell: str) -> dict[str, Any]:
    """How a cell was run.

    Raises:
        InputError: its record is not there.
    """
    cells = read_record(results_folder() / f"{name}.json").body["cells"]
    found: dict[str, Any] = next(row for row in cells if row["cell"] == cell)
    return found


def _record(name: str, size: Size, *, matrix: bool = False) -> Record:
    """The cells of a record: first the pace of each, then its seeds."""
    began = time.perf_counter()
    cells, seeds = (CELLS[name], range(RUNS)) if size == "paper" else (SMOKE[name], range(3))
    end = CLOCKS[-1] if size == "paper" else CLOCKS[1]
    own = {cell: fields for cell, fields in cells.items() if (name, cell) not in SAME}
    turned = dict(reversed(own.items()))  # the dear ones first, so that no core waits long for the other
    planned = [pace_task(fields, horizon=end) for fields in turned.values()]
    paces = dict(zip(turned, _done(name, planned, size=size, label="paces"), strict=True))
    tasks = [
        seed_task(fields, step_size=paces[cell]["step_size"], clock=end, seed=seed, matrix=matrix)
        for cell, fields in turned.items()
        for seed in seeds
    ]
    done = iter(_done(name, tasks, size=size))
    runs = {cell: [next(done) for _ in seeds] for cell in turned}
    rows, how = [], []
    for cell, fields in cells.items():
        if cell in own:
            mine = runs[cell]
            found = json_rows(frame(mine))
            world = {of: sum(run[of] for run in mine) / len(mine) for of in ("contexts", "tokens")}
            ran = {"runs": len(seeds), **paces[cell], **world} | _mean_matrix(mine)
        else:
            found, ran = _taken(*SAME[name, cell])
        rows += [{**line, "cell": cell} for line in found]
        how.append({**ran, "cell": cell, **fields})
    return Record(
        name, {"clocks": list(CLOCKS)}, tuple(seeds), "per_seed", {"cells": how, "per_seed": rows}, _since(began)
    )


def _taken(name: str, cell: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The runs of a cell on record, and how they were run, without the cosines of concept with concept.

    Raises:
        InputError: its record is not there.
    """
    rows = read_record(results_folder() / f"{name}.json").body["per_seed"]
    ran = {key: value for key, value in recorded_cell(name, cell).items() if key != "matrix"}
    return [row for row in rows if row["cell"] == cell], ran


def _tasks(fields: Fields, *, step_size: float, clock: int, seeds: range) -> list[Task]:
    return [seed_task(fields, step_size=step_size, clock=clock, seed=seed) for seed in seeds]


def _done(name: str, tasks: list[Task], *, size: Size = "paper", label: str = "runs") -> list[Any]:
    """The results of tasks, on a core each; what is finished waits on disk until the record is made."""
    workers = own_workers() if size == "paper" else 0
    return run_tasks(tasks, folder=unfinished_folder(name), workers=workers, progress=True, label=f"{name}, {label}")


def _mean_matrix(runs: list[Any]) -> dict[str, Any]:
    """Cosine of concept with concept: the mean over runs, where it was measured."""
    if "matrix" not in runs[0]:
        return {}
    total = sum(np.array(run["matrix"]) for run in runs) / len(runs)
    return {"matrix": np.round(total, 4).tolist()}


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)
