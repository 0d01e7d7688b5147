"""The claims on wide spaces: planted numbers give the verdict of each rule, and other numbers another one."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from linrep.claims import Claim
from linrep.experiments import causes_claims as causes
from linrep.experiments import limit_claims as limit
from linrep.experiments import noise_claims as noise
from linrep.experiments import spectrum_claims as spectrum
from linrep.experiments import width_claims as width
from linrep.pilot import CLOCKS
from linrep.stats import MARGIN

Frames = dict[str, pd.DataFrame]
Cell = tuple[str, object, str, object]
"""A frame, a row, a column, and what is written there."""

HALF = 0.01
"""Half the width of the planted intervals."""


def effects(rows: Mapping[tuple[str, str], float]) -> pd.DataFrame:
    """What `cause_views.against` gives, with intervals of one width: by arm and cosine."""
    lines = [
        {"arm": arm, "cosine": cosine, "difference": value, "low": value - HALF, "high": value + HALF}
        | {"verdict": "reproduced" if abs(value) + HALF < MARGIN else "different"}
        for (arm, cosine), value in rows.items()
    ]
    return pd.DataFrame(lines).set_index(["arm", "cosine"])


def spectrum_frames() -> Frames:
    names = [spectrum.OWN, spectrum.ALONG, "normal rows"]
    columns = {"degree 1": [0.9, 0.9, 0.4], "U": [0.8, 0.9, 0.0], "U of concept 1": [0.7, 1.0, 0.0]}
    columns |= {"identity off by": [0.0, 1e-15, 1e-15], "U off by": [0.0, 0.3, 0.1]}
    index = pd.MultiIndex.from_product([[3, 8], [1000, 10_000]], names=["k", "clock"])
    courses = pd.DataFrame({"g degree 2": [0.03, 0.05, 0.16, 0.17], "g degree 2 ±": 0.01}, index=index)
    return {"kinds": pd.DataFrame(columns, index=names), "courses": courses}


def limit_frames() -> Frames:
    m = pd.Index(range(2, 21), name="m")
    degrees = ["1, 2"] + ["1, 2, 3"] * 12 + ["1, 3"] * 3 + ["1, 3, 4"] * 3
    table = pd.DataFrame({"degrees": degrees, "left open": 1e-6}, index=m)
    u = [2 - 3**0.5, *np.linspace(0.22, 0.02, 10)]
    predicted = table.loc[:12].assign(U=u, linear=1.2)
    full = pd.DataFrame({"full": 1.0, "reduced": 1.0 + 1e-8}, index=pd.Index([2, 3, 4], name="m"))
    places = pd.MultiIndex.from_product([[2, 3], ["optimum", limit.LINEAR]], names=["m", "logits"])
    measured = pd.DataFrame({"U": [0.27, 1.0, 0.22, 1.0]}, index=places)
    path = pd.DataFrame({"m": 2, "strength": [0.1, 0.01, 1e-9, 1e-100], "U": [1.0, 0.5, 0.3, 0.27], "times log": 1.0})
    means = pd.DataFrame({"m": 3, "k": [2, 3], "start": "1", "clock": CLOCKS[2], "kl": [0.2, 0.01]})
    return {
        "predicted": predicted,
        "large": table.loc[13:],
        "measured": measured.assign(**{"U, formula": measured["U"]}),
        "full": full,
        "unique": pd.DataFrame({"least eigenvalue": [1.0, 0.2], "without margins": 0.0}, index=[2, 3]),
        "path": path,
        "linear": pd.DataFrame({"from": 0.05, "U at the middle": 1.0}, index=pd.Index([2], name="m")),
        "worlds": pd.DataFrame({"apart, mean": [0.03, 0.01, 0.002], "at most": [0.07, 0.02, 0.005]}),
        "means": means.set_index(["m", "k", "start", "clock"]),
        "last": pd.DataFrame({"path": [0.31, 0.26], "0.01": [0.8, 0.8], "1": [0.6, 0.45]}, index=[2, 3]),
        "falling": pd.DataFrame({"decades": [60, 60], "fall": [60, 60]}, index=[2, 3]),
        "decayed": pd.DataFrame({"U off by": [1e-4, 1e-6]}, index=[2, 3]),
    }


def causes_frames() -> Frames:
    u = {"SGD 0.1, 20": 0.14, "SGD 0.5, 100": 0.135, "SGD 1, 200": 0.13, "SGD 0.1, 100": 0.05, "SGD 1, 1000": 0.05}
    u |= {"SGD 0.1, 1000": 0.015, "noise 1, 200": -0.05, "noise in F 1, 200": 0.1, "noise in G 1, 200": -0.25}
    u |= {"step x 2": -0.08, "step x 4": -0.15, "decay 1e-4": -0.1, "decay 1e-3": -0.2, "Adam 0.001": 0.005}
    u |= {"smoothing 0.001": -0.1, "smoothing 0.1": -0.4, "Adam 0.01": 0.2}
    u |= {"exact Adam 0.001": -0.1, "exact Adam 0.01": -0.14}
    e = {"SGD 1, 200": -0.01, "noise 1, 200": -0.3, "step x 2": -0.05, "step x 4": -0.2}
    every = {(arm, "U"): value for arm, value in u.items()} | {(arm, "E"): value for arm, value in e.items()}
    every[("step x 2", "UE")] = -0.06
    small = {"decay 1e-4": 0.02, "decay 1e-3": 0.05, "smoothing 0.001": 0.01, "smoothing 0.1": 0.04}
    held = pd.DataFrame({"U": [1.0, 0.42, 0.7, 0.99, 0.0], "held": True}, index=["a", "b", "c", "d", "e"])
    return {
        "wide": effects(every),
        "narrow": effects({(arm, "U"): value for arm, value in small.items()}),
        "same": pd.DataFrame({"difference": [0.01, -0.005, 0.006], "verdict": "reproduced"}),
        "like": effects({("covariance 1, 200", cosine): 0.0 for cosine in ("U", "E", "UE")}),
        "half": pd.DataFrame({"a mean moves": 0.002}, index=[8, 3]),
        "path": pd.DataFrame({"forgotten": [0.1, 1.0, 10.0, 100.0], "U off by": [0.3, 0.2, 0.005, 0.001]}),
        "recipe": pd.DataFrame({"U": [0.97, 0.8, 0.7], "U ±": 0.01}, index=[3, 4, 5]),
        "said": held,
    }


def width_frames() -> Frames:
    k = pd.Index([3, 4, 8], name="k")
    grid = pd.DataFrame({"linear": [0.9, 0.8, 0.5], "0.01": 0.9, "0.1": [0.9, 0.8, 0.5], "1": [0.9, 0.7, 0.4]}, index=k)
    more = pd.DataFrame(
        {"difference": [-0.1, 0.05], "low": [-0.11, 0.04], "high": [-0.09, 0.06], "verdict": "different"},
        index=pd.MultiIndex.from_tuples([(3, "linear"), (3, "0.01")], names=["m", "start"]),
    )
    index = pd.MultiIndex.from_tuples([(m, k) for m in range(2, 7) for k in (m, m + 1)], names=["m", "k"])
    return {
        "grid": grid,
        "steps": pd.DataFrame({"steps": [10, 10], "down": [10, 9]}),
        "more": more,
        "line": pd.DataFrame({1000: [0.99, 0.95, 0.6], 100_000: [0.9, 0.93, 0.58]}, index=k),
        "between": pd.DataFrame({"0.1": [0.4, 0.05, 0.02]}, index=pd.Index([2, 3, 8], name="k")),
        "shares": pd.DataFrame({"share": [0.99, 0.7] * 5}, index=index),
    }


FRAMES: dict[str, Callable[[], Frames]] = {
    "spectrum": spectrum_frames,
    "limit": limit_frames,
    "causes": causes_frames,
    "width": width_frames,
}

CLAIMS: dict[str, tuple[str, Callable[[Frames], Claim]]] = {
    "spectrum-degree-one": ("spectrum", lambda t: spectrum.degree_one(t["kinds"])),
    "spectrum-weight": ("spectrum", lambda t: spectrum.identity(t["kinds"])),
    "spectrum-pairs": ("spectrum", lambda t: spectrum.pairs(t["courses"])),
    "limit-path": ("limit", lambda t: limit.forgets(t["worlds"])),
    "limit-width": ("limit", lambda t: limit.width(t["means"])),
    "limit-cube": ("limit", lambda t: limit.cube(t["full"], t["predicted"])),
    "limit-linearity": ("limit", lambda t: limit.bent(t["predicted"], t["measured"])),
    "limit-unique": ("limit", lambda t: limit.one_optimum(t["unique"])),
    "limit-degrees": ("limit", lambda t: limit.degrees(pd.concat([t["predicted"], t["large"]]))),
    "limit-rate": ("limit", lambda t: limit.rate(t["path"])),
    "limit-critical": ("limit", lambda t: limit.straight(t["linear"], t["path"])),
    "limit-descent": ("limit", lambda t: limit.undecayed(t["last"], t["falling"], t["decayed"])),
    "causes-sgd": ("causes", lambda t: noise.sgd(t["wide"])),
    "causes-ratio": ("causes", lambda t: noise.ratio(t["same"], t["wide"])),
    "causes-covariance": ("causes", lambda t: noise.covariance(t["like"], t["wide"])),
    "causes-even-noise": ("causes", lambda t: noise.even(t["wide"])),
    "causes-one-table": ("causes", lambda t: noise.tables(t["wide"])),
    "causes-steps": ("causes", lambda t: causes.steps(t["wide"], t["half"])),
    "causes-decay": ("causes", lambda t: causes.decay(t["wide"], t["narrow"])),
    "causes-decay-optimum": ("causes", lambda t: causes.optimum(t["path"])),
    "causes-smoothing": ("causes", lambda t: causes.smoothing(t["wide"], t["narrow"])),
    "causes-adam": ("causes", lambda t: noise.adam(t["wide"])),
    "causes-recipe": ("causes", lambda t: noise.recipe(t["recipe"])),
    "prediction-linear-above": ("causes", lambda t: causes.linear_above(t["said"])),
    "prediction-large-start": ("causes", lambda t: causes.large_start(t["said"])),
    "prediction-all-known": ("causes", lambda t: causes.all_known(t["said"])),
    "width-falls": ("width", lambda t: width.falls({3: t["grid"]}, t["steps"])),
    "width-one-more": ("width", lambda t: width.one_more(t["more"])),
    "width-starts": ("width", lambda t: width.starts({3: t["grid"]})),
    "width-time": ("width", lambda t: width.still({"0.1": t["line"]})),
    "width-between": ("width", lambda t: width.orthogonal({3: t["between"]})),
    "width-simplex": ("width", lambda t: width.simplex(t["shares"]["share"])),
}

PLANTED = dict.fromkeys(CLAIMS, "new") | {
    "spectrum-weight": "holds in range",
    "limit-path": "holds in range",
    "limit-degrees": "holds in range",
}


@pytest.mark.parametrize("key", CLAIMS)
def test_planted_numbers_have_the_verdict_of_the_rule(key: str) -> None:
    frames, claim = CLAIMS[key]
    found = claim(FRAMES[frames]())
    assert (found.key, found.verdict) == (key, PLANTED[key])


TURNS: list[tuple[str, Cell, str]] = [
    ("spectrum-degree-one", ("kinds", spectrum.ALONG, "U of concept 1", 0.9), "different"),
    ("spectrum-degree-one", ("kinds", spectrum.OWN, "U of concept 1", 1.0), "different"),
    ("spectrum-degree-one", ("kinds", spectrum.ALONG, "U", 1.0), "different"),
    ("spectrum-weight", ("kinds", "normal rows", "identity off by", 1e-6), "different"),
    ("spectrum-weight", ("kinds", "normal rows", "U off by", 0.0), "different"),
    ("spectrum-weight", ("kinds", spectrum.OWN, "U off by", 0.1), "different"),
    ("spectrum-pairs", ("courses", (3, 10_000), "g degree 2", 0.14), "undecided"),
    ("spectrum-pairs", ("courses", (3, 10_000), "g degree 2", 0.06), "undecided"),
    ("spectrum-pairs", ("courses", (8, 1000), "g degree 2 ±", 0.1), "undecided"),
    ("limit-path", ("worlds", 2, "at most", 0.015), "different"),
    ("limit-path", ("worlds", 1, "at most", 0.08), "different"),
    ("limit-path", ("worlds", 0, "at most", 0.009), "different"),
    ("limit-width", ("means", (3, 2, "1", CLOCKS[2]), "kl", 0.05), "different"),
    ("limit-width", ("means", (3, 3, "1", CLOCKS[2]), "kl", 0.1), "different"),
    ("limit-cube", ("full", 4, "reduced", 1.01), "different"),
    ("limit-cube", ("predicted", 3, "linear", 1.0), "different"),
    ("limit-linearity", ("predicted", 2, "U", 0.3), "different"),
    ("limit-linearity", ("predicted", 12, "U", 0.2), "different"),
    ("limit-linearity", ("measured", (2, "optimum"), "U", 0.3), "different"),
    ("limit-linearity", ("measured", (3, limit.LINEAR), ["U", "U, formula"], 0.9), "different"),
    ("limit-unique", ("unique", 3, "least eigenvalue", 0.0), "undecided"),
    ("limit-unique", ("unique", 3, "without margins", 0.1), "undecided"),
    ("limit-degrees", ("large", 17, "degrees", "1, 3, 4"), "different"),
    ("limit-degrees", ("large", 18, "degrees", "1, 3"), "different"),
    ("limit-degrees", ("large", 14, "left open", 0.01), "different"),
    ("limit-rate", ("path", 3, "times log", 4.0), "undecided"),
    ("limit-rate", ("path", 2, "times log", 0.05), "undecided"),
    ("limit-critical", ("linear", 2, "U at the middle", 0.99), "different"),
    ("limit-critical", ("path", 1, "U", 1.0), "different"),
    ("limit-descent", ("last", 3, "1", 0.3), "undecided"),
    ("limit-descent", ("falling", 2, "fall", 59), "undecided"),
    ("limit-descent", ("decayed", 3, "U off by", 0.02), "undecided"),
    ("causes-sgd", ("wide", ("SGD 1, 1000", "U"), "low", -0.01), "undecided"),
    ("causes-sgd", ("wide", ("SGD 0.1, 1000", "U"), "high", 0.1), "undecided"),
    ("causes-ratio", ("same", 1, "verdict", "different"), "undecided"),
    ("causes-ratio", ("wide", ("SGD 0.1, 100", "U"), "difference", 0.13), "undecided"),
    ("causes-covariance", ("like", ("covariance 1, 200", "E"), "verdict", "different"), "undecided"),
    ("causes-covariance", ("wide", ("noise 1, 200", "U"), "difference", 0.13), "undecided"),
    ("causes-even-noise", ("wide", ("noise 1, 200", "E"), "high", -0.01), "undecided"),
    ("causes-even-noise", ("wide", ("noise 1, 200", "U"), "high", 0.01), "undecided"),
    ("causes-even-noise", ("wide", ("SGD 1, 200", "E"), "verdict", "different"), "undecided"),
    ("causes-one-table", ("wide", ("noise in F 1, 200", "U"), "low", 0.0), "undecided"),
    ("causes-one-table", ("wide", ("noise in G 1, 200", "U"), "high", 0.0), "undecided"),
    ("causes-steps", ("wide", ("step x 2", "E"), "high", 0.0), "undecided"),
    ("causes-steps", ("half", 8, "a mean moves", 0.08), "undecided"),
    ("causes-decay", ("wide", ("decay 1e-4", "U"), "high", 0.0), "undecided"),
    ("causes-decay", ("narrow", ("decay 1e-3", "U"), "low", -0.1), "undecided"),
    ("causes-decay-optimum", ("path", 2, "U off by", 0.02), "undecided"),
    ("causes-decay-optimum", ("path", 1, "U off by", 0.02), "undecided"),
    ("causes-smoothing", ("wide", ("smoothing 0.001", "U"), "high", 0.0), "undecided"),
    ("causes-smoothing", ("narrow", ("smoothing 0.1", "U"), "low", -0.1), "undecided"),
    ("causes-adam", ("wide", ("exact Adam 0.001", "U"), "high", 0.01), "undecided"),
    ("causes-adam", ("wide", ("Adam 0.001", "U"), "difference", -0.09), "undecided"),
    ("causes-adam", ("wide", (["exact Adam 0.001", "exact Adam 0.01"], "U"), ["low", "high"], [0.1, 0.2]), "different"),
    ("causes-recipe", ("recipe", 4, "U", 0.93), "undecided"),
    ("causes-recipe", ("recipe", 5, "U", 0.9), "undecided"),
    ("prediction-linear-above", ("said", "a", "held", False), "different"),
    ("prediction-linear-above", ("said", "b", "held", False), "different"),
    ("prediction-large-start", ("said", "c", "held", False), "different"),
    ("prediction-large-start", ("said", "d", "held", False), "different"),
    ("prediction-all-known", ("said", "e", "held", False), "different"),
    ("width-falls", ("steps", 0, "down", 5), "undecided"),
    ("width-falls", ("grid", 8, "0.1", 0.88), "undecided"),
    ("width-one-more", ("more", (3, "linear"), "high", 0.01), "undecided"),
    ("width-one-more", ("more", (3, "linear"), "verdict", "undecided"), "undecided"),
    ("width-one-more", ("more", (3, "0.01"), "high", -0.01), "undecided"),
    ("width-starts", ("grid", 8, "0.01", 0.52), "undecided"),
    ("width-starts", ("grid", 8, "1", 0.89), "undecided"),
    ("width-time", ("line", 8, 100_000, 0.4), "undecided"),
    ("width-time", ("line", 3, 100_000, 0.98), "undecided"),
    ("width-between", ("between", 8, "0.1", 0.2), "undecided"),
    ("width-between", ("between", 2, "0.1", 0.05), "undecided"),
    ("width-simplex", ("shares", (4, 5), "share", 0.995), "undecided"),
    ("width-simplex", ("shares", (4, 5), "share", 0.98), "undecided"),
    ("width-simplex", ("shares", (6, 7), "share", 0.05), "undecided"),
]


@pytest.mark.parametrize(("key", "cell", "verdict"), TURNS)
def test_numbers_that_turn_out_otherwise_change_the_verdict(key: str, cell: Cell, verdict: str) -> None:
    frames, claim = CLAIMS[key]
    planted = FRAMES[frames]()
    name, row, column, value = cell
    planted[name].loc[row, column] = value  # type: ignore[index]
    assert PLANTED[key] != verdict
    assert claim(planted).verdict == verdict


def test_every_claim_has_a_number_that_would_change_its_verdict() -> None:
    assert {key for key, *_ in TURNS} == set(CLAIMS)


def test_a_chapter_that_gives_its_tables_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table that a chapter has is used, none is made again, and every claim is there."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    solved = ("prediction_table", "candidates_table", "full_table", "unique_table", "large_table")
    for module, names in {
        limit.limit: (*solved, "path_rows", "linear_range", "worlds_table"),
        causes.views: ("against", "equal_ratio", "half_step", "decay_against_path", "recipe"),
        causes.predictions: ("table",),
        spectrum: ("identity_table", "spectra_along"),
        limit.limit_descent_views: ("ends", "falls", "control"),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    tables = limit_frames()
    monkeypatch.setattr(limit.width_views, "means", lambda: limit_frames()["means"])
    found = limit.claims(**{name: table for name, table in tables.items() if name != "means"})
    found += causes.claims(**causes_frames()) + spectrum.claims(**spectrum_frames())
    assert sorted(claim.key for claim in found) == sorted(key for key in CLAIMS if not key.startswith("width-"))


def test_the_claims_on_width_are_those_of_the_record() -> None:
    found = width.claims()
    assert [claim.key for claim in found] == [key for key in CLAIMS if key.startswith("width-")]
    assert {claim.verdict for claim in found} == {"new"}
