"""What the chapter on the limit shows of descent on its way: courses, the path beside them, controls, extrapolation."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from linrep.errors import LinrepError
from linrep.experiments.limit_descent import (
    DECAYS,
    LIVE,
    MODERATE,
    NAME,
    SCALES,
    along,
    flow_along,
    largest_gap,
    setting_of,
)
from linrep.experiments.table_views import recorded
from linrep.results import require_agreement
from linrep.simulate import COSINES
from linrep.theory.cube_flow import cube_flow
from linrep.theory.cube_margin import solve_cube
from linrep.theory.margin_cost import cost_ratio

KEYS = ["m", "world", "start"]
SHOWN = {"unembedding": "U", "embedding": "E", "ratio": "R", "apart": "apart", "degree 1": "degree 1", "kl": "KL"}


def rows_of(how: str) -> pd.DataFrame:
    """The rows of one kind, descent, flow, decayed, path or symmetric, with R in the column `ratio`."""
    body = recorded(NAME).body
    table = pd.DataFrame(body["references" if how in ("path", "symmetric") else "per_seed"])
    found = table[table["how"] == how].reset_index(drop=True)
    least = found["m"].map({m: solve_cube(m).value for m in sorted(set(found["m"]))})
    return found.assign(ratio=cost_ratio(found["norm"].to_numpy(), found["margin"].to_numpy(), least=1.0) / least)


def linear_ratio(m: int) -> float:
    """R of linear logits: m 6^((m−1)/2)/V."""
    return float(m * 6 ** ((m - 1) / 2) / solve_cube(m).value)


def state() -> pd.DataFrame:
    """How each descent was run: last clock, step, seeds that never rose; what half a step moves, and the flow's gap.

    "from the flow": the largest difference of a seed's U to that of gradient flow, over all clocks of descent; "R" and
    "apart" the same for these.
    """
    table = pd.DataFrame(recorded(NAME).body["cells"]).set_index(KEYS)
    descent, ideal = rows_of("descent").groupby(KEYS), dict(list(rows_of("flow").groupby(KEYS)))
    names = {"unembedding": "from the flow", "ratio": "R", "apart": "apart"}
    gaps = {
        place: {name: largest_gap(part, ideal[place], column=column) for column, name in names.items()}
        for place, part in descent
    }
    wide = pd.DataFrame(gaps).T.rename_axis(index=KEYS)
    kept = ["clock", "seeds", "step_size", "monotone", "halving moves"]
    return table[kept].join(wide).rename(columns={"step_size": "step size"})


def course(how: str, m: int, world: str) -> pd.DataFrame:
    """Means over seeds by start and clock: `SHOWN`, and the standard error of U and R."""
    rows = rows_of(how)
    groups = rows[(rows["m"] == m) & (rows["world"] == world)].groupby(["start", "clock"])
    errors = groups[["unembedding", "ratio"]].sem()
    errors.columns = pd.Index(["U ±", "R ±"])
    return groups[list(SHOWN)].mean().rename(columns=SHOWN).join(errors)


def beside_path(m: int, world: str, column: str = "U") -> pd.DataFrame:
    """U, R or apart by clock: of the path at λ = 1/t, and the mean of gradient flow from each start."""
    long = next(name for name, symbol in SHOWN.items() if symbol == column)
    found = course("flow", m, world)[column].unstack("start")
    path = rows_of("path")
    there = path[path["m"] == m].set_index("clock")[long]
    found.insert(0, "path", there.reindex(found.index))
    return found


def ends(column: str = "U") -> pd.DataFrame:
    """U, R or apart of the path and of the flow from each start at its last clock, by m and world."""
    places = rows_of("flow")[["m", "world"]].drop_duplicates()
    last = [beside_path(m, world, column).iloc[-1] for m, world in places.to_numpy().tolist()]
    return pd.DataFrame(last).set_index(pd.MultiIndex.from_frame(places))


def spread(*, first: float = 1e4) -> pd.DataFrame:
    """How seeds of the flow differ at its last clock, by setting: mean U, its standard error, least and most; counts.

    "U lower" and "nearer": seeds whose U, or whose distance from the optimum in shape, is below that at the first
    clock. "dearer than linear": seeds whose R is above that of linear logits.

    Args:
        first: the clock that the counts compare with.
    """
    rows, lines = rows_of("flow"), {}
    linear = {m: linear_ratio(m) for m in sorted(set(rows["m"]))}
    for place, part in rows.groupby(KEYS):
        early, late = (part[part["clock"] == clock].set_index("seed") for clock in (first, part["clock"].max()))
        values = late["unembedding"]
        line = {"U": values.mean(), "U ±": values.sem(), "least": values.min(), "most": values.max()}
        counts = {"U lower": values < early["unembedding"], "nearer": late["apart"] < early["apart"]}
        counts["dearer than linear"] = late["ratio"] > late["m"].map(linear)
        lines[place] = line | {name: int(each.sum()) for name, each in counts.items()}
    whole = dict.fromkeys(("U lower", "nearer", "dearer than linear"), int)
    return pd.DataFrame(lines).T.rename_axis(index=KEYS).astype(whole)


def falls(column: str, *, first: float = 1e4) -> pd.DataFrame:
    """By setting of the flow: over how many of its decades, all seeds together, a measure falls; its largest rise.

    Args:
        first: decades count from this clock on.
    """
    rows = rows_of("flow")
    lines = {}
    for place, part in rows[rows["clock"] >= first].groupby(KEYS):
        steps = part.pivot_table(index="clock", columns="seed", values=column).diff().iloc[1:].to_numpy()
        lines[place] = {"decades": steps.size, "fall": int((steps < 0).sum()), "largest rise": max(0.0, steps.max())}
    return pd.DataFrame(lines).T.rename_axis(index=KEYS).astype({"decades": int, "fall": int})


def per_decade(m: int, world: str) -> pd.DataFrame:
    """How much the mean U of the flow changes in the decade that ends at a clock, by start, and the path's."""
    return beside_path(m, world).diff().dropna()


def control() -> pd.DataFrame:
    """With weight decay, by λ and start: mean U and R, the path's, and how far a seed is from U, R and apart there."""
    path = rows_of("path").query("m == 2").set_index("clock")
    rows, lines = rows_of("decayed"), []
    for decay in DECAYS:
        goal = path.loc[float(f"{1 / decay:.6g}")].to_dict()
        for start in SCALES:
            part = rows[(rows["decay"] == decay) & (rows["start"] == start)]
            line: dict[str, float | str] = {"λ": f"10^{math.log10(decay):.0f}", "start": start}
            for name in ("unembedding", "ratio"):
                line |= {SHOWN[name]: part[name].mean(), f"{SHOWN[name]}, path": goal[name]}
            off = {name: (part[name] - goal[name]).abs().max() for name in ("unembedding", "ratio", "apart")}
            lines.append(line | {f"{SHOWN[name]} off by": value for name, value in off.items()})
    return pd.DataFrame(lines).set_index(["λ", "start"])


def far(m: int, column: str = "unembedding") -> pd.DataFrame:
    """A measure of the symmetric flow of fair coins by clock and start, and the path's at λ = 1/t."""
    rows, path = rows_of("symmetric"), rows_of("path")
    found = rows[rows["m"] == m].pivot_table(index="clock", columns="start", values=column)
    found.insert(0, "path", path[path["m"] == m].set_index("clock")[column].reindex(found.index))
    return found


def symmetric(m: int, start: str) -> pd.DataFrame:
    """U and R of the symmetric flow of fair coins from one start, and the path's U at λ = 1/t, by clock."""
    u = far(m)
    found = pd.DataFrame({"U": u[start], "U, path": u["path"], "R": far(m, "ratio")[start]})
    return found.set_axis(pd.Index([f"10^{math.log10(clock):.0f}" for clock in found.index], name="clock"))


def exponents(scales: Sequence[float], clocks: Sequence[float]) -> pd.DataFrame:
    """The power of ln t as which |b_12|²/|b_1|² of two coins grows between clocks, by scale of the symmetric start."""
    lines = {}
    for scale in scales:
        ratios = [float(each.weights[1] / each.weights[0]) for each in cube_flow(2, scale, clocks)]
        logs = np.log(np.log(np.asarray(clocks)))
        lines[f"{scale:g}"] = dict(zip(clocks[1:], np.diff(np.log(ratios)) / np.diff(logs), strict=True))
    return pd.DataFrame(lines).T.rename_axis(index="start", columns="to clock")


def extrapolation(*, fitted: tuple[float, ...] = (1e4, 1e5, 1e6)) -> pd.DataFrame:
    """U = a + b/ln t fitted to the mean U at some clocks, fair coins: what it says of later clocks, and what is.

    Rows: for each m and start, the flow from normal starts, tested at 10^10, and the symmetric one, tested at 10^300.
    """
    lines = []
    for m in sorted(set(rows_of("flow")["m"])):
        for how, last in (("flow", 1e10), ("symmetric", 1e300)):
            table = (beside_path(m, "coins") if how == "flow" else far(m)).drop(columns="path")
            for start in SCALES:
                slope, limit = np.polyfit([1 / math.log(t) for t in fitted], table.loc[list(fitted), start], 1)
                said, found = limit + slope / math.log(last), float(table[start].loc[last])
                line = {"m": m, "how": how, "start": start, "tested at": f"10^{math.log10(last):.0f}"}
                lines.append(line | {"said": said, "is": found, "a": limit, "limit": solve_cube(m).linearity})
    return pd.DataFrame(lines).set_index(["m", "how", "start"])


def require_live(*, clock: int, seeds: int, tolerance: float) -> int:
    """Run some seeds of `LIVE` again, by descent and by flow, and hold them to the record; how many runs it was.

    Raises:
        LinrepError: a number differs from that on record by more than the tolerance.
    """
    if clock > MODERATE:
        raise LinrepError(f"clock is {clock:,}; a page repeats runs to {MODERATE:,} at most")
    setting = setting_of(*LIVE)
    step_size = state()["step size"].to_dict()[LIVE]
    live = {
        "descent": along(setting, range(seeds), step_size=step_size, clock=clock),
        "flow": flow_along(setting, range(seeds), clock=clock),
    }
    for how, found in live.items():
        rows = dict(list(rows_of(how).groupby(KEYS)))[LIVE]
        columns = ["kl", *COSINES, "norm", "margin", "apart"]
        require_agreement(rows, found, on=["seed", "clock"], columns=columns, tolerance=tolerance)
    return sum(len(set(found["seed"])) for found in live.values())
