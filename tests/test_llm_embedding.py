"""Embeddings beside unembeddings: planted concepts, a tiny network, and that the causal product keeps the logits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from llm_tiny import network, tokenizer

from linrep.llm import embedding
from linrep.llm.contexts import ContextConcept, ContextPair
from linrep.llm.embedding import Sides
from linrep.llm.matching import Shifts, matching_cosines
from linrep.llm.network import LanguageModel
from linrep.llm.words import TokenPairs

NAMES = ("adj-un", "male-female", "ving-ved")
PAIRS = (
    ContextPair(1, 1, "a king man", "a queen man"),
    ContextPair(1, 2, "a boy", "a girl"),
    ContextPair(2, 1, "a boy", "a ruler"),
    ContextPair(2, 2, "a boy", "a man"),
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LanguageModel:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path))
    tokens = tokenizer()
    llama = network(len(tokens), tied=False)
    return LanguageModel(
        name="tiny",
        hidden_size=16,
        unembedding=llama.get_output_embeddings().weight.detach(),
        tokenizer=tokens,
        network=llama,
    )


def planted(*, wrong: bool = False) -> Sides:
    """Three concepts along three axes; with `wrong` the contexts of the first lie along the second."""
    draw = torch.Generator().manual_seed(0)

    def side(axes: tuple[int, ...], columns: tuple[str, ...], pairs: int) -> tuple[Shifts, ...]:
        vectors = torch.randn(len(axes), pairs, 40, generator=draw, dtype=torch.float64)
        for number, axis in enumerate(axes):
            vectors[number, :, axis] += 6
        clusters = np.arange(pairs) % 10
        return tuple(Shifts(name, each, clusters) for name, each in zip(columns, vectors, strict=True))

    contexts = side((1, 1, 2) if wrong else (0, 1, 2), NAMES, 30)
    words = side((3, 0, 1, 2), ("other", *NAMES), 20)
    return Sides(contexts, words, matching_cosines(contexts, words))


def test_planted_concepts_are_found_and_a_wrong_one_is_named() -> None:
    assert planted().own == [1, 2, 3]
    table = embedding.evidence_table(planted())
    assert table.matched.all()
    assert (table.own > 0.5).all()
    assert (table.holm < 0.01).all()
    assert (table.low < table.own).all()
    assert (table.others < 0.2).all()
    wrong = embedding.evidence_table(planted(wrong=True))
    assert wrong.matched.tolist() == [False, True, True]
    assert wrong.nearest["adj-un"] == "male-female"
    assert abs(wrong.own["adj-un"]) < 0.2
    assert wrong.p["adj-un"] > 0.01


def test_the_summary_counts_matches_with_and_without_derived_concepts() -> None:
    arms = {
        "right": dict.fromkeys(embedding.PRODUCTS, planted()),
        "wrong": dict.fromkeys(embedding.PRODUCTS, planted(wrong=True)),
    }
    table = embedding.summary(arms).xs("euclidean", level="product")
    assert table.matched.tolist() == [3, 2]
    assert table["matched, basic"].tolist() == ["2 of 2", "1 of 2"]
    both = planted()
    square = both.cosines[:, both.own]
    assert table.own["right"] == pytest.approx(np.diagonal(square).mean())
    assert table.others["right"] == pytest.approx(np.abs(square).sum() / 6 - np.abs(np.diagonal(square)).sum() / 6)


def test_halves_are_of_templates_and_agree_where_a_concept_is_planted() -> None:
    table = embedding.held_out(planted())
    assert (table["even with odd"] > 0.5).all()
    assert (table.matched == 2).all()
    assert (embedding.held_out(planted(wrong=True)).matched == [0, 2, 2]).all()


def test_a_table_of_cosines_has_each_concepts_own_column_first() -> None:
    both = planted()
    table = embedding.cosine_table(both)
    assert list(table.columns) == [*NAMES, "other"]
    np.testing.assert_allclose(np.diagonal(table.to_numpy()), both.cosines[range(3), both.own])


def test_shifts_are_state_1_less_state_0_by_template(model: LanguageModel) -> None:
    (found,) = embedding.context_shifts(model, [ContextConcept("c", PAIRS)])
    assert found.clusters.tolist() == [1, 1, 2, 2]
    for pair, shift in zip(PAIRS, found.vectors, strict=True):
        one, zero = (model.hidden_states([text])[0].double() for text in (pair.context1, pair.context0))
        torch.testing.assert_close(shift, one - zero, rtol=0, atol=1e-5)


def test_products_keep_what_they_are_to_keep(model: LanguageModel) -> None:
    """Under the causal product inner products of states and words stay: so do the logits."""
    words = [TokenPairs("c", 2, np.array([[1, 2], [3, 4]]), (("a", "b"), ("c", "d")), ())]
    found = embedding.sides(model, [ContextConcept("c", PAIRS)], words)
    plain, causal, removed = (found[name] for name in ("euclidean", "causal", "pc1_removed"))
    inner = [each.contexts[0].vectors @ each.words[0].vectors.T for each in (plain, causal, removed)]
    torch.testing.assert_close(inner[0], inner[1], rtol=1e-6, atol=1e-9)
    assert not torch.allclose(inner[0], inner[2], rtol=1e-3)
    assert abs(plain.cosines[0, 0] - causal.cosines[0, 0]) > 1e-3


def test_word_tokens_begin_with_a_space_and_are_letters(model: LanguageModel) -> None:
    found = embedding.word_tokens(model)
    texts = [model.tokenizer.decode([i]) for i in found]
    assert all(text[0] == " " and text[1:].isalpha() for text in texts)
    assert (np.diff(found) > 0).all()
