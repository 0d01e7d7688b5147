"""The chapter on what "linear" means: its record of context sets, and its claims."""

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd

from linrep.claims import Claim, Word
from linrep.experiments.catalogue import Size
from linrep.experiments.context_sets import (
    CLOCK,
    FIGURE_2,
    OURS,
    common_pace,
    figure_2_verdict,
    rows,
    train_sets,
)
from linrep.experiments.gauge import CONDITIONS, gauge_rows, gauge_table
from linrep.experiments.planted import planted_table, search
from linrep.pilot import Pace, halved
from linrep.results import Record, read_record, results_folder
from linrep.setting import Setting
from linrep.simulate import simulate
from linrep.theory.cones import reversed_cosine

RECORD = "context_sets"
SEEDS = range(20)
LATE = 10 * CLOCK

FLOAT = 1e-9
"""What rounding alone can make of a zero in the planted tables and under a gauge."""


def record(size: Size) -> Record:
    """Every context set on every seed, at the step found on the pilots and at half of it; the paper's sets once more
    at ten times the clock. The small size is the paper's sets on three seeds, at a tenth of the clock.
    """
    began = time.perf_counter()
    seeds = SEEDS if size == "paper" else range(3)
    wanted = {"paper": (FIGURE_2, CLOCK), "ours": (OURS, CLOCK), "paper, late": (FIGURE_2, LATE)}
    if size == "smoke":
        wanted = {"paper": (FIGURE_2, CLOCK // 10)}
    tables, paces = [], {}
    for group, (masks, clock) in wanted.items():
        pace = common_pace(masks, clock=clock)
        once, twice = (rows(train_sets(masks, seeds=seeds, pace=each)) for each in (pace, halved(pace)))
        counted = once["monotone"] & twice["monotone"]
        tables.append(once.assign(group=group, counted=counted, **{"U at half step": twice["U"]}))
        paces[group] = {"step_size": pace.step_size, "steps": pace.steps, "clock": clock}
    body = {"runs": pd.concat(tables, ignore_index=True).to_dict("records"), "paces": paces}
    config = {"sets": {name: list(masks) for name, masks in (FIGURE_2 | OURS).items()}}
    return Record(RECORD, config, seeds, "runs", body, round(time.perf_counter() - began, 3))


def recorded() -> Record:
    """The record of this chapter.

    Raises:
        InputError: there is none.
    """
    return read_record(results_folder() / f"{RECORD}.json")


def recorded_rows(found: Record, group: str) -> pd.DataFrame:
    """The rows of one group of a record: "paper", "ours" or "paper, late"."""
    table = found.to_frame()
    return table[table["group"] == group].reset_index(drop=True)


def recorded_pace(found: Record, group: str) -> Pace:
    """The pace of one group of a record."""
    pace: dict[str, Any] = found.body["paces"][group]
    return Pace(pace["step_size"], pace["steps"])


def by_dimension(dims: Sequence[int], *, pace: Pace) -> pd.DataFrame:
    """U in spaces of some dimensions, for the contexts that know C1 and C2 together, each alone, or all of these."""
    sets = {"C1, C2, both": OURS["C1, C2, both"], "C1 and C2": FIGURE_2["C1 and C2"], "C1, C2": ("100", "010")}
    found = [rows(train_sets(sets, seeds=SEEDS, pace=pace, dim=dim)).assign(k=dim) for dim in dims]
    return pd.concat(found, ignore_index=True)


def half_step_moves(table: pd.DataFrame) -> pd.DataFrame:
    """For each group and set of recorded rows what halving the step moves: the mean of U, and U of one seed at most."""
    kept = table[table["counted"] & table["fitted"]]
    change = (kept["U"] - kept["U at half step"]).groupby([kept["group"], kept["contexts"]], sort=False)
    return pd.DataFrame(
        {"mean moves": change.mean().abs(), "one seed moves": change.agg(lambda part: part.abs().max())}
    )


def claims(
    planted: pd.DataFrame | None = None,
    found: pd.DataFrame | None = None,
    gauged: pd.DataFrame | None = None,
    sets: pd.DataFrame | None = None,
) -> list[Claim]:
    """The claims of the chapter, from its tables; what is not given is computed as the chapter does.

    Args:
        planted: of `planted_table`. found: of `search` for all three concepts, seed 0. gauged: of `gauge_rows`.
        sets: of `rows` for the paper's context sets.
    """
    planted = planted_table() if planted is None else planted
    found = search([0, 1, 2], seed=0) if found is None else found
    gauged = gauge_rows(simulate(Setting(concepts=3), seeds=SEEDS)) if gauged is None else gauged
    if sets is None:
        sets = rows(train_sets(FIGURE_2, seeds=SEEDS, pace=recorded_pace(recorded(), "paper")))
    return [_cone(planted), _square(planted, found), _gauge(gauged), _figure_2(sets)]


def _cone(planted: pd.DataFrame) -> Claim:
    """U = 1 says one cone for each concept, and no more."""
    reverse = reversed_cosine(4, 1)
    linear = ["cube", "slanted box", "all on one line"]
    seen = bool((planted["U"][linear] > 1 - FLOAT).all() and planted["least U"]["one dimension"] < 1 - FLOAT)
    blind = planted["between"]["all on one line"] > 1 - FLOAT and planted["not affine"]["all on one line"] > FLOAT
    return Claim(
        key="cosine-cone",
        statement="A mean cosine of steering vectors is 1 exactly if they lie in one cone; their lengths, and the "
        "directions of other concepts, it does not see.",
        source="ours",
        hypotheses="H1 two or more steering vectors, none of them zero",
        verdict="new" if seen and blind and abs(reverse) < FLOAT else "different",
        measured="U of a table in which all concepts share one line and no edge has the length of another's",
        number=float(planted["U"]["all on one line"]),
        broken="one of four steering vectors reversed, so that no cone holds them: U of that concept",
        control=float(planted["least U"]["one dimension"]),
        where="linear:prop-cosine",
    )


def _square(planted: pd.DataFrame, found: pd.DataFrame) -> Claim:
    """All concepts linear in non-collinear directions: an affine table."""
    apart = found[(found["least U"] > 1 - 1e-6) & (found["closest"] < 0.99)]
    worst, control = float(apart["not affine"].max()), float(planted["not affine"]["frustum"])
    return Claim(
        key="square-lemma",
        statement="If all concepts are linear in pairwise non-collinear directions, g is affine: the tokens are the "
        "corners of a parallelepiped.",
        source="ours",
        hypotheses="H1 all tokens, H2 every concept linear, H3 directions pairwise non-collinear",
        verdict="new" if worst < 1e-5 < control and len(apart) >= len(found) / 2 else "different",
        measured="largest non-affine part of the tables that a search for linear concepts ends at; m = k = 3",
        number=worst,
        broken="H2: a frustum, one of whose three concepts is not linear: its non-affine part",
        control=control,
        where="linear:lem-square",
    )


def _gauge(gauged: pd.DataFrame) -> Claim:
    """No loss of the logits sees the gauge; UE and between do."""
    table = gauge_table(gauged)
    matched = table["UE"].to_dict()
    before, after = matched[str(CONDITIONS[0])], matched[str(CONDITIONS[-1])]
    control = gauged[gauged["condition"] == str(CONDITIONS[0])]
    same = table["loss moves"].max() < FLOAT and control[["U moves", "UE moves"]].to_numpy().max() < FLOAT
    holds = same and table["above the bound"].min() > -FLOAT and after < before / 2
    return Claim(
        key="gauge",
        statement="f → A⁻ᵀf, g → Ag changes no loss of the logits and no cone, but matching and orthogonality.",
        source="ours",
        hypotheses="H1 A invertible, H2 the loss depends on f and g through the logits alone",
        verdict="new" if holds else "different",
        measured=f"UE under random A of condition number {CONDITIONS[-1]}; m = k = 3, 20 seeds, clock 1,000",
        number=float(after),
        broken="A orthogonal (condition number 1): UE is that of the trained models",
        control=float(before),
        where="linear:prop-gauge",
    )


def _figure_2(sets: pd.DataFrame) -> Claim:
    """Two clusters, four clusters with coupled directions, a cube."""
    mean = sets.groupby("contexts")["U"].mean()
    verdict: Word = figure_2_verdict(sets)
    return Claim(
        key="figure-2",
        statement="Contexts that know C1 only leave two clusters of tokens, those that know C1 and C2 four with "
        "coupled directions, all contexts a cube.",
        source="paper, Figure 2",
        hypotheses="H1 m = k = 3, H2 all contexts",
        verdict=verdict,
        measured=f"U with all contexts; {sets['seed'].nunique()} seeds, clock {CLOCK:,}",
        number=float(mean["all"]),
        broken="H2: only the four contexts in which C1 and C2 are known together: U of these two concepts",
        control=float(mean["C1 and C2"]),
        where="linear:sec-figure-2",
    )
