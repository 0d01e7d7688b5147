"""What the chapter on the late phase shows: its record as tables, and a slice of it run again."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from linrep.errors import InputError
from linrep.experiments import late_phase
from linrep.experiments.late_phase import MOMENTS, along
from linrep.experiments.late_phase_worlds import DOSES, arm_name, batch_of
from linrep.experiments.table_views import recorded
from linrep.results import Record, require_agreement
from linrep.stats import estimate

COMPARED = ["kl", "unembedding", "top", "interactions"]
"""What a seed run again is held to its row on record by."""

DRAWS = 2000
"""Bootstrap draws of a rank correlation."""


def per_seed(record: Record) -> pd.DataFrame:
    """One row for each arm (its place in the record) and seed."""
    return pd.concat([pd.DataFrame(columns) for columns in record.body["per_seed"]], ignore_index=True)


def settings_table() -> pd.DataFrame:
    """How each arm was run, how many seeds are fitted, monotone and counted, and what halving the step moves."""
    record = recorded(late_phase.NAME)
    rows = per_seed(record)
    lines = []
    for place, arm in enumerate(record.body["arms"]):
        kept = {"arm": arm["arm"], "step size": arm["step_size"], "seeds": arm["seeds"]}
        counts = {name: arm[name] for name in ("fitted", "monotone")}
        counts["counted"] = int(rows.loc[rows["arm"] == place, "counts"].sum())
        shifts = {"of a seed": arm["moved"], "of a mean": arm["half step moves"], "early": arm["early too"]}
        lines.append(kept | counts | shifts)
    return pd.DataFrame(lines).set_index("arm")


def seeds_of(name: str) -> pd.DataFrame:
    """The seeds of an arm that count, by seed, with the fall of U from its peak to the last clock.

    Raises:
        InputError: an arm that is not on record.
    """
    rows = per_seed(recorded(late_phase.NAME))
    found = rows[(rows["arm"] == _place(name)) & rows["counts"].astype(bool)].set_index("seed")
    return found.assign(fall=found["top"] - found["unembedding"])


def series(name: str) -> pd.DataFrame:
    """Means over the seeds of an arm that count, by clock.

    Raises:
        InputError: an arm that is not on record.
    """
    means = recorded(late_phase.NAME).to_frame()
    found = means[means["arm"] == _place(name)].drop(columns="arm").set_index("clock")
    return found.dropna(axis=1, how="all")


def turning_table(names: Sequence[str]) -> pd.DataFrame:
    """When U peaks, how far it falls by the last clock, and what the KL divergence does meanwhile (nats × 1000).

    *Not yet*: seeds whose U is still at its largest at the last clock.
    """
    lines = []
    for name in names:
        rows, last = seeds_of(name), recorded(late_phase.NAME).body["arms"][_place(name)]["clock"]
        fall = estimate(rows["fall"].to_numpy(float))
        spread = np.quantile(rows["peak"], [0.1, 0.5, 0.9]).round().astype(int)
        line = {"arm": name, "counted": len(rows), "not yet": int((rows["peak"] == last).sum())}
        line |= {"peak": f"{spread[1]:,} ({spread[0]:,} to {spread[2]:,})", "U there": rows["top"].mean()}
        line |= {"U last": rows["unembedding"].mean(), "fall": fall.mean, "fall ±": fall.stderr}
        line |= {"KL there": 1000 * rows["kl at top"].mean(), "KL last": 1000 * rows["kl"].mean()}
        lines.append(line)
    return pd.DataFrame(lines).set_index("arm")


def fall_between(name: str, other: str) -> tuple[float, float, int]:
    """The fall of one arm less that of another over the seeds that count in both: mean, standard error, number."""
    found = estimate((seeds_of(name)["fall"] - seeds_of(other)["fall"]).dropna().to_numpy(float))
    return found.mean, found.stderr, found.count


def parts_table(name: str) -> pd.DataFrame:
    """At each clock, millinats: the KL divergence and its parts; the part of the world's interactions that is fitted.

    *Fitted* is one minus the interactions still missing over those of the world (mean product floor). *Largest* names
    the largest part.
    """
    means = series(name)
    floor = float(seeds_of(name)["floor"].mean())
    table = (1000 * means[["kl", *MOMENTS]]).rename(columns={"kl": "KL"})
    table["fitted"] = 1 - means["interactions"] / floor
    table["largest"] = means[list(MOMENTS)].idxmax(axis=1)
    return table.assign(U=means["unembedding"], bend=means["bend"])


def drop_table(name: str, clocks: Sequence[int]) -> pd.DataFrame:
    """What the KL divergence loses between clocks, millinats, and how much of that is each part, percent."""
    means, lines = series(name), []
    for first, last in pairwise(clocks):
        change = means.loc[first] - means.loc[last]
        shares = {part: 100 * change[part] / change["kl"] for part in MOMENTS}
        lines.append({"from": first, "to": last, "KL loses": 1000 * change["kl"]} | shares)
        lines[-1]["U gains"] = -change["unembedding"]
    return pd.DataFrame(lines).set_index(["from", "to"])


def known_table(name: str) -> pd.DataFrame:
    """The KL divergence at each clock by how many concepts a context knows, millinats."""
    means = series(name)
    columns = [column for column in means if str(column).startswith("known")]
    return (1000 * means[columns]).rename(columns=lambda column: str(column).removeprefix("known "))


def degree_table(name: str) -> pd.DataFrame:
    """At each clock the squared error of ln p̂ within the agreeing tokens (thousandths), by degree; bend and U."""
    means = series(name)
    table = 1000 * means[["first", "higher"]].rename(columns={"first": "degree 1", "higher": "degree 2 up"})
    return table.assign(bend=means["bend"], U=means["unembedding"])


def correlation_table(names: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Spearman's rank correlation over seeds of the fall of U and the interactions of the world (product floor).

    With its 95 % bootstrap interval and the p-value of no correlation.
    """
    lines = []
    for name in names:
        rows = seeds_of(name)
        pair = rows["floor"].to_numpy(float), rows["fall"].to_numpy(float)
        found = stats.spearmanr(*pair)
        drawn = np.random.default_rng(seed).integers(len(rows), size=(DRAWS, len(rows)))
        draws = _correlations(*(stats.rankdata(values[drawn], axis=1) for values in pair))
        low, high = np.quantile(draws, [0.025, 0.975])
        rho = {"correlation": float(found.statistic), "low": float(low), "high": float(high)}
        lines.append({"arm": name, "counted": len(rows)} | rho | {"p": float(found.pvalue)})
    return pd.DataFrame(lines).set_index("arm")


def dose_names(m: int = 3) -> dict[float, str]:
    """The arms that differ in the strength of the interactions alone, by their dose."""
    worlds = {dose: "dependent" if dose == 1 else f"dose {dose:g}" for dose in DOSES}
    return {dose: arm_name(m, "small", world) for dose, world in worlds.items()}


def imbalance_table(names: Sequence[str], clocks: Sequence[int]) -> pd.DataFrame:
    """|FᵀF − GᵀG| of some arms at some clocks, means over seeds."""
    rows = {name: series(name).loc[list(clocks), "imbalance"] for name in names}
    return pd.DataFrame(rows).T


def require_live(slices: Sequence[tuple[str, range]], *, tolerance: float) -> int:
    """Run some seeds of some arms again, whole, and hold them to the record; how many were.

    Raises:
        LinrepError: a number differs from that on record by more than the tolerance.
    """
    record, count = recorded(late_phase.NAME), 0
    for name, seeds in slices:
        place = _place(name)
        live = run_again(record.body["arms"][place], seeds).assign(arm=place)
        columns = [*COMPARED, "kl at top", "floor"]
        require_agreement(per_seed(record), live, on=["arm", "seed"], columns=columns, tolerance=tolerance)
        count += len(live)
    return count


def run_again(arm: dict[str, Any], seeds: range) -> pd.DataFrame:
    """Some seeds of an arm as on record, trained again: its per-seed rows."""
    batch = batch_of(arm["m"], arm["start"], arm["world"], seeds, spare=arm.get("spare", 0))
    _, last = along(batch, clock=arm["clock"], step_size=arm["step_size"])
    return pd.DataFrame(late_phase.per_seed(last.assign(counts=True))).drop(columns="counts")


def _place(name: str) -> int:
    """The place of an arm in the record."""
    names = [arm["arm"] for arm in recorded(late_phase.NAME).body["arms"]]
    if name not in names:
        raise InputError(f"there is no arm {name!r} on record; there are {'; '.join(names)}")
    return names.index(name)


def _correlations(
    first: Float[np.ndarray, "draws seeds"], second: Float[np.ndarray, "draws seeds"]
) -> Float[np.ndarray, " draws"]:
    """The correlation of each row of one with that of the other; of a constant, which has none, 0."""
    one, other = (values - values.mean(axis=1, keepdims=True) for values in (first, second))
    size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return np.asarray(np.divide((one * other).sum(axis=1), size, out=np.zeros(len(size)), where=size > 0))
