"""The claims of the chapter on width, from its record: each verdict follows from numbers, by the rule in its docstring.

Means are over the seeds on record, 20 for two to five concepts and 10 for six, at the last clock of each cell, if a
claim does not say otherwise.
"""

import pandas as pd

from linrep.claims import Claim
from linrep.experiments import width_views as views
from linrep.experiments.spectra import chance_shares
from linrep.experiments.width_map import DIMS
from linrep.pilot import CLOCKS
from linrep.stats import MARGIN

MOST = 0.9
"""The part of the steps to wider spaces in which U has to fall."""

NEARLY = 0.1
"""A mean |cosine| between concepts below this is near-orthogonality."""

RANGE = "m = 2 to 6"


def claims(steps: pd.DataFrame | None = None, more: pd.DataFrame | None = None) -> list[Claim]:
    """The claims of the chapter, from its record; a table that is not given is made as the chapter makes it.

    Args:
        steps: of `steps_down`. more: of `one_more`.
    """
    grids, lines = views.grids("unembedding"), {start: views.course(3, start) for start in ("0.01", "0.1", "1")}
    return [
        falls(grids, views.steps_down() if steps is None else steps),
        one_more(views.one_more() if more is None else more),
        starts(grids),
        still({start: each["unembedding"].unstack("clock") for start, each in lines.items()}),
        orthogonal(views.grids("between")),
        simplex(views.against_dim("0.1", clock=CLOCKS[2])["known degree 1"]),
    ]


def falls(grids: dict[int, pd.DataFrame], steps: pd.DataFrame) -> Claim:
    """New: U falls in nine of ten steps to wider spaces, and no U at k = 2^m is within the margin of one at k = m."""
    number = max(float(table["0.1"][2**m]) for m, table in grids.items())
    control = min(float(table["0.1"][m]) for m, table in grids.items())
    mostly = steps["down"].sum() >= MOST * steps["steps"].sum()
    return Claim(
        key="width-falls",
        statement="Above as many dimensions as concepts, words are the less linear the more dimensions there are.",
        source="ours",
        hypotheses="H1 k > m, H2 descent without noise, complete sets",
        verdict="new" if mostly and number < control - MARGIN else "undecided",
        measured=f"U at k = 2^m from N(0, 0.1²), the largest of {RANGE}; it falls in {int(steps['down'].sum())} of "
        f"{int(steps['steps'].sum())} steps of width, all starts",
        number=number,
        broken=f"H1: k = m, the smallest of {RANGE}",
        control=control,
        where="width:sec-width-map",
    )


def one_more(more: pd.DataFrame) -> Claim:
    """New: from the linear start the cost is certain at every m; from N(0, 0.01²) it is not."""
    linear, small = (more.xs(start, level="start") for start in ("linear", "0.01"))
    certain = bool((linear["verdict"] == "different").all() and (linear["high"] < 0).all())
    return Claim(
        key="width-one-more",
        statement="From the start of a linear layer one dimension more than there are concepts makes words less "
        "linear, for every number of concepts.",
        source="ours",
        hypotheses="H1 the start of a linear layer, H2 k = m + 1",
        verdict="new" if certain and bool((small["high"] > 0).any()) else "undecided",
        measured=f"U at k = m + 1 less that at k = m, seed by seed, the smallest loss of {RANGE}",
        number=float(linear["difference"].max()),
        broken=f"H1: start N(0, 0.01²), the smallest loss or largest gain of {RANGE}",
        control=float(small["difference"].max()),
        where="width:sec-width-one-more",
    )


def starts(grids: dict[int, pd.DataFrame]) -> Claim:
    """New: for every m the smallest start is above the usual ones by more than the margin in the widest space."""
    widest = {m: table.iloc[-1] for m, table in grids.items()}
    small = {m: float(row["0.01"]) for m, row in widest.items()}
    usual = {m: float(row[["linear", "0.1", "1"]].max()) for m, row in widest.items()}
    return Claim(
        key="width-starts",
        statement="In the widest spaces words stay nearly linear from a small start, and not from the usual ones.",
        source="ours",
        hypotheses="H1 start N(0, 0.01²), H2 k = 2^m or 4m, the larger",
        verdict="new" if all(small[m] > usual[m] + MARGIN for m in grids) else "undecided",
        measured=f"U, the smallest of {RANGE}",
        number=min(small.values()),
        broken=f"H1: starts N(0, 0.1²), N(0, 1) and that of a linear layer, the largest of {RANGE}",
        control=max(usual.values()),
        where="width:sec-width-starts",
    )


def still(lines: dict[str, pd.DataFrame]) -> Claim:
    """New: from each start U moves less at every k > m than at k = m.

    Args:
        lines: U of three concepts by k (rows) and clock (columns), for each start.
    """
    moves = {start: (table[CLOCKS[4]] - table[CLOCKS[0]]).abs() for start, table in lines.items()}
    wide = {start: float(each[each.index > 3].max()) for start, each in moves.items()}
    equal = {start: float(each[3]) for start, each in moves.items()}
    return Claim(
        key="width-time",
        statement="Above as many dimensions as concepts, the linearity of words changes less with time than at k = m.",
        source="ours",
        hypotheses="H1 k > m, H2 descent without noise, m = 3",
        verdict="new" if all(wide[start] < equal[start] for start in lines) else "undecided",
        measured=f"largest |change| of U from clock {CLOCKS[0]:,} to {CLOCKS[4]:,}, k = 4 to 12, "
        "starts N(0, S²), S = 0.01, 0.1, 1; 20 seeds",
        number=max(wide.values()),
        broken="H1: k = m, the smallest |change| of the three starts",
        control=min(equal.values()),
        where="width:sec-width-starts",
    )


def orthogonal(grids: dict[int, pd.DataFrame]) -> Claim:
    """New: no cell with k ≥ m is above 0.1, and every one with k < m is.

    Args:
        grids: of the mean |cosine| between concepts.
    """
    number = max(float(table[table.index >= m].to_numpy().max()) for m, table in grids.items())
    control = min(
        float(table[table.index < m].to_numpy().min()) for m, table in grids.items() if (table.index < m).any()
    )
    return Claim(
        key="width-between",
        statement="From k = m on the mean directions of different concepts are nearly orthogonal at every width, "
        "whether concepts are linear or not.",
        source="ours",
        hypotheses="H1 k ≥ m, H2 descent without noise, complete sets",
        verdict="new" if number < NEARLY < control else "undecided",
        measured=f"mean |cosine| between concepts, the largest of all widths k ≥ m and starts, {RANGE}",
        number=number,
        broken="H1: k < m, the smallest, m = 3 to 6",
        control=control,
        where="width:sec-width-map",
    )


def simplex(shares: pd.Series) -> Claim:
    """New: the share falls with every k ≥ m, and in no cell is it that of a simplex.

    Args:
        shares: of degree one in the embeddings of contexts that know every concept, by m and k.
    """
    parts = {m: shares.loc[m].loc[m:] for m in DIMS}
    way = {m: (1 - part) / (1 - float(chance_shares(m)["g"][1])) for m, part in parts.items()}
    steady = all(part.is_monotonic_decreasing for part in parts.values())
    number, control = min(float(each.iloc[-1]) for each in way.values()), max(float(each[m]) for m, each in way.items())
    short = max(float(each.max()) for each in way.values()) < 1
    return Claim(
        key="width-simplex",
        statement="With more dimensions the contexts that know every concept move from the corners of a cube towards "
        "those of a simplex, and do not get there.",
        source="ours",
        hypotheses="H1 k > m, H2 start N(0, 0.1²)",
        verdict="new" if steady and short and number > control + MARGIN else "undecided",
        measured="part of the way from cube to simplex, by the share of degree one, in the widest space; the "
        f"smallest of {RANGE}, clock {CLOCKS[2]:,}",
        number=number,
        broken=f"H1: k = m, the largest of {RANGE}",
        control=control,
        where="width:sec-width-simplex",
    )
