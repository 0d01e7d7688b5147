"""SGD against descent where there are more dimensions than concepts: the same graphs, starts and clock."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from linrep.experiments.beside_paper import as_cells
from linrep.pilot import CLOCKS, PAPER_STEPS, Pace, steps_to
from linrep.setting import Setting
from linrep.simulate import COSINES, setting_pace, simulate
from linrep.stats import compare_paired


def apart(
    *, seeds: range, batches: Sequence[int] = (100, 20), concepts: int = 3, dim: int = 8, init_scale: float = 1.0
) -> pd.DataFrame:
    """Mean of each cosine under SGD and descent, their difference seed by seed with its interval, and the verdict.

    One line for each batch and cosine. The clock is 3,162; the step of descent is found on the pilots for that horizon.
    """
    clock, rate = CLOCKS[1], PAPER_STEPS["sgd"]
    exact = Setting(concepts=concepts, dim=dim, init_scale=init_scale)
    theirs = simulate(exact, seeds=seeds, pace=setting_pace(exact, clock=clock)).per_seed()
    lines = []
    for batch in batches:
        sampled = replace(exact, optimizer="sgd", dtype="float32", batch=batch)
        ours = simulate(sampled, seeds=seeds, pace=Pace(rate, steps_to(clock, rate))).per_seed()
        for column, symbol in COSINES.items():
            found = compare_paired(ours[column].to_numpy(float), theirs[column].to_numpy(float))
            means = {"sgd": float(ours[column].mean()), "gd": float(theirs[column].mean())}
            lines.append({"batch": batch, "cosine": symbol} | means | as_cells(found))
    return pd.DataFrame(lines).set_index(["batch", "cosine"])
