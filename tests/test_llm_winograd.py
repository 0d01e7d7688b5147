"""Winograd-like pairs: where answers part, planted pairs, the nulls by hand, and the part that algebra guarantees."""

from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from llm_tiny import network, tokenizer

from linrep.errors import InputError
from linrep.experiments import winograd as experiment
from linrep.experiments import winograd_views as views
from linrep.llm import winograd
from linrep.llm.contexts import ContextConcept, ContextPair
from linrep.llm.embedding import PRODUCTS, Sides
from linrep.llm.known import origin
from linrep.llm.matching import Shifts, matching_cosines
from linrep.llm.network import LanguageModel
from linrep.llm.shifts import log_odds_shifts
from linrep.nulls import expected_between
from linrep.results import read_record, results_folder

COUNT, DIM = 20, 40
TEXTS = (
    ContextPair(1, 1, "a king boy", "a queen boy", "man", "woman"),
    ContextPair(2, 1, "a ruler girl", "a actor girl", "aunt", "uncle"),
    ContextPair(3, 1, "a boy", "a woman", "actor", "actress"),
    ContextPair(4, 1, "a man king", "a man uncle", "girl", "boy"),
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LanguageModel:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path))
    tokens = tokenizer()
    llama = network(len(tokens), tied=False)
    return LanguageModel("tiny", 16, llama.get_output_embeddings().weight.detach(), tokens, llama)


def spelled(**ids: list[int]) -> Any:
    """A tokenizer that knows a few words; the text "a" is token 0."""

    def read(text: str, add_special_tokens: bool, verbose: bool) -> SimpleNamespace:
        return SimpleNamespace(input_ids=[0, *(token for word in text.split()[1:] for token in ids[word])])

    return read


def planted(strength: float) -> tuple[Sides, winograd.Answers]:
    """Pairs whose shifts lie along their own answers, with noise; negative: against them."""
    draw = torch.Generator().manual_seed(0)
    answers = torch.randn(COUNT, 1, DIM, generator=draw, dtype=torch.float64)
    shifts = strength * answers + torch.randn(COUNT, 1, DIM, generator=draw, dtype=torch.float64)
    rows, columns = (
        tuple(Shifts(str(i), each, np.array([i])) for i, each in enumerate(side)) for side in (shifts, answers)
    )
    pairs = tuple(ContextConcept(str(i), (ContextPair(i, 1, f"x {i}", f"y {i}", "p", "q"),)) for i in range(COUNT))
    return Sides(rows, columns, matching_cosines(rows, columns)), winograd.Answers(pairs, (), 0, 0, ())


def row(strength: float) -> Any:
    both, _ = planted(strength)
    return winograd.summary({"arm": dict.fromkeys(PRODUCTS, both)}).loc[("arm", "euclidean")]


def test_answers_part_at_their_first_different_token_and_one_that_begins_the_other_is_dropped() -> None:
    known = spelled(left=[5, 6], right=[5, 7], short=[3], longer=[3, 4], big=[8], small=[9])
    words = [("left", "right"), ("short", "longer"), ("big", "small")]
    pairs = [ContextPair(i, 1, "x", "y", *pair) for i, pair in enumerate(words, start=1)]
    found = winograd.read_answers(pairs, known)
    assert [each.pairs.tolist() for each in found.tokens] == [[[7, 6]], [[9, 8]]]
    assert [each.name for each in found.contexts] == ["1", "3"]
    assert (found.several, found.late, found.dropped) == (1, 1, (2,))
    assert [pair.template for pair in found.pairs] == [1, 3]


def test_pairs_without_answers_and_a_single_pair_are_refused() -> None:
    known = spelled(big=[8], small=[9])
    with pytest.raises(InputError, match="pair 7: the answer None has no tokens"):
        winograd.read_answers([ContextPair(7, 1, "x", "y")], known)
    with pytest.raises(InputError, match=r"1 pair\(s\) with answers that differ"):
        winograd.read_answers([ContextPair(7, 1, "x", "y", "big", "small")], known)


def test_planted_pairs_are_found_and_others_are_not() -> None:
    with_own, without = row(1.0), row(0.0)
    assert with_own["own"] > 0.5
    assert with_own["low"] < with_own["own"] < with_own["high"]
    assert max(with_own["p"], with_own["|p|"], with_own["p, nearest"]) < 0.01
    assert (with_own["nearest"], with_own["right"]) == (1, 1)
    assert min(without["p"], without["|p|"], without["p, nearest"]) > 0.05
    assert without["low"] < 0 < without["high"]


def test_shifts_against_their_answers_count_in_size_and_not_with_their_sign() -> None:
    against = row(-1.0)
    assert against["own"] < -0.5
    assert against["p"] > 0.99
    assert against["|p|"] < 0.01
    assert against["|own|"] == pytest.approx(-against["own"])
    assert (against["nearest"], against["right"]) == (0, 0)


def test_means_and_maxima_by_hand() -> None:
    both, answers = planted(0.2)
    found, cosines = row(0.2), both.cosines
    own, others = [cosines[i, i] for i in range(COUNT)], [cosines[i, j] for i, j in permutations(range(COUNT), 2)]
    assert found["own"] == pytest.approx(np.mean(own))
    assert found["others"] == pytest.approx(np.mean(others))
    assert found["|others|"] == pytest.approx(np.mean(np.abs(others)))
    assert found["largest own"] == pytest.approx(np.max(np.abs(own)))
    assert found["largest other"] == pytest.approx(np.max(np.abs(others)))
    table = winograd.pair_table(both, answers)
    assert (table["nearest"] == table.index).mean() == found["nearest"]
    assert table["|others|"].mean() == pytest.approx(found["|others|"])
    top = winograd.top_matches(both, answers, count=2)
    assert abs(top["cosine"][1]) == pytest.approx(np.abs(cosines).max())
    assert list(top.index) == [1, 2]
    against = winograd.top_matches(*planted(-1.0))
    assert (against["cosine"] < -0.5).all(), "the largest in size are negative here"
    assert top["concept"][1] == both.words[np.abs(cosines).max(axis=0).argmax()].name


def test_special_words_are_those_that_differ() -> None:
    pair = ContextPair(1, 1, "It was big, so the", "It was small, so the")
    assert winograd.special_words(pair) == ("big", "small")


def test_unrelated_contexts_are_never_a_pair_and_each_is_taken_once() -> None:
    """Of three pairs there are two ways: both occur, and no other value does."""
    draw = torch.Generator().manual_seed(1)
    before, after = torch.randn(2, 3, 5, generator=draw, dtype=torch.float64)
    toward = torch.eye(5, dtype=torch.float64)[:2]
    after[0] = before[0] + 9 * toward[0]  # the pair itself would give 1
    expected = set()
    for order in ((1, 2, 0), (2, 0, 1)):
        apart = torch.stack([after[order[i]] - before[i] for i in range(3)])
        expected.add(round(float((apart / apart.norm(dim=1, keepdim=True) @ toward.T).abs().max()), 9))
    found = winograd.unrelated_largest(before, after, toward, draws=200, seed=0)
    assert {round(float(value), 9) for value in found} == expected
    assert max(expected) < 1


def test_one_normal_vector_has_the_expected_cosine() -> None:
    toward = torch.eye(30, dtype=torch.float64)[:1]
    found = winograd.normal_largest(toward, count=1, draws=5000, seed=0)
    assert found.mean() == pytest.approx(expected_between(30), rel=0.04)
    assert winograd.normal_largest(toward, count=50, draws=100, seed=0).min() > found.mean()


def test_the_sign_of_an_own_cosine_is_that_of_the_log_odds(model: LanguageModel) -> None:
    answers = winograd.read_answers(TEXTS, model.tokenizer)
    both = winograd.answer_sides(model, answers)["euclidean"]
    _, shifts = log_odds_shifts(model, ContextConcept("all", TEXTS))
    lengths = [float(side[i].vectors.norm()) for side in (both.contexts, both.words) for i in range(len(TEXTS))]
    products = np.diagonal(both.cosines) * np.array(lengths[: len(TEXTS)]) * np.array(lengths[len(TEXTS) :])
    np.testing.assert_allclose(products, shifts.numpy(), rtol=1e-4, atol=1e-4)
    assert len(set(np.sign(products))) == 2, "all of one sign: the test would not see a sign that is lost"


def test_the_largest_cosine_stands_beside_its_nulls(model: LanguageModel) -> None:
    answers = winograd.read_answers(TEXTS, model.tokenizer)
    both = winograd.concept_sides(model, answers, answers.tokens)
    table = winograd.largest_table(model, answers, both)
    assert list(table.index) == ["unrelated contexts", "normal vectors"]
    assert (table["largest"] == np.abs(both.cosines).max()).all()
    assert (table["mean"] <= table["95 %"]).all()
    assert table["p"].between(0.0009, 1).all()


def test_further_untrained_models_are_measured_as_the_first_ones(model: LanguageModel) -> None:
    found = experiment.further_untrained(model, TEXTS, [3, 4]).set_index("seed")
    answers = winograd.read_answers(TEXTS, model.tokenizer)
    for seed in (3, 4):
        sides = winograd.answer_sides(model.untrained(seed=seed), answers)
        expected = winograd.summary({"arm": sides}).loc[("arm", "euclidean")]
        np.testing.assert_allclose(found.loc[seed, list(expected.index)].to_numpy(float), expected, atol=1e-9)
    assert found.loc[3, "own"] != found.loc[4, "own"]


def test_the_record_on_disk_is_of_one_piece() -> None:
    record = read_record(results_folder() / f"{experiment.NAME}.json")
    assert record.body["models"] == [origin(experiment.MODEL)]
    assert record.config == {"size": "paper", "draws": 1000}
    pairs, summary = views.table("pairs"), views.summary()
    assert summary.index[0] == experiment.MODEL
    assert len(summary) == 1 + len(experiment.UNTRAINED)
    for arm, row in summary.iterrows():
        mine = pairs.loc[arm]
        assert len(mine) == record.body["answers"]["kept"]
        assert row["own"] == pytest.approx(mine["own"].mean(), abs=2e-6)
        assert row["|others|"] == pytest.approx(mine["|others|"].mean(), abs=2e-6)
        assert row["nearest"] == pytest.approx((mine["nearest"] == mine.index).mean(), abs=2e-6)
        assert row["right"] == pytest.approx((mine["own"] > 0).mean(), abs=2e-6)
        top = views.table("top").loc[arm, "cosine"].abs()
        assert top[1] == pytest.approx(views.largest().loc[arm, "largest"].max())
        assert top.is_monotonic_decreasing
    assert list(views.further().index) == list(experiment.FURTHER)
    assert not set(experiment.FURTHER) & set(experiment.UNTRAINED)
