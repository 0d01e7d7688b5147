"""The log-odds of the next words, one context of a pair against the other."""

import pytest
import torch
from llm_tiny import network, tokenizer

from linrep.llm.cache import fault
from linrep.llm.contexts import ContextConcept, ContextPair, language_contexts, read_contexts
from linrep.llm.model import load_model
from linrep.llm.network import LanguageModel
from linrep.llm.registry import SOURCES
from linrep.llm.shifts import log_odds_shifts, shift_table

PAIRS = (
    ContextPair(1, 1, "a king man", "a queen man", "uncle", "aunt"),
    ContextPair(1, 2, "a boy", "a girl", "actor", "actress"),
    ContextPair(2, 1, "a boy", "a ruler", "uncle", "aunts"),  # two tokens
    ContextPair(2, 2, "a boy", "a man", "actor", "actress"),
)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    tokens = tokenizer()
    llama = network(len(tokens), tied=False)
    return LanguageModel("tiny", 16, llama.get_output_embeddings().weight.detach(), tokens, llama)


def test_a_shift_is_the_difference_of_the_networks_log_odds(model: LanguageModel) -> None:
    kept, shifts = log_odds_shifts(model, ContextConcept("c", PAIRS))
    assert kept == (PAIRS[0], PAIRS[1], PAIRS[3])
    for pair, shift in zip(kept, shifts.tolist(), strict=True):
        odds = []
        for context in (pair.context0, pair.context1):
            with torch.inference_mode():
                logits = model.network(input_ids=torch.tensor([model.tokenizer(context).input_ids])).logits[0, -1]
            zero, one = (model.tokenizer(f"a {word}").input_ids[-1] for word in (pair.word0, pair.word1))
            odds.append(float(logits.log_softmax(-1)[one] - logits.log_softmax(-1)[zero]))
        assert shift == pytest.approx(odds[1] - odds[0], abs=1e-5)
        assert abs(shift) > 1e-3


def test_contexts_or_words_the_other_way_round_change_the_sign(model: LanguageModel) -> None:
    _, shifts = log_odds_shifts(model, ContextConcept("c", PAIRS))
    for swapped in (
        [ContextPair(p.template, p.filler, p.context1, p.context0, p.word0, p.word1) for p in PAIRS],
        [ContextPair(p.template, p.filler, p.context0, p.context1, p.word1, p.word0) for p in PAIRS],
    ):
        assert torch.allclose(log_odds_shifts(model, ContextConcept("c", tuple(swapped)))[1], -shifts, atol=1e-5)


def test_the_table_counts_what_could_be_measured(model: LanguageModel) -> None:
    table = shift_table(model, [ContextConcept("c", PAIRS), language_contexts("english-french")])
    _, shifts = log_odds_shifts(model, ContextConcept("c", PAIRS))
    assert table.loc["c", ["pairs", "measured", "higher"]].tolist() == [4, 3, int((shifts > 0).sum())]
    assert table.loc["c", "mean"] == pytest.approx(float(shifts.mean()), abs=1e-9)
    assert list(table.index) == ["c"]  # the paragraphs have no next words


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.skipif(
    fault(SOURCES["smollm2-135m"], deep=False) is not None,
    reason=f"smollm2-135m is not converted; run: {SOURCES['smollm2-135m'].command}",
)
def test_most_contexts_do_what_they_say() -> None:
    """Of each concept the first filling of two templates, to be quick; the README of the data has them all."""
    first = [
        ContextConcept(concept.name, tuple(pair for pair in concept.pairs if pair.filler == 1 and pair.template <= 2))
        for concept in read_contexts()
    ]
    table = shift_table(load_model("smollm2-135m"), first)
    assert (table.pairs == 2).all()
    assert table.higher.sum() >= 0.8 * table.measured.sum()
    assert list(table.index) == [concept.name for concept in first]
