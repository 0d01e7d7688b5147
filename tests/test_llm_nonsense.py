"""Nonsense concepts and Gaussian rows: they mean nothing, and are otherwise like what they stand beside."""

from pathlib import Path

import numpy as np
import pytest
import torch
from llm_tiny import network, tokenizer

from linrep.errors import InputError
from linrep.llm import embedding, nonsense
from linrep.llm.contexts import ContextConcept, ContextPair
from linrep.llm.matrix import Unembedding
from linrep.llm.network import LanguageModel
from linrep.llm.products import covariance, for_states, transforms
from linrep.llm.word_nulls import gaussian_unembedding
from linrep.llm.words import TokenPairs

DIM = 12


def test_the_two_contexts_of_a_pair_are_of_different_concepts() -> None:
    """Contexts of concept c are the unit vector c: a pair within one concept would add nothing, others √2."""
    owners = np.repeat(np.arange(4), [2, 6, 10, 4])
    states = torch.eye(DIM, dtype=torch.float64)[torch.from_numpy(owners)]
    means = nonsense.nonsense_means(states, owners, draws=500, seed=0)
    assert torch.allclose(means.sum(dim=1), torch.zeros(500, dtype=torch.float64), atol=1e-12)
    assert means[:, 4:].abs().max() == 0
    assert torch.allclose(means * nonsense.PAIRS, (means * nonsense.PAIRS).round(), atol=1e-9)
    # a sum of 30 differences of two different unit vectors of four: E|sum|² = 30 · 2
    squares = (means * nonsense.PAIRS).square().sum(dim=1)
    assert float(squares.mean()) == pytest.approx(60, abs=8)


def test_every_context_can_be_drawn_and_none_is_preferred() -> None:
    owners = np.repeat(np.arange(3), [1, 2, 5])
    ids = torch.eye(8, dtype=torch.float64)
    means = nonsense.nonsense_means(ids, owners, draws=4000, seed=1) * nonsense.PAIRS
    assert means.mean(dim=0).abs().max() < 0.3  # each is as often first as second
    spread = means.square().mean(dim=0)
    assert (spread > 0).all()
    assert float(spread[1:3].std() / spread[1:3].mean()) < 0.1
    assert float(spread[3:].std() / spread[3:].mean()) < 0.1


def test_a_seed_fixes_the_draws_and_one_concept_is_refused() -> None:
    states, owners = torch.randn(10, DIM, dtype=torch.float64), np.repeat([0, 1], 5)
    one, same, other = (nonsense.nonsense_means(states, owners, draws=3, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    with pytest.raises(InputError, match=r"1 concept\(s\) given; .* needs 2 or more"):
        nonsense.nonsense_means(states, np.zeros(10, dtype=int), draws=3, seed=0)


def test_the_largest_cosine_is_that_with_any_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path))
    tokens = tokenizer()
    llama = network(len(tokens), tied=False)
    model = LanguageModel("tiny", 16, llama.get_output_embeddings().weight.detach(), tokens, llama)
    texts = ("a king man", "a queen man", "a boy", "a girl", "a uncle", "a aunt", "a king", "a queen")
    pairs = [ContextPair(1, number, texts[number], texts[number + 1]) for number in (0, 2, 4, 6)]
    concepts = [ContextConcept("adj-un", tuple(pairs[:2])), ContextConcept("male-female", tuple(pairs[2:]))]
    ids = np.arange(8).reshape(4, 2)
    words = [
        TokenPairs(name, 2, ids[row : row + 2], (("a", "b"),) * 2, ())
        for row, name in ((0, "adj-un"), (2, "male-female"))
    ]
    for product, both in embedding.sides(model, concepts, words).items():
        found = nonsense.nonsense_cosines(model, concepts, both, product=product)
        assert found.shape == (nonsense.DRAWS, 2)
        table = nonsense.beyond_nonsense(both, found)
        assert table.own.tolist() == pytest.approx(np.diagonal(both.cosines).tolist())
        shares = nonsense.nearest_words(both, found)
        assert shares.sum() == pytest.approx(1)
        assert shares["adj-un"] == (found[:, 0] > found[:, 1]).mean()
        assert table["any words"].nunique() == 1
        assert table["any words"].iloc[0] >= np.quantile(found[:, 0], 0.95)
        assert table["same words"].tolist() == pytest.approx([np.quantile(abs(column), 0.95) for column in found.T])


def test_under_the_causal_product_nonsense_is_measured_with_what_keeps_the_logits() -> None:
    """A state times a word is a logit, so that (s T⁻¹)·(w T) = s·w."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(200, DIM, generator=draw, dtype=torch.float64) @ torch.diag(torch.linspace(0.2, 3, DIM).double())
    state = torch.randn(DIM, generator=draw, dtype=torch.float64)
    for product, matrix in transforms(rows).items():
        logits = (state @ for_states(product, matrix)) @ (rows @ matrix).T
        assert torch.allclose(logits, rows @ state) == (product != "pc1_removed")


def test_gaussian_rows_have_the_mean_and_covariance_of_the_models_and_nothing_else() -> None:
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(40_000, DIM, generator=draw) @ torch.diag(torch.linspace(0.2, 3, DIM)) + torch.arange(DIM)
    made = gaussian_unembedding(Unembedding("m", DIM, rows, None), seed=3)
    assert made.unembedding.shape == rows.shape
    assert made.unembedding.dtype == torch.float32
    assert torch.allclose(made.unembedding.mean(dim=0), rows.mean(dim=0), atol=0.08)
    assert torch.allclose(covariance(made.unembedding), covariance(rows), atol=0.15)
    assert abs(float(torch.corrcoef(torch.stack([made.unembedding[:, 5], rows[:, 5]]))[0, 1])) < 0.02
    again, other = (gaussian_unembedding(Unembedding("m", DIM, rows, None), seed=seed).unembedding for seed in (3, 4))
    assert torch.equal(again, made.unembedding)
    assert not torch.equal(other, made.unembedding)
