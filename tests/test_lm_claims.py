"""Claims on language models: each verdict turns when its numbers do, without a model."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from linrep.claims import recorded_claims
from linrep.experiments import embedding_claims, unembedding_claims
from linrep.llm.products import PRODUCTS

ARMS = ("SmolLM2-135M", "untrained", "Gaussian")


def unembedding_arms(**changed: dict[tuple[str, str], float]) -> pd.DataFrame:
    """A table as `arms_table` gives it, in which every claim is as hoped for; `changed` by column and row."""
    rows = pd.MultiIndex.from_product([ARMS, PRODUCTS], names=["arm", "product"])
    table = pd.DataFrame(
        {"within": 0.1, "shuffled": 0.1, "between": 0.05, "random": 0.05, "random ±": 0.005}, index=rows
    )
    table.loc["SmolLM2-135M", "within"] = 0.3
    table.loc[[("SmolLM2-135M", "euclidean"), ("Gaussian", "euclidean")], "between"] = 0.3
    for column, cells in changed.items():
        for row, value in cells.items():
            table.loc[row, column] = value
    return table


def test_within_needs_most_concepts_and_more_than_the_untrained_model() -> None:
    claim = unembedding_claims.within(unembedding_arms(), 0.95)
    assert (claim.verdict, claim.number, claim.control) == ("reproduced", pytest.approx(0.2), pytest.approx(0))
    assert unembedding_claims.within(unembedding_arms(), 0.85).verdict == "undecided"
    raised = unembedding_arms(within={("untrained", "euclidean"): 0.28})
    assert unembedding_claims.within(raised, 0.95).verdict == "undecided"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.059, "reproduced"), (0.061, "undecided"), (0.079, "undecided"), (0.081, "different")],
)
@pytest.mark.parametrize("product", ["euclidean", "causal"])
def test_between_is_held_to_random_pairs(product: str, value: float, verdict: str) -> None:
    claim = unembedding_claims.between(unembedding_arms(between={("SmolLM2-135M", product): value}), product)
    assert claim.verdict == verdict
    assert claim.number == value


def test_the_covariance_explains_when_rows_without_meaning_show_most_of_it() -> None:
    assert unembedding_claims.gaussian(unembedding_arms()).verdict == "new"
    little = unembedding_arms(between={("Gaussian", "euclidean"): 0.17})
    assert unembedding_claims.gaussian(little).verdict == "different"
    meaning = unembedding_arms(within={("Gaussian", "causal"): 0.2})
    assert unembedding_claims.gaussian(meaning).verdict == "different"


def embedding_arms(**changed: Any) -> pd.DataFrame:
    """A table as `embedding.summary` gives it; `changed` for the model itself, Euclidean."""
    rows = pd.MultiIndex.from_product([ARMS[:2], PRODUCTS], names=["arm", "product"])
    table = pd.DataFrame({"own": 0.0, "p": 0.5, "matched": 1, "concepts": 20}, index=rows)
    table.loc["SmolLM2-135M", ["own", "p", "matched"]] = [0.3, 0.001, 18]
    for column, value in changed.items():
        table.loc[("SmolLM2-135M", "euclidean"), column] = value
    return table


def evidence(**changed: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"own": np.linspace(0.2, 0.5, 20), "low": 0.1} | changed)


def test_aligned_needs_p_intervals_and_more_than_the_untrained_model() -> None:
    assert embedding_claims.aligned(embedding_arms(), evidence()).verdict == "reproduced"
    assert embedding_claims.aligned(embedding_arms(p=0.2), evidence()).verdict == "undecided"
    assert embedding_claims.aligned(embedding_arms(own=0.02), evidence()).verdict == "undecided"
    assert embedding_claims.aligned(embedding_arms(), evidence(low=[-0.01] + [0.1] * 19)).verdict == "undecided"


@pytest.mark.parametrize(("matched", "verdict"), [(18, "new"), (17, "different")])
def test_nearest_needs_nine_of_ten(matched: int, verdict: str) -> None:
    claim = embedding_claims.nearest(embedding_arms(matched=matched), "euclidean")
    assert (claim.verdict, claim.number, claim.control) == (verdict, matched / 20, 0.05)


def test_concepts_must_pass_what_nonsense_reaches() -> None:
    nonsense = np.linspace(0, 0.2, 1001)
    claim = embedding_claims.meant(evidence(), nonsense)
    assert (claim.verdict, claim.number, claim.control) == ("new", 1.0, pytest.approx(0.05, abs=0.001))
    assert embedding_claims.meant(evidence(own=[0.1] * 3 + [0.3] * 17), nonsense).verdict == "different"


def test_the_ledger_holds_them() -> None:
    held = {claim.key: claim for claim in recorded_claims()}
    assert held["lm-nearest-euclidean"].number == pytest.approx(17 / 21)
    assert held["lm-nearest-euclidean"].verdict == "different"
