"""Each cosine beside its controls: untrained tables, rows dealt out anew, normal rows of the same covariance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from linrep import nulls
from linrep.concepts import all_tokens
from linrep.contexts import all_contexts
from linrep.controls import untrained
from linrep.seeds import stream
from linrep.simulate import COSINES, Run, Simulation
from linrep.stats import estimate
from linrep.steering import counterfactual_pairs

NAMES = COSINES | {"between": "between"}
"""Column of a per-seed table to its name in the tables here."""

UE_CONTROLS = ("tokens relabelled", "contexts relabelled", "relabelled")
"""For UE the tokens, the contexts, or both can be relabelled."""

PART = 10
"""The part of a seed's sampling stream that these draws read."""

QUANTILES = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class Beside:
    """One setting beside its controls.

    Attributes:
        simulation: as trained. untrained: the measures at its starts.
        draws: by control and column of the per-seed table, the measure of every draw.
    """

    simulation: Simulation
    untrained: pd.DataFrame
    draws: Mapping[tuple[str, str], Float[np.ndarray, "seeds draws"]]

    @property
    def concepts(self) -> int:
        """m."""
        return self.simulation.setting.concepts


def beside(simulation: Simulation, *, draws: int = 1000) -> Beside:
    """The controls of a simulation on complete sets; each seed has `draws` relabellings and as many normal tables."""
    (run,) = simulation.runs
    found = [_draws(run, replicate, draws) for replicate in range(len(simulation.seeds))]
    stacked = {key: np.stack([each[key] for each in found]) for key in found[0]}
    return Beside(simulation, untrained(simulation), stacked)


def summary(found: Sequence[Beside]) -> pd.DataFrame:
    """Numbers for each m, cosine and control.

    Columns: mean, over the seeds, or over seeds and draws; ±, its standard error over the seeds; low and high, within
    which 95 % of the draws lie; p, the largest of any seed, for cosines as high as the trained one, for *between* as
    low. Where a column has no meaning it is NaN.
    """
    lines = []
    for each in found:
        table = each.simulation.per_seed()
        for column, name in NAMES.items():
            place = {"m": each.concepts, "cosine": name}
            for control, rows in (("trained", table), ("untrained", each.untrained)):
                lines.append(place | {"control": control} | _over_seeds(rows[column].to_numpy(float)))
            for (control, drawn), values in each.draws.items():
                if drawn == column:
                    trained = table[column].to_numpy(float)
                    lines.append(place | {"control": control} | _null(values, trained, low=column == "between"))
    return pd.DataFrame(lines).set_index(["m", "cosine", "control"])


def true_labellings(each: Beside) -> int:
    """How many relabellings of the tokens, over all seeds, have the U of the true labelling."""
    trained = each.simulation.per_seed()["unembedding"].to_numpy(float)
    return int((np.abs(each.draws["relabelled", "unembedding"] - trained[:, None]) <= nulls.SAME).sum())


def with_control(numbers: pd.DataFrame, control: str, tables: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """A summary with one more control, given as a per-seed table for each m."""
    lines = [
        {"m": m, "cosine": name, "control": control} | _over_seeds(rows[column].to_numpy(float))
        for m, rows in tables.items()
        for column, name in NAMES.items()
    ]
    return pd.concat([numbers, pd.DataFrame(lines).set_index(["m", "cosine", "control"])])


def chance_table(numbers: pd.DataFrame) -> pd.DataFrame:
    """The summary as a reader sees it: a row for each m and cosine, a column for each control, and two p-values."""
    lines = {}
    for (m, cosine), part in numbers.groupby(level=["m", "cosine"], sort=False):
        by = part.droplevel(["m", "cosine"]).to_dict("index")
        cells = {name: f"{by[name]['mean']:.3f} ± {by[name]['±']:.3f}" for name in ("trained", "untrained")}
        ranges = {name: _range(by[name]) for name in ("relabelled", "Gaussian")}
        p = {f"p, {name}": f"{by[name]['p']:.3f}" for name in ranges}
        lines[m, cosine] = cells | ranges | p
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis(["m", "cosine"])


def matched_table(numbers: pd.DataFrame) -> pd.DataFrame:
    """UE when only the tokens, only the contexts, or both are relabelled: mean, and where 95 % of the draws lie."""
    part = numbers[numbers.index.get_level_values("cosine") == "UE"].droplevel("cosine")
    rows = {}
    for m, each in part.groupby(level="m", sort=False):
        by = each.droplevel("m").to_dict("index")
        rows[m] = {name: _range(by[name]) for name in UE_CONTROLS}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("m")


def formula_table(shapes: Sequence[tuple[int, int]], *, draws: int, seed: int) -> pd.DataFrame:
    """For each (m, k): the standard deviations of U, E, UE and the mean of *between* by formula and by simulation.

    The simulation draws both tables from N(0, 1), once for each of `draws`.
    """
    lines = []
    for concepts, dim in shapes:
        rng = stream(seed, "sampling", part=PART + 1)
        tokens, contexts = (
            nulls.half(torch.from_numpy(rng.standard_normal((draws, len(states), dim))), counterfactual_pairs(states))
            for states in (all_tokens(concepts), all_contexts(concepts))
        )
        drawn = nulls.cosines(tokens, contexts)
        by_formula = nulls.spread(concepts, dim)
        line: dict[str, float] = {"m": concepts, "k": dim}
        for column, name in COSINES.items():
            line |= {f"{name} ±": by_formula[column], f"{name} ± drawn": float(drawn[column].std(ddof=1))}
        means = {"between": nulls.expected_between(dim), "between drawn": float(drawn["between"].mean())}
        lines.append(line | means)
    return pd.DataFrame(lines).set_index(["m", "k"])


def labelling_table(simulation: Simulation) -> pd.DataFrame:
    """Every labelling of the eight tokens, for each seed of a simulation with three concepts.

    Columns: U; next best, the largest U of a labelling other than the true one; mean U, over all; as linear, how many
    have a U as large as the true one's, itself included; between; as orthogonal, how many have one as small.
    """
    (run,) = simulation.runs
    orders = torch.from_numpy(nulls.labellings(simulation.setting.concepts))
    lines = []
    for seed, table in zip(run.batch.seeds, run.trained.unembedding, strict=True):
        every = nulls.half(table[orders], run.batch.population.token_pairs)
        linear, apart = nulls.within(every), nulls.between(every)
        lines.append(
            {
                "seed": seed,
                "U": linear[0],
                "next best": linear[1:].max(),
                "mean U": linear.mean(),
                "as linear": int((linear >= linear[0] - nulls.SAME).sum()),
                "between": apart[0],
                "as orthogonal": int((apart <= apart[0] + nulls.SAME).sum()),
            }
        )
    return pd.DataFrame(lines).set_index("seed")


def _draws(run: Run, replicate: int, count: int) -> dict[tuple[str, str], Float[np.ndarray, " draws"]]:
    """All draws of one seed, by control and column."""
    rng = stream(run.batch.seeds[replicate], "sampling", part=PART)
    population = run.batch.population
    sides = (
        (run.trained.unembedding[replicate], population.token_pairs),
        (run.trained.embedding[replicate], population.context_pairs),
    )
    tokens, contexts = (nulls.half(table, pairs) for table, pairs in sides)
    dealt_tokens, dealt_contexts = (
        nulls.half(nulls.relabelled(table, count, generator=rng), pairs) for table, pairs in sides
    )
    normal = (nulls.half(nulls.gaussian(table, count, generator=rng), pairs) for table, pairs in sides)
    found = {("relabelled", name): values for name, values in nulls.cosines(dealt_tokens, dealt_contexts).items()}
    found["tokens relabelled", "matched"] = nulls.across(dealt_tokens, contexts)
    found["contexts relabelled", "matched"] = nulls.across(tokens, dealt_contexts)
    return found | {("Gaussian", name): values for name, values in nulls.cosines(*normal).items()}


def _over_seeds(values: Float[np.ndarray, " seeds"]) -> dict[str, float]:
    """Mean over the seeds and its standard error."""
    found = estimate(values)
    return {"mean": found.mean, "±": found.stderr}


def _null(
    values: Float[np.ndarray, "seeds draws"], trained: Float[np.ndarray, " seeds"], *, low: bool
) -> dict[str, float]:
    """Mean, its standard error, range and largest p of a null."""
    least, most = np.quantile(values, QUANTILES).tolist()
    p = max(nulls.p_value(each, float(one), low=low) for each, one in zip(values, trained, strict=True))
    return _over_seeds(values.mean(axis=1)) | {"low": least, "high": most, "p": p}


def _range(null: Mapping[Any, Any]) -> str:
    """A null's mean and its range as text; a mean that rounds to zero has no sign."""
    mean, low, high = (0.0 if abs(null[name]) < 0.0005 else float(null[name]) for name in ("mean", "low", "high"))
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"
