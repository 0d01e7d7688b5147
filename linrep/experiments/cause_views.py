"""What the chapter on causes shows: each arm against descent, seed by seed, and the paper's recipe in wider spaces."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import torch

from linrep.experiments.beside_paper import as_cells
from linrep.experiments.table_views import recorded
from linrep.experiments.width_causes import ARMS, CLOCK, DIMS, NAME, RECIPE_DIMS, SEEDS, M, arm
from linrep.geometry import mean_cosine
from linrep.linearity import concept_vectors
from linrep.results import Record, require_agreement
from linrep.setting import Setting
from linrep.simulate import COSINES, make_batches
from linrep.stats import Comparison, compare_paired
from linrep.theory.regularised_path import direct, solve_path

SHOWN = COSINES | {"between": "between"}


def rows_of(k: int, name: str, *, start: str = "small", clock: int | None = None) -> pd.DataFrame:
    """The seeds of an arm at a clock, or at the last one."""
    record = recorded(NAME)
    table = record.to_frame()
    at = record.config["clock"] if clock is None else clock
    mine = (table["k"] == k) & (table["arm"] == name) & (table["start"] == start) & (table["clock"] == at)
    found: pd.DataFrame = table[mine].set_index("seed")
    return found


def arms_table(k: int, names: Sequence[str] = tuple(ARMS)) -> pd.DataFrame:
    """Means over seeds at the last clock: KL divergence (nats), the cosines, imbalance and the share of degree one."""
    lines = []
    for name in names:
        rows = rows_of(k, name)
        line = {"arm": name, "KL": rows["kl"].mean()} | {
            symbol: rows[column].mean() for column, symbol in SHOWN.items()
        }
        lines.append(line | {"imbalance": rows["imbalance"].mean(), "degree 1": rows["g degree 1"].mean()})
    return pd.DataFrame(lines).set_index("arm")


def against(k: int, names: Sequence[str], *, base: str = "descent", clock: int | None = None) -> pd.DataFrame:
    """Each arm less the base, seed by seed, at a clock or at the last: differences, intervals and verdicts."""
    reference = rows_of(k, base, clock=clock)
    lines = []
    for name in names:
        rows = rows_of(k, name, clock=clock)
        lines += [
            {"arm": name, "cosine": symbol} | as_cells(paired(rows, reference, column))
            for column, symbol in SHOWN.items()
        ]
    return pd.DataFrame(lines).set_index(["arm", "cosine"])


def effect_grid(k: int, names: Sequence[str]) -> pd.DataFrame:
    """What every arm adds to each cosine, with half the width of its 90 % interval in the column beside it."""
    table = against(k, names)
    wide = pd.DataFrame(index=pd.Index(names, name="arm"))
    for symbol in SHOWN.values():
        part = table.xs(symbol, level="cosine")
        wide[symbol], wide[f"{symbol} ±"] = part["difference"], (part["high"] - part["low"]) / 2
    return wide


def equal_ratio(k: int, names: Sequence[str]) -> pd.DataFrame:
    """All pairs of some arms against each other in U: does anything but rate over batch matter?"""
    rows = {name: rows_of(k, name) for name in names}
    lines = [
        {"arm": first, "other": second} | as_cells(paired(rows[first], rows[second], "unembedding"))
        for first, second in combinations(names, 2)
    ]
    return pd.DataFrame(lines).set_index(["arm", "other"])


def recipe() -> pd.DataFrame:
    """The paper's SGD from the linear start in wider spaces, beside descent: U and E, and U's paired difference."""
    lines = []
    for k in RECIPE_DIMS:
        sgd, descent = (rows_of(k, name, start="linear") for name in ("SGD 0.1, 100", "descent"))
        line = {"k": k, "KL": sgd["kl"].mean(), "U": sgd["unembedding"].mean(), "U ±": sgd["unembedding"].sem()}
        line |= {"E": sgd["embedding"].mean(), "descent, U": descent["unembedding"].mean()}
        lines.append(line | as_cells(paired(sgd, descent, "unembedding")))
    return pd.DataFrame(lines).set_index("k")


def half_step(dims: Sequence[int] = DIMS) -> pd.DataFrame:
    """The base at half its step, trained now: how far means and single seeds move, and how many seeds are monotone."""
    record, lines = recorded(NAME), []
    for k in dims:
        base = rows_of(k, "descent")
        half = pd.DataFrame(
            arm(k, "descent", CLOCK, SEEDS, step_size=_step_sizes(record)[k, "descent"] / 2)["per_seed"]
        )
        last = half[half["clock"] == CLOCK].set_index("seed")
        change = last[list(COSINES)] - base.loc[last.index, list(COSINES)]
        line = {"k": k, "monotone": int(base["monotone"].sum()), "at half": int(last["monotone"].sum())}
        lines.append(line | {"a mean moves": change.mean().abs().max(), "a seed moves": change.abs().max().max()})
    return pd.DataFrame(lines).set_index("k")


def decay_against_path(*, seeds: int) -> pd.DataFrame:
    """U of the arms with weight decay beside the optimum of the same worlds at the same λ, found by L-BFGS at k = 2^m.

    Columns: "forgotten", λ times the clock; U over all seeds; the first few seeds alone, and their optima; how far the
    two are apart at most; and the optimum for fair coins at unlimited width.
    """
    lines = []
    for name, given in ARMS.items():
        if given.get("how") == "decay":
            strength, rows = float(given["by"]), rows_of(DIMS[0], name)
            values = rows["unembedding"].loc[list(range(seeds))].to_numpy(float)
            line = {"λ": name.removeprefix("decay "), "forgotten": strength * recorded(NAME).config["clock"]}
            line |= {"U": rows["unembedding"].mean(), "U, some": values.mean()}
            optima = np.array([_optimal_linearity(seed, strength) for seed in range(seeds)])
            line |= {"optimum, some": optima.mean(), "U off by": np.abs(values - optima).max()}
            lines.append(line | {"fair coins": solve_path(M, strength).linearity})
    return pd.DataFrame(lines).set_index("λ")


def _optimal_linearity(seed: int, strength: float) -> float:
    """U of the best tables with weight decay in 2^m dimensions, for the world of a seed."""
    (batch,) = make_batches(Setting(concepts=M), (seed,))
    _, unembedding = direct(batch.population, strength, dim=DIMS[0], seed=seed)
    vectors = concept_vectors(torch.from_numpy(unembedding), batch.population.token_pairs)
    return float(torch.stack([mean_cosine(each) for each in vectors]).mean())


def adam_parts(k: int, rates: Sequence[str]) -> pd.DataFrame:
    """Adam in two parts: its scaling, exact Adam less descent, and its noise, Adam less exact Adam."""
    scaling = against(k, [f"exact Adam {rate}" for rate in rates])
    noise = pd.concat([against(k, [f"Adam {rate}"], base=f"exact Adam {rate}") for rate in rates])
    return pd.concat({"scaling": scaling, "noise": noise}, names=["part"])


def edge_table(k: int, names: Sequence[str]) -> pd.DataFrame:
    """Step, sharpness of the exact loss at the last clock, and step times sharpness: the edge of stability is at 2.

    The means over seeds; of the product also the least and the largest.
    """
    how = {row["arm"]: row for row in recorded(NAME).body["arms"] if row["k"] == k and row["start"] == "small"}
    lines = []
    for name in names:
        step, edge = how[name]["step_size"], pd.Series(how[name]["edge"])
        line = {"arm": name, "step": step, "sharpness": edge.mean() / step}
        lines.append(line | {"product": edge.mean(), "least": edge.min(), "largest": edge.max()})
    return pd.DataFrame(lines).set_index("arm")


def paired(rows: pd.DataFrame, base: pd.DataFrame, column: str) -> Comparison:
    """One arm less another in one measure, on the seeds of the first; both indexed by seed, as `rows_of` gives them."""
    return compare_paired(rows[column].to_numpy(float), base.loc[rows.index, column].to_numpy(float))


def seeds_up(k: int, names: Sequence[str], *, base: str = "descent") -> pd.DataFrame:
    """In how many seeds U and E end higher than those of the base, out of all."""
    first, lines = rows_of(k, base), []
    for name in names:
        rows = rows_of(k, name)
        line = {"arm": name, "seeds": len(rows)}
        lines.append(line | {symbol: int((rows[column] > first.loc[rows.index, column]).sum())
                             for column, symbol in list(COSINES.items())[:2]})  # fmt: skip
    return pd.DataFrame(lines).set_index("arm")


def require_live(slices: Sequence[tuple[int, str, int, int]], *, tolerance: float) -> int:
    """Run some seeds of some arms (k, arm, clock, seeds) again and hold them to the record; how many it was.

    Raises:
        LinrepError: a number differs from that on record by more than the tolerance.
    """
    record, count = recorded(NAME), 0
    steps = _step_sizes(record)
    columns, on = ["kl", *COSINES, "between"], ["k", "start", "arm", "seed", "clock"]
    for k, name, clock, seeds in slices:
        live = pd.DataFrame(arm(k, name, clock, seeds, step_size=steps[k, name])["per_seed"])
        require_agreement(record.to_frame(), live, on=on, columns=columns, tolerance=tolerance)
        count += seeds
    return count


def _step_sizes(record: Record) -> dict[tuple[int, str], float]:
    """By k and arm, from the small start."""
    return {(row["k"], row["arm"]): row["step_size"] for row in record.body["arms"] if row["start"] == "small"}
