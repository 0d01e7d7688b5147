"""What a logit costs: the compiled engine against plain torch, against the recipe, and against the peaks.

    GOMP_SPINCOUNT=1000 python benchmarks/engine.py [--smoke] [--json FILE]

The variable keeps torch's idle threads from spinning on the core that others are timed on.

One run measures everything, arm after arm, each the best of several repeats. A logit is an entry of replicates x
contexts x tokens, once a step. The record is benchmarks/engine.json, which the book shows.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from numba import njit
from recipe import Recipe

from linrep.engine import kernels
from linrep.experiments.full_tables import short
from linrep.experiments.paper_tables import RUNS
from linrep.results import Record, read_record, results_folder, write_record
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.train import TrainConfig, train

HERE = Path(__file__).resolve().parent
DIMS = (2, 3, 4, 6, 8, 12, 16, 24)
REPEATS = 3


def measure(smoke: bool) -> Record:
    """The whole benchmark."""
    began = time.perf_counter()
    repeats, logits = (1, 2e6) if smoke else (REPEATS, 6e7)
    peaks = machine_peaks(repeats)
    rows = [
        cost(m, k, count, threads, engine, repeats=repeats, logits=logits)
        for m, k, count in shapes(smoke)
        for engine, threads in (("numba", 1), ("numba", torch.get_num_threads()), ("torch", torch.get_num_threads()))
    ]
    for row in rows:
        row["limit"] = short(limit(row["k"], peaks))
    body = {"peaks": peaks, "costs": rows, "table1": table1(smoke)}
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
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def machine_peaks(repeats: int) -> dict[str, float]:
    """Single precision, one thread: ns a multiply-add of a large matrix product, ns an exponential (torch's, ours)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    size, count = 1024, 4096
    a, b = torch.randn(size, size), torch.randn(size, size)
    x, y = torch.randn(count), torch.empty(count)
    xs, ys = x.numpy(), y.numpy()
    found = {
        "multiply-add": best(lambda: a @ b, repeats) / size**3,
        "exp, torch": best(lambda: [torch.exp(x, out=y) for _ in range(500)], repeats) / (500 * count),
        "exp, ours": best(lambda: _powers(xs, ys, 500), repeats) / (500 * count),
    }
    torch.set_num_threads(threads)
    return {name: short(seconds * 1e9) for name, seconds in found.items()}


@njit(**kernels.JIT)
def _powers(x, y, times):  # type: ignore[no-untyped-def]
    for _ in range(times):
        for i in range(len(x)):
            y[i] = kernels.pow2(x[i])


def limit(k: int, peaks: dict[str, float]) -> float:
    """ns of a logit if nothing but its arithmetic cost time: three products of k multiply-adds, and an exponential."""
    return 3 * k * peaks["multiply-add"] + min(peaks["exp, torch"], peaks["exp, ours"])


def cost(m: int, k: int, count: int, threads: int, engine: str, *, repeats: int, logits: float) -> dict[str, Any]:
    """ns a logit, of wall time and of a core's."""
    setting = Setting(concepts=m, dim=k, dtype="float32")
    batch = make_batches(setting, range(count))[0]
    steps = max(2, round(logits / (6**m * count)))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    steps = max(2, steps // 8) if engine == "torch" else steps
    config = TrainConfig(0.5, steps)
    seconds = best(lambda: train(batch.population, batch.start, config, seeds=batch.seeds, engine=engine), repeats)
    torch.set_num_threads(before)
    wall = seconds * 1e9 / (6**m * count * steps)
    return {"engine": engine, "threads": threads, "m": m, "k": k, "replicates": count, "wall": short(wall),
            "core": short(wall * threads)}  # fmt: skip


def table1(smoke: bool) -> list[dict[str, Any]]:
    """For each m: seconds of all runs to the clock of Table 1, by descent (whole) and by the recipe (a slice)."""
    lines, threads = [], torch.get_num_threads()
    for arm in read_record(results_folder() / "table1.json").body["arms"]:
        if arm["arm"] != "gd" or (smoke and arm["m"] > 3):
            continue
        m, runs = arm["m"], 2 if smoke else arm["runs"]
        recipe = Recipe(m, seed=0)
        slice_steps = 50 if smoke else 1000
        torch.set_num_threads(1)  # at this size a second thread only slows it
        recipe.train(20)
        step = best(lambda recipe=recipe, n=slice_steps: recipe.train(n), 1 if smoke else REPEATS) / slice_steps
        torch.set_num_threads(threads)
        theirs = step * round(arm["clock"] / 0.1) * runs
        config, ours = TrainConfig(arm["step_size"], arm["steps"]), {}
        for dtype in ("float64", "float32"):
            setting = Setting(concepts=m, dtype=dtype)
            batch = make_batches(setting, range(runs))[0]
            run = lambda batch=batch, config=config: train(  # noqa: E731
                batch.population, batch.start, config, seeds=batch.seeds, engine="numba", warn=False
            )
            ours[dtype] = best(run, 1)
        lines.append({"m": m, "runs": runs, "clock": arm["clock"], "recipe, ms a step": short(step * 1e3),
                      "recipe, slice steps": slice_steps, "recipe, s": short(theirs),
                      "descent, s": short(ours["float64"]), "single precision, s": short(ours["float32"])})  # fmt: skip
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
