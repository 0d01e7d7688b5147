"""What a logit costs: the compiled engine against plain torch, against the recipe, and against the peaks.

    GOMP_SPINCOUNT=1000 python benchmarks/engine.py [--smoke] [--json FILE]

The variable keeps torch's idle threads from spinning on the core that others are timed on.

One run measures everything; arms take turns, each the best of several repeats. A logit is an entry of replicates x
contexts x tokens, once a step. The record is benchmarks/engine.json, which the book shows.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numba import njit
from recipe import Recipe

from linrep.engine import kernels
from linrep.engine.choice import Engine
from linrep.experiments.full_tables import short
from linrep.experiments.paper_tables import RUNS
from linrep.pilot import Batch
from linrep.results import Record, read_record, results_folder, write_record
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.train import TrainConfig, train

HERE = Path(__file__).resolve().parent
DIMS = (2, 3, 4, 6, 8, 12, 16, 24)
REPEATS = 20  # short ones: the fastest of many is what the machine can do when nobody disturbs it
WHOLE = 2  # repeats of the runs of Table 1, which take seconds


def measure(smoke: bool) -> Record:
    """The whole benchmark."""
    began = time.perf_counter()
    repeats, logits = (1, 2e6) if smoke else (REPEATS, 6e7)
    peaks = machine_peaks(repeats)
    rows = [row for shape in shapes(smoke) for row in costs(*shape, repeats=repeats, logits=logits)]
    for row in rows:
        row["limit"] = short(limit(row["k"], peaks))
    body = {"peaks": peaks, "costs": rows, "table1": table1(smoke, 1 if smoke else WHOLE)}
    return Record(
        "engine", {"threads": torch.get_num_threads()}, (), "costs", body, round(time.perf_counter() - began, 1)
    )


def shapes(smoke: bool) -> list[tuple[int, int, int]]:
    """m, k and replicates."""
    if smoke:
        return [(3, 3, 4), (4, 2, 2)]
    return [
        *((m, m, RUNS[m]) for m in RUNS),
        *((6, k, 20) for k in DIMS if k != 6),
        *((6, 6, count) for count in (1, 2, 5, 100)),
    ]


def best(run: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest repeat, after one that is not counted."""
    return interleaved([(run, torch.get_num_threads())], repeats)[0]


def interleaved(arms: Sequence[tuple[Callable[[], object], int]], repeats: int) -> list[float]:
    """Seconds of each arm's fastest repeat, after one that is not counted; each at its own number of torch's threads.

    The arms take turns, so that a slow minute of the machine hits all of them.
    """
    before, fastest = torch.get_num_threads(), [math.inf] * len(arms)
    try:
        for turn in range(repeats + 1):
            for number, (run, threads) in enumerate(arms):
                torch.set_num_threads(threads)
                start = time.perf_counter()
                run()
                if turn:
                    fastest[number] = min(fastest[number], time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return fastest


def machine_peaks(repeats: int) -> dict[str, float]:
    """Single precision, one thread: ns of a multiply-add (large matrix product), of an exponential, of a buffer entry.

    The exponential is torch's and ours; the buffer is read, changed and written where the cache holds it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    size, count = 1024, 4096
    a, b = torch.randn(size, size), torch.randn(size, size)
    x, y = torch.randn(count), torch.empty(count)
    xs, ys = x.numpy(), y.numpy()
    buffer, row = np.ones((64, 128), np.float32), np.full(128, 0.5, np.float32)  # e, as it is at m = 6
    found = {
        "multiply-add": best(lambda: a @ b, repeats) / size**3,
        "exp, torch": best(lambda: [torch.exp(x, out=y) for _ in range(500)], repeats) / (500 * count),
        "exp, ours": best(lambda: _powers(xs, ys, 500), repeats) / (500 * count),
        "buffer pass": best(lambda: _passes(buffer, row, row, 100), repeats) / (100 * buffer.size),
    }
    torch.set_num_threads(threads)
    return {name: short(seconds * 1e9) for name, seconds in found.items()}


@njit(**kernels.JIT)
def _powers(x, y, times):  # type: ignore[no-untyped-def]
    for _ in range(times):
        for i in range(len(x)):
            y[i] = kernels.pow2(x[i])


@njit(**kernels.JIT)
def _passes(e, scale, shift, times):  # type: ignore[no-untyped-def]
    for _ in range(times):
        for c in range(e.shape[0]):
            for i in range(e.shape[1]):
                e[c, i] = e[c, i] * scale[i] + shift[i]


def limit(k: int, peaks: dict[str, float]) -> float:
    """ns of a logit if nothing but its arithmetic cost time: three products of k multiply-adds, and an exponential."""
    return 3 * k * peaks["multiply-add"] + min(peaks["exp, torch"], peaks["exp, ours"])


def costs(m: int, k: int, count: int, *, repeats: int, logits: float) -> list[dict[str, Any]]:
    """ns a logit, of wall time and of a core's: compiled on one thread and on all, and plain torch on all."""
    batch = make_batches(Setting(concepts=m, dim=k, dtype="float32"), range(count))[0]
    every, whole = torch.get_num_threads(), max(2, round(logits / (6**m * count)))
    plain = max(2, whole // 8)
    engines: list[tuple[Engine, int, int]] = [("numba", 1, whole), ("numba", every, whole), ("torch", every, plain)]

    def run(engine: Engine, steps: int) -> None:
        train(batch.population, batch.start, TrainConfig(0.5, steps), seeds=batch.seeds, engine=engine)

    seconds = interleaved([(partial(run, engine, steps), threads) for engine, threads, steps in engines], repeats)
    lines = []
    for (engine, threads, steps), each in zip(engines, seconds, strict=True):
        wall = each * 1e9 / (6**m * count * steps)
        line = {"engine": engine, "threads": threads, "m": m, "k": k, "replicates": count}
        lines.append(line | {"wall": short(wall), "core": short(wall * threads)})
    return lines


def table1(smoke: bool, repeats: int) -> list[dict[str, Any]]:
    """For each m: seconds of all runs to the clock of Table 1, by descent (whole) and by the recipe (a slice).

    The recipe is timed on one thread and on all; what counts is the faster, since a user would soon find it.
    """
    lines, every, steps = [], torch.get_num_threads(), 50 if smoke else 1000
    for arm in read_record(results_folder() / "table1.json").body["arms"]:
        if arm["arm"] != "gd" or (smoke and arm["m"] > 3):
            continue
        m, runs = arm["m"], 2 if smoke else arm["runs"]
        config = TrainConfig(arm["step_size"], arm["steps"])
        batches = [make_batches(Setting(concepts=m, dtype=dtype), range(runs))[0] for dtype in ("float64", "float32")]

        def descend(batch: Batch, config: TrainConfig = config) -> None:
            train(batch.population, batch.start, config, seeds=batch.seeds, engine="numba", warn=False)

        recipe = partial(Recipe(m, seed=0).train, steps)
        turns = [(recipe, 1), (recipe, every), *((partial(descend, batch), every) for batch in batches)]
        one, all_threads, double, single = interleaved(turns, repeats)
        step = min(one, all_threads) / steps
        lines.append({"m": m, "runs": runs, "clock": arm["clock"], "recipe, ms a step": short(step * 1e3),
                      "one thread, ms a step": short(one / steps * 1e3),
                      "all threads, ms a step": short(all_threads / steps * 1e3),
                      "recipe, slice steps": steps, "recipe, s": short(step * round(arm["clock"] / 0.1) * runs),
                      "descent, s": short(double), "single precision, s": short(single)})  # fmt: skip
    return lines


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description="What a logit costs.")
    parser.add_argument("--smoke", action="store_true", help="small and quick, to try it")
    parser.add_argument("--json", type=Path, default=HERE / "engine.json", metavar="FILE")
    given = parser.parse_args()
    write_record(measure(given.smoke), given.json)
    print(f"written: {given.json}")


if __name__ == "__main__":
    main()
