"""The claims on Winograd-like pairs and on languages: planted numbers give the verdict of each rule, others another."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from linrep.claims import Claim
from linrep.experiments import gemma_views, languages_claims, winograd_claims
from linrep.experiments.gemma import MODEL
from linrep.experiments.winograd import MODEL as SMALL
from linrep.llm.contexts import LANGUAGE_CONCEPTS
from linrep.llm.languages import CONTENT

Frames = dict[str, pd.DataFrame]
ARMS = [SMALL, "untrained 0", "untrained 1"]
FIRST = LANGUAGE_CONCEPTS[0]


def frames() -> Frames:
    """Tables as the records have them, of a model that does what the claims say."""
    summary = {"own": [0.03, 0.01, 0.0], "low": [0.02, 0.0, -0.01], "others": 0.0, "p": [0.001, 0.3, 0.5]}
    summary |= {"|own|": 0.03, "|others|": 0.02, "|p|": [0.001, 0.3, 0.5]}
    summary |= {"nearest": [0.2, 0.1, 0.0], "p, nearest": [0.001, 0.2, 1.0]}
    nulls = pd.MultiIndex.from_product([ARMS, ["unrelated contexts", "normal vectors"]], names=["arm", "null"])
    largest = {"largest": [0.3, 0.3, 0.15, 0.15, 0.14, 0.14], "95 %": [0.2, 0.17] * 3}
    names = pd.Index(LANGUAGE_CONCEPTS, name="concept")
    evidence = {"own": [0.3, 0.25, 0.2, 0.15], "holm": 0.01, "|matched|": True, "next": [*LANGUAGE_CONCEPTS[1:], FIRST]}
    evidence |= {"languages": 0.1, "rest": 0.03}
    words = {"own": [0.3, 0.25, 0.2, 0.15], "random words": 0.05, "as frequent": 0.06, "Gaussian": 0.07}
    places = pd.MultiIndex.from_product([LANGUAGE_CONCEPTS, CONTENT], names=["concept", "arm"])
    both = pd.Index([MODEL, gemma_views.UNTRAINED], name="arm")
    return {
        "summary": pd.DataFrame(summary, index=pd.Index(ARMS, name="arm")),
        "largest": pd.DataFrame(largest, index=nulls),
        "trained": pd.DataFrame(evidence, index=names),
        "untrained": pd.DataFrame({"own": [0.02, -0.03, 0.01, 0.0]}, index=names),
        "nulls": pd.DataFrame(words, index=names),
        "content": pd.DataFrame({"|own|": [0.3, 0.27, 0.05] * 4}, index=places),
        "english": pd.DataFrame({"matched": [20, 1], "concepts": 21, "own": [0.3, 0.0]}, index=both),
        "arms": pd.DataFrame({"within": [0.3, 0.05], "shuffled": [0.15, 0.05]}, index=both),
        "significant": pd.DataFrame({"share": [0.95]}),
    }


CLAIMS: dict[str, tuple[str, Callable[[Frames], Claim]]] = {
    "winograd-own": ("reproduced", lambda t: winograd_claims.own(t["summary"])),
    "winograd-nearest": ("new", lambda t: winograd_claims.nearest(t["summary"])),
    "winograd-concepts": ("reproduced", lambda t: winograd_claims.largest(t["largest"])),
    "languages-matched": ("reproduced", lambda t: languages_claims.matched(t["trained"], t["untrained"], t["nulls"])),
    "languages-next": ("reproduced", lambda t: languages_claims.following(t["trained"], t["nulls"])),
    "languages-content": ("new", lambda t: languages_claims.content(t["content"])),
    "languages-english": ("reproduced", lambda t: languages_claims.english(t["english"])),
    "languages-within": (
        "reproduced",
        lambda t: languages_claims.within(t["arms"], float(t["significant"]["share"].iloc[0])),
    ),
}


@pytest.mark.parametrize("key", CLAIMS)
def test_planted_numbers_have_the_verdict_of_the_rule(key: str) -> None:
    verdict, claim = CLAIMS[key]
    found = claim(frames())
    assert (found.key, found.verdict) == (key, verdict)


TURNS: list[tuple[str, tuple[str, Any, str, Any], str]] = [
    ("winograd-own", ("summary", SMALL, "p", 0.2), "undecided"),
    ("winograd-own", ("summary", SMALL, "|p|", 0.2), "undecided"),
    ("winograd-own", ("summary", SMALL, ["p", "|p|"], 0.2), "different"),
    ("winograd-own", ("summary", "untrained 1", "own", 0.025), "undecided"),
    ("winograd-nearest", ("summary", SMALL, "p, nearest", 0.2), "undecided"),
    ("winograd-nearest", ("summary", "untrained 1", "nearest", 0.2), "undecided"),
    ("winograd-nearest", ("summary", SMALL, "nearest", 0.6), "different"),
    ("winograd-concepts", ("largest", (SMALL, "unrelated contexts"), "95 %", 0.31), "undecided"),
    ("winograd-concepts", ("largest", (ARMS[2], "normal vectors"), "largest", 0.31), "undecided"),
    ("winograd-concepts", ("largest", SMALL, "largest", 0.16), "different"),
    ("languages-matched", ("trained", FIRST, "|matched|", False), "undecided"),
    ("languages-matched", ("trained", list(LANGUAGE_CONCEPTS[:2]), "|matched|", False), "different"),
    ("languages-matched", ("trained", FIRST, "holm", 0.06), "undecided"),
    ("languages-matched", ("nulls", FIRST, "as frequent", 0.31), "undecided"),
    ("languages-matched", ("untrained", FIRST, "own", -0.16), "undecided"),
    ("languages-next", ("trained", FIRST, "next", "verb-ved"), "undecided"),
    ("languages-next", ("trained", list(LANGUAGE_CONCEPTS[:2]), "next", "verb-ved"), "different"),
    ("languages-next", ("trained", FIRST, "rest", 0.2), "undecided"),
    ("languages-content", ("content", (FIRST, "other content"), "|own|", 0.2), "undecided"),
    ("languages-content", ("content", (FIRST, "same language"), "|own|", 0.13), "undecided"),
    ("languages-english", ("english", MODEL, "matched", 18), "different"),
    ("languages-within", ("significant", 0, "share", 0.85), "different"),
    ("languages-within", ("arms", gemma_views.UNTRAINED, "within", 0.1), "different"),
]


@pytest.mark.parametrize(("key", "cell", "verdict"), TURNS)
def test_numbers_that_turn_out_otherwise_change_the_verdict(
    key: str, cell: tuple[str, Any, str, Any], verdict: str
) -> None:
    name, row, column, value = cell
    tables = frames()
    tables[name].loc[row, column] = value
    assert CLAIMS[key][1](tables).verdict == verdict


def test_every_verdict_can_turn() -> None:
    assert {key for key, _, _ in TURNS} == CLAIMS.keys()


def test_the_claims_of_the_chapters_are_those_of_the_records() -> None:
    found = [*winograd_claims.claims(), *languages_claims.claims()]
    assert [claim.key for claim in found] == list(CLAIMS)
    assert all(claim.where.partition(":")[0] in ("winograd", "languages") for claim in found)
