"""The claims of the chapter on log-odds, each with the rule that gives its verdict."""

from collections.abc import Mapping

import pandas as pd

from linrep.claims import Claim, Word
from linrep.experiments import log_odds_explicit, log_odds_independent, log_odds_markov
from linrep.experiments.log_odds_time import NAME
from linrep.pilot import CLOCKS
from linrep.results import read_record, results_folder
from linrep.stats import Estimate, estimate

EXACT = 1e-9
"""Below this a relative measure of explicit models, or a gap in nats, is zero to rounding."""


def claims(
    fits: pd.DataFrame | None = None,
    arms: Mapping[str, pd.DataFrame] | None = None,
    along: pd.DataFrame | None = None,
    spans: pd.DataFrame | None = None,
    shared: pd.DataFrame | None = None,
) -> list[Claim]:
    """The claims of the chapter, from its tables or, where one is left out, computed afresh.

    Args:
        fits: `log_odds_explicit.fit_table`. arms: `log_odds_independent.theorem3_arms`. along: the rows of the record.
        spans: `log_odds_markov.spans_table`. shared: `log_odds_markov.shared_table`.
    """
    fits = log_odds_explicit.fit_table() if fits is None else fits
    arms = log_odds_independent.theorem3_arms() if arms is None else arms
    along = read_record(results_folder() / f"{NAME}.json").to_frame() if along is None else along
    if spans is None or shared is None:
        made = log_odds_markov.models()
        spans = log_odds_markov.spans_table(*made) if spans is None else spans
        shared = log_odds_markov.shared_table(*made) if shared is None else shared
    return [
        _explicit(fits),
        _theorem3(arms["explicit, independent"], arms["explicit, dependent"]),
        _not_implied(along),
        _theorem10(spans),
        _wider(spans),
        _agreeing(shared),
    ]


def _explicit(fits: pd.DataFrame) -> Claim:
    """New when every fit stays below the bound (up to rounding) and the control does not go below 0.001 nats."""
    below = all((fits[name] <= fits["bound"] + 1e-12).all() for name in ("penalised", "completed", "free"))
    number, control = float(fits["penalised"].iloc[-1]), float(fits["product"].iloc[-1])
    return Claim(
        key="explicit-solution",
        statement="every world with p(c) > 0 is fitted as well as one likes in m + 1 dimensions",
        source="ours",
        hypotheses="positive p(c)",
        verdict="new" if below and number < 1e-6 and control > 1e-3 else "different",
        measured=f"largest KL divergence at T = {fits.index[-1]}, nats; 20 dense worlds, m = 3",
        number=number,
        broken="the coordinate of ln p(c) left out: the least KL divergence of a product of marginals in m dimensions",
        control=control,
        where="log_odds:prop-explicit",
    )


def _theorem3(exact: pd.DataFrame, dependent: pd.DataFrame) -> Claim:
    """Holds when the projections coincide wherever the log-odds are ℓ_i, and do not in the control."""
    held = bool(exact[["agreeing", "contradicting"]].to_numpy().max() < EXACT)
    number, control = float(exact["dispersion"].max()), _estimate(dependent["dispersion"])
    word = _word(number < EXACT and held, control.mean - 2 * control.stderr > 0.01)
    return Claim(
        key="theorem-3",
        statement="where the log-odds of a concept are ℓ_i, its steering vectors have equal projections on S_i",
        source="paper, Theorem 3",
        hypotheses="log-odds ℓ_i for every c and every d with d_i = ⋄, also where they contradict each other",
        verdict=word,
        measured="largest dispersion of the projections; 20 explicit models, m = 3, U about 0.4",
        number=number,
        broken="independence: the mean dispersion over the same models of 20 dense worlds",
        control=control.mean,
        where="log_odds:thm-3",
    )


def _not_implied(along: pd.DataFrame) -> Claim:
    """New when at the end the agreeing gap is below 0.01 and the contradicting one above 0.1, two errors off."""
    late = along[(along["step"] == "whole") & (along["clock"] == CLOCKS[3]) & (along["arm"] == "independent, k = 8")]
    number, control = _estimate(late["contradicting"]), _estimate(late["agreeing"])
    apart = number.mean - 2 * number.stderr > 0.1 and control.mean + 2 * control.stderr < 0.01
    return Claim(
        key="theorem-3-not-implied",
        statement="independence and a good fit do not imply the hypothesis of Theorem 3",
        source="ours",
        hypotheses="independent concepts; a fit as good as one likes",
        verdict="new" if apart else "undecided",
        measured=f"gap to ℓ_i on contradicting pairs, nats; m = 3, k = 8, 20 seeds, clock {CLOCKS[3]:,}",
        number=number.mean,
        broken="contradiction: the same gap on agreeing pairs",
        control=control.mean,
        where="log_odds:prop-not-implied",
    )


def _theorem10(spans: pd.DataFrame) -> Claim:
    """Holds when projections are equal under the hypothesis (rank 1), and pass 2^n where only agreeing c satisfy it."""
    exact, fitted = (spans[spans["model"] == name] for name in ("completed", "free"))
    held = exact[["agreeing", "contradicting"]].to_numpy().max() < EXACT and fitted["agreeing"].max() < EXACT
    within = (exact["rank"] <= 1).all() and exact["dispersion"].max() < EXACT
    passed = fitted[fitted["neighbours"] <= 2]
    return Claim(
        key="theorem-10",
        statement="with the log-odds of p(C_i given its neighbours), the projections span at most 2^n dimensions: one",
        source="paper, Theorem 10",
        hypotheses="log-odds of p(C_i given d on the neighbours) for every c and every d that knows them, d_i = ⋄",
        verdict=_word(bool(held and within), bool((passed["rank"] > 2 ** passed["neighbours"]).all())),
        measured="largest rank of the projections; 60 random DAGs, m = 4, all concepts",
        number=float(exact["rank"].max()),
        broken="the hypothesis where c contradicts d: the largest rank among concepts with at most 2 neighbours",
        control=float(passed["rank"].max()),
        where="log_odds:thm-10",
    )


def _wider(spans: pd.DataFrame) -> Claim:
    """New when 2^n bounds the rank on Theorem 3's span, is attained, and is passed by the control."""
    exact, fitted = (spans[spans["model"] == name] for name in ("completed", "free"))
    ratio, control = ((each["wide_rank"] / 2 ** each["neighbours"]).max() for each in (exact, fitted))
    return Claim(
        key="theorem-10-wider",
        statement="2^n dimensions suffice on all of S_i when the log-odds depend on c through the neighbours only",
        source="ours",
        hypotheses="log-odds at every d with d_i = ⋄ a function of d and the neighbours' values in c",
        verdict="new" if ratio == 1 and control > 1 else "different",
        measured="largest rank of the projections on S_i over 2^n; 60 random DAGs, m = 4, all concepts",
        number=float(ratio),
        broken="log-odds that depend on all of c where it contradicts d: the same ratio",
        control=float(control),
        where="log_odds:prop-wider",
    )


def _agreeing(shared: pd.DataFrame) -> Claim:
    """New when projections of equal neighbours' values coincide, and those of different ones are apart on average."""
    free = shared.loc["free"]
    number, control = float(free["largest"].loc["equal"]), float(free["mean"].loc["different"])
    return Claim(
        key="theorem-10-agreeing",
        statement="an exact fit makes projections coincide for equal neighbours, on contexts that agree with both",
        source="ours",
        hypotheses="positive p(c); exact log-odds for every d with d_i = ⋄ and every c that agrees with it",
        verdict="new" if number < EXACT and control > 0.1 else "different",
        measured="largest relative distance of two projections; free models of 10 random DAGs, m = 4",
        number=number,
        broken="equal neighbours: the mean distance where the neighbours' values differ",
        control=control,
        where="log_odds:thm-10-agreeing",
    )


def _word(holds: bool, broken: bool) -> Word:
    """The verdict on a theorem: its conclusion holds, and the control shows that this could have failed."""
    if not holds:
        return "different"
    return "holds in range" if broken else "undecided"


def _estimate(column: "pd.Series[float]") -> Estimate:
    """Mean and standard error over the seeds."""
    return estimate(column.to_numpy(float))
