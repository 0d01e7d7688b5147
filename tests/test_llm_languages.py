"""A language as a concept: which texts count, planted languages, and content held apart from language."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from llm_tiny import network, tokenizer

from linrep.errors import InputError
from linrep.geometry import unit
from linrep.llm import embedding, languages
from linrep.llm.contexts import LANGUAGE_CONCEPTS, ContextConcept, ContextPair
from linrep.llm.embedding import Sides
from linrep.llm.matching import Shifts, matching_cosines
from linrep.llm.network import LanguageModel
from linrep.llm.words import TokenPairs

DIM = 60
NAMES = (*LANGUAGE_CONCEPTS, "male-female", "verb-ved")
PAIRS = (
    ContextPair(1, 1, "a king man", "a queen man boy"),
    ContextPair(1, 2, "a boy", "a girl"),
    ContextPair(2, 1, "a boy man uncle aunt", "a ruler"),
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LanguageModel:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path))
    tokens = tokenizer()
    llama = network(len(tokens), tied=False)
    return LanguageModel("tiny", 16, llama.get_output_embeddings().weight.detach(), tokens, llama)


def planted(strength: float) -> Sides:
    """Four concepts along the first axes, of `strength`; the words of the second lean towards the first's axis."""
    draw = torch.Generator().manual_seed(0)

    def side(size: float, count: int) -> tuple[Shifts, ...]:
        vectors = torch.randn(count, 30, DIM, generator=draw, dtype=torch.float64)
        for number in range(count):
            vectors[number, :, number] += size
        return tuple(Shifts(NAMES[i], each, np.arange(30) % 10) for i, each in enumerate(vectors))

    contexts, words = side(strength, 4), side(4, 6)
    words[1].vectors[:, 0] += 3
    return Sides(contexts, words, matching_cosines(contexts, words))


def test_texts_that_are_too_short_or_too_long_are_dropped(model: LanguageModel) -> None:
    concept = ContextConcept("c", PAIRS)
    assert languages.token_counts(concept, model.tokenizer) == [(3, 4), (2, 2), (5, 2)]
    kept = languages.of_fair_length(concept, model.tokenizer, fewest=2, most=5)
    assert kept == concept
    both = ContextConcept("c", (*PAIRS, ContextPair(3, 1, "a man king", "a man queen boy")))
    one_short = ContextPair(4, 1, "a boy", "a man king")
    both = ContextConcept("c", (*both.pairs, one_short, replace(one_short, context0="a man king", context1="a boy")))
    kept = languages.of_fair_length(both, model.tokenizer, fewest=3, most=4)
    assert [(pair.template, pair.filler) for pair in kept.pairs] == [(1, 1), (3, 1)]
    with pytest.raises(InputError, match=r"c: 1 pair\(s\) of 3 have 3 to 4 tokens"):
        languages.of_fair_length(concept, model.tokenizer, fewest=3, most=4)


def test_the_last_word_goes_with_its_marks_and_nothing_else() -> None:
    concept = ContextConcept("c", (ContextPair(1, 1, "Everyone has rights.", "Chacun a des droits :"), PAIRS[1]))
    found = languages.without_last_words(concept)
    assert [pair.context0 for pair in found.pairs] == ["Everyone has", "a"]
    assert found.pairs[0].context1 == "Chacun a des droits"
    assert [pair.template for pair in found.pairs] == [1, 1]


def test_planted_languages_are_found_and_the_next_one_is_named() -> None:
    both = planted(4)
    table = languages.evidence_table(both)
    assert table["matched"].all()
    assert table["|matched|"].all()
    assert table["next"]["english-french"] == "french-german"
    size = np.abs(both.cosines)
    assert table["rest"]["french-german"] == pytest.approx(size[1, 4:].mean())
    assert table["languages"]["french-german"] == pytest.approx(size[1, [0, 2, 3]].mean())


def test_a_language_that_runs_the_other_way_is_matched_in_size_only() -> None:
    table = languages.evidence_table(planted(-4))
    assert not table["matched"].any()
    assert table["|matched|"].all()
    assert (table["own"] < -0.3).all()


def test_without_languages_nothing_is_found() -> None:
    table = languages.evidence_table(planted(0))
    assert table["own"].abs().max() < 0.3
    assert table["holm"].min() > 0.05


def test_halves_keep_articles_whole_and_are_halves() -> None:
    articles = np.array([0, 0, 0, 2, 5, 5, 7])
    found = languages.halves(articles, splits=300, seed=0)
    for article in np.unique(articles):
        part = found[:, articles == article]
        assert (part == part[:, :1]).all()
    assert (found[:, [0, 3, 4, 6]].sum(axis=1) == 2).all()
    assert len(np.unique(found, axis=0)) == 6
    np.testing.assert_array_equal(found, languages.halves(articles, splits=300, seed=0))
    with pytest.raises(InputError, match="two halves need 2"):
        languages.halves(np.array([4, 4]), splits=2, seed=0)


def content(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, *, language: float, own_content: float
) -> dict[str, float]:
    """Own cosines by arm when states are content, shared by both texts or not, and a language's axis."""
    draw = torch.Generator().manual_seed(0)
    pairs = tuple(ContextPair(article, 1, f"x {article}", f"y {article}") for article in range(30))
    shared = torch.randn(30, DIM, generator=draw, dtype=torch.float64)
    shared[:, 0] += 5  # all texts have something of the language's axis: it must cancel
    states = torch.stack([shared, shared + own_content * torch.randn(30, DIM, generator=draw, dtype=torch.float64)])
    states[1, :, 0] += language
    words = torch.eye(DIM, dtype=torch.float64)[:6]
    shifts = [Shifts(name, row[None], np.arange(1)) for name, row in zip(NAMES, words, strict=True)]
    monkeypatch.setattr(embedding, "context_states", lambda *_: states)
    monkeypatch.setattr(embedding, "word_shifts", lambda *_: shifts)
    table = languages.content_table(model, [ContextConcept(NAMES[0], pairs)], [])
    assert (table["low"] <= table["own"]).all()
    assert (table["own"] <= table["high"]).all()
    return {str(arm): float(size) for arm, size in table.loc[NAMES[0], "|own|"].items()}


def test_what_a_text_says_is_told_from_its_language(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    found = content(model, monkeypatch, language=4, own_content=0)
    assert found["same content"] == pytest.approx(1)
    assert 0.7 < found["other content"] < 0.99
    assert found["same language"] < 0.3
    without = content(model, monkeypatch, language=0, own_content=1)
    assert max(without.values()) < 0.3


def test_dealing_out_translations_anew_would_change_nothing(model: LanguageModel) -> None:
    """Why content is controlled by halves: the mean over all pairs knows nothing of the pairing."""
    turned = [
        ContextPair(a.template, a.filler, a.context0, b.context1)
        for a, b in zip(PAIRS, PAIRS[1:] + PAIRS[:1], strict=True)
    ]
    plain, dealt = (
        embedding.context_shifts(model, [ContextConcept("c", tuple(pairs))])[0].vectors.mean(dim=0)
        for pairs in (PAIRS, turned)
    )
    torch.testing.assert_close(plain, dealt, rtol=0, atol=1e-6)


def test_each_paragraph_has_the_cosine_of_its_own_shift(model: LanguageModel) -> None:
    words = [TokenPairs("c", 2, np.array([[1, 2], [3, 4]]), (("a", "b"), ("c", "d")), ())]
    rows = languages.paragraph_rows(model, [ContextConcept("c", PAIRS)], words)
    weights = model.unembedding.double()
    toward = (weights[1] - weights[2] + weights[3] - weights[4]) / 2
    for pair, row in zip(PAIRS, rows.to_dict("records"), strict=True):
        one, zero = (model.hidden_states([text])[0].double() for text in (pair.context1, pair.context0))
        assert row["own"] == pytest.approx(float(unit(one - zero) @ unit(toward)), abs=1e-5)
        assert (row["article"], row["paragraph"]) == (pair.template, pair.filler)
    assert rows[["tokens 0", "tokens 1"]].to_numpy().tolist() == [[3, 4], [2, 2], [5, 2]]
