"""The claims of the chapter on orthogonality: each verdict follows from numbers, by the rule in its docstring."""

from collections.abc import Mapping

import pandas as pd

from linrep.claims import Claim
from linrep.experiments.orthogonality_record import merged
from linrep.experiments.orthogonality_rows import corollary_rows, starts, theorem_rows
from linrep.experiments.orthogonality_time import rows_of, slope
from linrep.results import Record
from linrep.simulate import Simulation
from linrep.stats import MARGIN, Comparison, Estimate, compare, estimate

LARGE = 0.3
"""A mean |cosine| above this is no near-orthogonality; independent vectors drawn in four dimensions have about .42."""

SMALL = 0.1
"""A mean |cosine| between single steering vectors below this counts as nearly orthogonal."""

NOT_LINEAR = "random, k = 8"
"""The arm in which log-odds are matched best and concepts are far from linear."""

SETTING = "m = 4, 20 seeds"

EARLY = f"{SETTING}, clock 3,164"

LATE = f"{SETTING}, clock 31,623"


def theorem_7(models: Mapping[str, Simulation]) -> Claim:
    """Holds in range: pairs that are not adjacent within the margin of zero, the control with j = i far from it."""
    random = models["random"]
    found = _of(merged(theorem_rows(random)), "not adjacent", "cosine")
    control = estimate(theorem_rows(random, "own")["cosine"].to_numpy(float))
    holds = _above(found) < MARGIN and _below(control) > LARGE
    return Claim(
        key="theorem-7",
        statement="matched log-odds make Δg_i(c) orthogonal to f(d(j→c_j)) − f(d(j→⋄)) for separated concepts",
        source="paper, Theorem 7",
        hypotheses="p(c) > 0; C_i and C_j separated; the log-odds of i exact on D_c",
        verdict="holds in range" if holds else "undecided",
        measured=f"mean |cosine|, random DAGs, pairs not adjacent, k = 4, {EARLY}",
        number=found.mean,
        broken="j = i: mean |cosine|",
        control=control.mean,
        where="orthogonality:thm-seven",
    )


def theorem_7_graph(models: Mapping[str, Simulation]) -> Claim:
    """New: adjacent and other pairs equivalent at k = 4 and k = 8, while the second difference tells them apart."""
    both = [adjacency(theorem_rows(models[name]), "cosine") for name in ("random", "random, k = 8")]
    control = adjacency(corollary_rows(models["random, k = 8"]), "model")
    holds = all(found.verdict == "reproduced" for found in both) and control.low > MARGIN
    return Claim(
        key="theorem-7-graph",
        statement="Theorem 7 needs no separation: its products carry no information about the graph",
        source="ours",
        hypotheses="p(c) > 0; the log-odds of i exact on D_c",
        verdict="new" if holds else "undecided",
        measured=f"mean |cosine|, adjacent minus not adjacent, random DAGs, k = 8, {EARLY}",
        number=both[1].difference,
        broken="the second difference in place of the first: |f(⋄...⋄)·□_ij g(c)|, adjacent minus not adjacent",
        control=control.difference,
        where="orthogonality:thm-seven",
    )


def corollary_8(models: Mapping[str, Simulation], record: Record) -> Claim:
    """Holds in range: small once fitted and at the horizon, falling; larger without linearity, and large untrained."""
    arm, relation = "random, k = 4", "not adjacent"
    rows = rows_of(record)
    late = _of(rows[(rows["arm"] == arm) & (rows["clock"] == rows["clock"].max())], relation, "cosine")
    found, control = (_of(merged(corollary_rows(models[name])), relation, "cosine") for name in ("random", NOT_LINEAR))
    start = _of(merged(corollary_rows(models["random"], tables=starts(models["random"]))), relation, "cosine")
    falls = slope(record, "cosine", arm, relation).high < 0
    small = max(_above(found), _above(late)) < SMALL
    holds = small and falls and _below(control) > _above(found) and _below(start) > LARGE
    return Claim(
        key="corollary-8",
        statement="steering vectors of separated, linear and matched concepts are orthogonal",
        source="paper, Corollary 8",
        hypotheses="those of Theorem 7; C_i linear in the unembeddings; C_j linear and matched",
        verdict="holds in range" if holds else "undecided",
        measured=f"mean |cos(Δg_i, Δg_j)|, random DAGs, pairs not adjacent, k = 4, {EARLY}; small up to clock 31,623",
        number=found.mean,
        broken="linearity: the same at k = 8, where log-odds are matched and concepts are far from linear",
        control=control.mean,
        where="orthogonality:cor-eight",
    )


def contradiction(models: Mapping[str, Simulation], record: Record) -> Claim:
    """New: no square is open by more than its departure, and only the model that is not linear knows the dependence."""
    narrow, wide = (_of(corollary_rows(models[name]), "adjacent", "part") for name in ("random", "random, k = 8"))
    rows = record.to_frame()
    respected = bool((rows["departure"] >= rows["opening"] - 1e-5).all())
    holds = respected and _above(narrow) < 0.5 < _below(wide)
    return Claim(
        key="corollary-8-contradiction",
        statement="interacting concepts cannot be linear in different directions with exact log-odds",
        source="ours",
        hypotheses="p(c) > 0; C_i, C_j linear in the unembeddings; log-odds of i exact in one context without i and j",
        verdict="new" if holds else "undecided",
        measured=f"part of ln OR that the model has at ⋄...⋄, random DAGs, adjacent pairs, k = 4, {EARLY}",
        number=narrow.mean,
        broken="linearity: the same at k = 8, where the concepts are far from linear",
        control=wide.mean,
        where="orthogonality:prop-contradiction",
    )


def price(known: pd.DataFrame) -> Claim:
    """New: the dependence mostly known in contexts that know one concept, mostly unknown in the one that knows none.

    Args:
        known: `known_table` of the random worlds at k = m.
    """
    rows = known.to_dict("index")
    none, one = ((row["part learned"], row["part learned ±"]) for row in (rows[0], rows[1]))
    cheaper = rows[1]["need |□|/S"] < rows[0]["need |□|/S"] / 5
    return Claim(
        key="orthogonality-price",
        statement="an odds ratio needs |□|/S ≥ |ln OR|/(|f(d)| S): it is learned first where embeddings are long",
        source="ours",
        hypotheses="p(c) > 0; log-odds of i exact in one context without i and j",
        verdict="new" if cheaper and one[0] - 2 * one[1] > 0.5 > none[0] + 2 * none[1] else "undecided",
        measured=f"part of ln OR that the model has where one concept is known, random DAGs, k = 4, {EARLY}",
        number=one[0],
        broken="long embeddings: the same where none is known",
        control=none[0],
        where="orthogonality:prop-price",
    )


def pinned(record: Record, explicit: pd.DataFrame) -> Claim:
    """New: at k = m exact log-odds need squares ten times as open as the explicit model at k = m + 1 has them."""
    rows = rows_of(record)
    last = rows[(rows["arm"] == "fully connected, k = 4") & (rows["clock"] == rows["clock"].max())]
    found, control = _of(last, "adjacent", "pinned"), float(explicit["|□|/S"].iloc[-1])
    return Claim(
        key="orthogonality-width",
        statement="at k = m growing norms do not help: exact log-odds at ⋄...⋄ keep the squares open",
        source="ours",
        hypotheses="p(c) > 0; exact log-odds at ⋄...⋄; k = m; Δg_1(c), ..., Δg_m(c) independent",
        verdict="new" if _below(found) > 10 * control else "undecided",
        measured=f"least |□|/S that exact log-odds at ⋄...⋄ need, fully connected, k = 4, {LATE}",
        number=found.mean,
        broken="k = m: |□|/S of the explicit model at k = m + 1, exact and as small as one likes; here at T = 256",
        control=control,
        where="orthogonality:prop-pinned",
    )


def product(straight: pd.DataFrame) -> Claim:
    """New: no model with closed squares below the floor, and the trained ones below it in the median."""
    below, trained = straight["closed, below"].sum(), straight["trained, KL / floor"]
    row = straight.to_dict("index")["random"]
    return Claim(
        key="linear-product",
        statement="a model with all concepts linear, no two in one line, predicts them independent: KL ≥ product floor",
        source="ours",
        hypotheses="all tokens; every concept linear in the unembeddings; no two directions collinear",
        verdict="new" if below == 0 and (trained < 1).all() else "undecided",
        measured=f"KL / floor with every square closed and f as trained, median, random DAGs, k = 4, {EARLY}",
        number=float(row["closed, KL / floor"]),
        broken="linearity: KL / floor as trained",
        control=float(row["trained, KL / floor"]),
        where="orthogonality:prop-product",
    )


def rate(record: Record) -> Claim:
    """New: the slope of the dependent is above zero at 95 %, that of the independent below."""
    tied = slope(record, "cosine", "fully connected, k = 4", "adjacent")
    free = slope(record, "cosine", "no edges, k = 4", "not adjacent")
    return Claim(
        key="orthogonality-rate",
        statement="at k = m, once fitted, single steering vectors of interacting concepts leave near-orthogonality; "
        "those of independent ones come nearer to it",
        source="ours",
        hypotheses="gradient descent from the linear start; measured from clock 3,162 to 31,623",
        verdict="new" if tied.low > 0 > free.high else "undecided",
        measured=f"slope of ln mean |cos(Δg_i, Δg_j)| on ln clock, fully connected, k = 4, {LATE}",
        number=tied.mean,
        broken="dependence: the same without edges",
        control=free.mean,
        where="orthogonality:sec-rate",
    )


def adjacency(rows: pd.DataFrame, column: str) -> Comparison:
    """Adjacent minus not adjacent pairs of concepts: two one-sided tests on a mean for each seed that has any."""
    two = merged(rows)
    return compare(_of(two, "adjacent", column), _of(two, "not adjacent", column))


def _of(rows: pd.DataFrame, relation: str, column: str) -> Estimate:
    """Mean and standard error over seeds of one relation's rows."""
    return estimate(rows.loc[rows["relation"] == relation, column].to_numpy(float))


def _above(found: Estimate) -> float:
    """Two standard errors above the mean."""
    return found.mean + 2 * found.stderr


def _below(found: Estimate) -> float:
    """Two standard errors below the mean."""
    return found.mean - 2 * found.stderr
