"""What the chapter on ablations shows: its record as tables, held seed by seed to the unablated arm."""

from collections.abc import Sequence

import pandas as pd

from linrep.errors import InputError
from linrep.experiments import ablations
from linrep.experiments.ablation_worlds import UNABLATED
from linrep.experiments.ablations import MEASURES
from linrep.experiments.beside_paper import as_cells
from linrep.experiments.table_views import recorded
from linrep.pilot import FITTED_KL
from linrep.results import require_agreement
from linrep.stats import compare_paired, estimate

COSINES = MEASURES[:3]


def settings_table() -> pd.DataFrame:
    """How each arm was run: step size, runs, how many are monotone and fitted, and what halving the step moves.

    Where no seed is fitted, no seed was there to be checked: the last is missing.
    """
    table = pd.DataFrame(recorded(ablations.NAME).body["arms"]).set_index(["m", "arm"])
    table["half step moves"] = table["half step moves"].where(table["fitted"] > 0)
    return table.rename(columns={"step_size": "step size"})


def rows_of(arm: str, m: int) -> pd.DataFrame:
    """The seeds of an arm at the clock of the comparison, by seed.

    Raises:
        InputError: an arm that is not on record.
    """
    rows = recorded(ablations.NAME).to_frame()
    found = rows[(rows["arm"] == arm) & (rows["m"] == m)]
    if found.empty:
        raise InputError(f"there is no arm {arm!r} of {m} concepts on record")
    return found.set_index("seed").dropna(axis=1, how="all")


def arms_table(arms: Sequence[str], sizes: Sequence[int] = (3, 4, 5)) -> pd.DataFrame:
    """Mean ± standard error of each measure, the median KL divergence (millinats) and how many seeds are fitted."""
    lines = []
    for m in sizes:
        for arm in arms:
            rows = rows_of(arm, m)
            cells = {name: _shown(rows, name) for name in MEASURES}
            count = f"{(rows['kl'] <= FITTED_KL).sum()} of {len(rows)}"
            lines.append({"m": m, "arm": arm} | cells | {"KL × 1000": _millinats(rows), "fitted": count})
    return pd.DataFrame(lines).set_index(["m", "arm"])


def shifts(arms: Sequence[str], sizes: Sequence[int] = (3, 4, 5), *, fitted_only: bool = False) -> pd.DataFrame:
    """Each arm less the unablated one, seed by seed: mean difference, its 90 % interval, and the paired verdict.

    "reproduced" means that the change leaves the mean within the margin.

    Args:
        fitted_only: only the seeds that are fitted in both arms; an arm with fewer than two such seeds has no line.
    """
    lines = []
    for m in sizes:
        for arm in arms:
            rows, other = rows_of(arm, m), rows_of(UNABLATED[arm], m)
            kept = (rows["kl"] <= FITTED_KL) & (other["kl"] <= FITTED_KL) if fitted_only else rows["kl"].notna()
            for name in COSINES:
                if name in rows and kept.sum() > 1:
                    found = compare_paired(*(each.loc[kept, name].to_numpy(float) for each in (rows, other)))
                    lines.append({"m": m, "arm": arm, "cosine": name, "pairs": int(kept.sum())} | as_cells(found))
    return pd.DataFrame(lines).set_index(["m", "arm", "cosine"])


def shifts_and_fitted(arms: Sequence[str]) -> pd.DataFrame:
    """`shifts` of all seeds, and beside each its number of pairs, difference and verdict over the fitted seeds."""
    fitted = shifts(arms, fitted_only=True)[["pairs", "difference", "verdict"]]
    return pd.concat([shifts(arms), fitted.add_suffix(", fitted")], axis=1)


def by_clock(arms: Sequence[str], name: str = "U", sizes: Sequence[int] = (3, 4, 5)) -> pd.DataFrame:
    """The mean of a measure at each clock; a row for each m and arm."""
    table = pd.DataFrame(recorded(ablations.NAME).body["by_clock"])
    wide = table.pivot(index=["m", "arm"], columns="clock", values=name)
    return wide.loc[[(m, arm) for m in sizes for arm in arms]].rename(columns="{:,}".format)


def one_concept(arm: str, sizes: Sequence[int] = (3, 4, 5)) -> pd.DataFrame:
    """U of concept 1 and of the others, and the cosine of the directions of 1 and 2; the unablated arm below."""
    lines = []
    for m in sizes:
        for each in (arm, UNABLATED[arm]):
            rows = rows_of(each, m)
            lines.append({"m": m, "arm": each} | {name: _shown(rows, name) for name in ablations.ALSO})
    return pd.DataFrame(lines).set_index(["m", "arm"])


def sizes_table() -> pd.DataFrame:
    """The base for three to eight concepts: means ± standard errors; three to seven are the runs of Table 1."""
    table1 = recorded("table1")
    rows = table1.to_frame().rename(columns={"unembedding": "U", "embedding": "E", "matched": "UE"})
    clocks = {arm["m"]: arm["clock"] for arm in table1.body["arms"] if arm["arm"] == "gd"}
    lines = [_size_line(m, clock, rows[(rows["m"] == m) & (rows["arm"] == "gd")]) for m, clock in clocks.items()]
    large = ablations.LARGE
    lines.append(_size_line(large, ablations.CLOCK[large], rows_of("base", large)))
    return pd.DataFrame(lines).set_index("m")


def require_live(slices: Sequence[tuple[int, str, range]], *, tolerance: float) -> int:
    """Run some seeds of some arms (m, arm, seeds) again and hold them to the record; how many were.

    Raises:
        LinrepError: a number differs from that on record by more than the tolerance.
    """
    record, count = recorded(ablations.NAME), 0
    step_sizes = {(row["m"], row["arm"]): row["step_size"] for row in record.body["arms"]}
    for m, arm, seeds in slices:
        rows = ablations.along(m, arm, seeds, step_size=step_sizes[m, arm], last=record.config["last"])
        live = pd.DataFrame(ablations.per_seed(rows, arm)).assign(m=m, arm=arm)
        columns = [name for name in ("kl", *MEASURES, *ablations.ALSO) if name in live]
        require_agreement(record.to_frame(), live, on=["m", "arm", "seed"], columns=columns, tolerance=tolerance)
        count += len(live)
    return count


def _size_line(m: int, clock: float, rows: pd.DataFrame) -> dict[str, object]:
    cells = {name: _shown(rows, name) for name in MEASURES}
    count = f"{(rows['kl'] <= FITTED_KL).sum()} of {len(rows)}"
    return {"m": m, "clock": round(clock), **cells, "KL × 1000": _millinats(rows), "fitted": count}


def _millinats(rows: pd.DataFrame) -> float:
    """The median KL divergence, where rounding may have left it below zero not less than that."""
    return 1000 * max(float(rows["kl"].median()), 0.0)


def _shown(rows: pd.DataFrame, name: str) -> str:
    """Mean ± standard error, or a dash where the measure is not defined."""
    if name not in rows:
        return "–"
    found = estimate(rows[name].to_numpy(float))
    return f"{found.mean:.3f} ± {found.stderr:.3f}"
