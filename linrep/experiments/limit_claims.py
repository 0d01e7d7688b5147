"""The claims of the chapter on the limit: each verdict follows from numbers, by the rule in its docstring."""

import numpy as np
import pandas as pd

from linrep.claims import Claim
from linrep.experiments import limit, limit_descent_views, width_views
from linrep.pilot import CLOCKS

SOLVER = 1e-5
"""Two solvers' values agree within this part of them, and U within this."""

CLOSE = 0.01
"""U within this of another counts as the same."""

LEFT_OPEN = 1e-4
"""The part of its nuclear norm that a certificate may leave open for degrees that are absent."""

LATE = 2e-9
"""The λ of the path from which on its rate is looked at."""

LINEAR = "counts (linear)"

DEGREE_FOUR = 18
"""The number of concepts from which on degree four is present."""


def claims(
    predicted: pd.DataFrame | None = None,
    measured: pd.DataFrame | None = None,
    full: pd.DataFrame | None = None,
    unique: pd.DataFrame | None = None,
    large: pd.DataFrame | None = None,
    path: pd.DataFrame | None = None,
    linear: pd.DataFrame | None = None,
    worlds: pd.DataFrame | None = None,
    last: pd.DataFrame | None = None,
    falling: pd.DataFrame | None = None,
    decayed: pd.DataFrame | None = None,
) -> list[Claim]:
    """The claims of the chapter, from its tables; what is not given is computed as the chapter does.

    Args:
        predicted: of `prediction_table`. measured: of `candidates_table`. full: of `full_table`. unique: of
        `unique_table`. large: of `large_table`. path: of `path_rows`. linear: of `linear_range`. worlds: of
        `worlds_table`. last, falling, decayed: of `ends`, `falls` and `control` of the views of descent.
    """
    views = limit_descent_views
    predicted = limit.prediction_table(range(2, 13)) if predicted is None else predicted
    measured = limit.candidates_table(range(2, 7)) if measured is None else measured
    path = limit.path_rows([2, 3, 4]) if path is None else path
    large = limit.large_table(range(13, 21)) if large is None else large
    if worlds is None:
        worlds = limit.worlds_table(3, [1e-2, 1e-3, 1e-4, 1e-5], seeds=range(5))
    return [
        forgets(worlds),
        width(width_views.means()),
        cube(limit.full_table([2, 3, 4]) if full is None else full, predicted),
        bent(predicted, measured),
        one_optimum(limit.unique_table(range(2, 7)) if unique is None else unique),
        degrees(pd.concat([predicted, large])),
        rate(path),
        straight(limit.linear_range([2, 3, 4, 5]) if linear is None else linear, path),
        undecayed(
            views.ends() if last is None else last,
            views.falls("ratio") if falling is None else falling,
            views.control() if decayed is None else decayed,
        ),
    ]


def forgets(worlds: pd.DataFrame) -> Claim:
    """Holds if worlds come together with every step of λ, to within 0.01 at the last, and were not so at the first."""
    apart = worlds[["apart, mean", "at most"]]
    number, control = float(worlds["at most"].iloc[-1]), float(worlds["at most"].iloc[0])
    together = bool((apart.diff().dropna() < 0).all(axis=None))
    return Claim(
        key="limit-path",
        statement="With ample width the optima under vanishing weight decay head for a limit in which the "
        "probabilities of the words do not matter.",
        source="ours, after Zhao et al.",
        hypotheses="H1 p(c) > 0 and p(d) > 0, H2 k is the number of tokens less one, or more, H3 λ → 0",
        verdict="holds in range" if together and number < CLOSE < control else "different",
        measured="largest |difference| of U from that of fair coins, λ = 10⁻⁵, five worlds of dependent concepts, "
        "m = 3, k = 8, by L-BFGS",
        number=number,
        broken="H3: λ = 10⁻²",
        control=control,
        where="limit:thm-limit-path",
    )


def width(means: pd.DataFrame) -> Claim:
    """New: for every m descent leaves more than ten times the KL below k = m that it leaves there.

    Args:
        means: of `width_views.means`; the best start below k = m is held against the worst at k = m, for each m.
    """
    cells = means.reset_index().query("clock == @CLOCKS[2]")
    below = cells[cells["k"] < cells["m"]].groupby("m")["kl"].min()
    equal = cells[cells["k"] == cells["m"]].groupby("m")["kl"].max().loc[below.index]
    return Claim(
        key="limit-width",
        statement="Tables that meet every constraint of the margin problem need as many dimensions as concepts, and no "
        "more.",
        source="ours",
        hypotheses="H1 k < m, H2 complete sets",
        verdict="new" if bool((below > 10 * equal).all()) else "different",
        measured=f"least mean KL of descent, nats, all starts, m = 3 to 6, clock {CLOCKS[2]:,}, 20 seeds (m = 6: 10)",
        number=float(below.min()),
        broken="H1: k = m, the greatest mean KL",
        control=float(equal.max()),
        where="limit:prop-limit-width",
    )


def cube(full: pd.DataFrame, predicted: pd.DataFrame) -> Claim:
    """New: the program without symmetry gives the value of the reduced one, which is below that of linear logits."""
    number = float((full["full"] / full["reduced"] - 1).abs().max())
    control = float((predicted.loc[full.index, "linear"] / full["full"] - 1).min())
    return Claim(
        key="limit-cube",
        statement="Symmetry leaves m(m + 1)/2 numbers of the margin problem: logits that depend on how many concepts a "
        "context knows and how many of them a token contradicts.",
        source="ours",
        hypotheses="H1 the margins h_κ(j) are free, H2 complete sets",
        verdict="new" if number < SOLVER and control > 0.05 else "different",
        measured="largest relative |difference| of the least nuclear norm from that of the full program, m = 2 to 4",
        number=number,
        broken="H1: h_κ(j) = j, linear logits; the smallest",
        control=control,
        where="limit:thm-limit-cube",
    )


def bent(predicted: pd.DataFrame, measured: pd.DataFrame) -> Claim:
    """New: U falls with m, from 2 − √3, and vectors have it; linear logits, which meet all constraints, have U = 1."""
    control = float(measured.xs(LINEAR, level="logits")["U"].min())
    vectors = float((measured["U"] - measured["U, formula"]).abs().max())
    first = abs(float(predicted["U"][2]) - (2 - 3**0.5))
    falls = bool(predicted["U"].is_monotonic_decreasing)
    return Claim(
        key="limit-linearity",
        statement="The limit of wide training is not linear: its U is 2 − √3 for two concepts, and falls with every "
        "concept more.",
        source="ours",
        hypotheses="H1 the least nuclear norm, H2 k is the rank of the optimum or more, H3 balanced tables",
        verdict="new" if falls and max(vectors, first) < SOLVER and control > 1 - SOLVER else "different",
        measured="U of the optimum at m = 2, the largest of m = 2 to 12",
        number=float(predicted["U"].max()),
        broken="H1: linear logits, which meet the same constraints; m = 2 to 6",
        control=control,
        where="limit:thm-limit-cube",
    )


def one_optimum(unique: pd.DataFrame) -> Claim:
    """New: the equations leave nothing free for any m, by far; those of equal logits alone do."""
    number, control = float(unique["least eigenvalue"].min()), float(unique["without margins"].max())
    return Claim(
        key="limit-unique",
        statement="The margin problem of up to six concepts has one optimum only.",
        source="ours",
        hypotheses="H1 a certificate that attains the bound, H2 margins of 1 where it is negative",
        verdict="new" if number > 0.1 and control < SOLVER else "undecided",
        measured="least eigenvalue of the equations that the certificate leaves for G Gᵀ, the smallest of m = 2 to 6",
        number=number,
        broken="H2: only the equations of equal logits on the support",
        control=control,
        where="limit:thm-limit-unique",
    )


def degrees(table: pd.DataFrame) -> Claim:
    """Holds in range: three is the largest degree to m = 17 and four from 18 on, with certificates for the absent ones.

    Args:
        table: degrees and what a certificate leaves open, by m from 2 to 20.
    """
    highest = table["degrees"].str.split(", ").str[-1].astype(int)
    number, control = float(highest.loc[: DEGREE_FOUR - 1].max()), float(highest.loc[DEGREE_FOUR:].min())
    certain = float(table["left open"].max()) < LEFT_OPEN
    return Claim(
        key="limit-degrees",
        statement="No set of more than three concepts has weight in the limit, for up to 17 concepts.",
        source="ours",
        hypotheses="H1 m ≤ 17, H2 complete sets",
        verdict="holds in range" if certain and number <= 3 < control else "different",
        measured="largest degree in the optimum, m = 2 to 17; certificates leave others less than 10⁻⁴ of the norm",
        number=number,
        broken="H1: m = 18 to 20, the smallest",
        control=control,
        where="limit:sec-limit-large",
    )


def rate(path: pd.DataFrame) -> Claim:
    """New: times ln(1/λ) the distance changes by less than a factor of 3, without it by more than 10, for each m."""
    late = path[path["strength"] < LATE].set_index(["m", "strength"])["times log"].unstack("m")
    plain = late.div(-np.log(late.index), axis=0)
    number, control = float((late.max() / late.min()).max()), float((plain.max() / plain.min()).min())
    return Claim(
        key="limit-rate",
        statement="Along the path the distance of U from its limit falls about like 1/ln(1/λ).",
        source="ours",
        hypotheses="H1 fair coins, H2 the distance is taken times ln(1/λ)",
        verdict="new" if number < 3 and control > 10 else "undecided",
        measured="largest over smallest distance of U from its limit, times ln(1/λ), λ = 10⁻⁹ to 10⁻³⁰⁰; the largest "
        "of m = 2 to 4",
        number=number,
        broken="H2: the distance itself, the smallest",
        control=control,
        where="limit:sec-limit-path",
    )


def straight(linear: pd.DataFrame, path: pd.DataFrame) -> Claim:
    """New: U = 1 in the middle of each range, and well below it at every λ of the path below the range."""
    below = path[path["strength"] < path["m"].map(linear["from"])]
    number, control = float(linear["U at the middle"].min()), float(below["U"].max())
    return Claim(
        key="limit-critical",
        statement="Just below the weight decay that leaves nothing, the optimum of the widest model is exactly linear.",
        source="ours",
        hypotheses="H1 fair coins, H2 λ from about 0.45 λ_1 to λ_1 = (3/16)^(m/2)/√3",
        verdict="new" if number > 1 - SOLVER and control < 0.9 else "different",
        measured="U half way in the range on the logarithmic scale, the smallest of m = 2 to 5",
        number=number,
        broken="H2: smaller λ, the largest U of m = 2 to 4",
        control=control,
        where="limit:prop-limit-critical",
    )


def undecayed(last: pd.DataFrame, falling: pd.DataFrame, decayed: pd.DataFrame) -> Claim:
    """New: R falls over all decades, U stays above the path's by more than 0.1, and with decay comes within 0.01.

    Args:
        last: U of the path and the flow, by setting. falling: decades in which R falls. decayed: with weight decay.
    """
    above = last.drop(columns="path").sub(last["path"], axis=0)
    number, control = float(above.min().min()), float(decayed["U off by"].max())
    cheaper = bool((falling["fall"] == falling["decades"]).all())
    return Claim(
        key="limit-descent",
        statement="Without decay, wide descent heads for cheaper logits, and keeps the U of its start for any clock "
        "that one can wait for.",
        source="ours",
        hypotheses="H1 no decay, H2 gradient flow, k = 2^m, m = 2 and 3",
        verdict="new" if cheaper and number > 0.1 and control < CLOSE else "undecided",
        measured="U less that of the path at λ = 1/t, clock t = 10^(10), the smallest mean of 12 settings; 10 seeds",
        number=number,
        broken="H1: weight decay λ, clock 30/λ, the largest |difference| of a seed",
        control=control,
        where="limit:sec-limit-descent",
    )
