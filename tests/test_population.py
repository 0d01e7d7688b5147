"""Laws of the population: p(c given d), its weights and its entropy equal brute-force enumeration."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linrep.concepts import ConceptGraph, all_tokens
from linrep.contexts import UNKNOWN, agreement, all_contexts, context_keys, sums_over_agreeing
from linrep.errors import InputError, TooLargeError
from linrep.loss import PopulationLoss
from linrep.masks import MaskLaw, check_mask_law, check_mask_probability, mask_probability
from linrep.minibatches import Minibatches
from linrep.population import Population, complete_population, incomplete_population, masked_population
from linrep.seeds import stream

LAWS = get_args(MaskLaw)


def graphs(concepts: int, count: int, seed: int = 500) -> list[ConceptGraph]:
    return [ConceptGraph.random(concepts, seed=seed + r) for r in range(count)]


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.integers(0, 1000))
def test_target_and_weights_equal_enumeration(concepts: int, seed: int) -> None:
    graph = ConceptGraph.random(concepts, seed=seed)
    population = complete_population([graph])
    joint = dict(zip(product((0, 1), repeat=concepts), graph.joint().tolist(), strict=True))
    for row, d in enumerate(product((-1, 0, 1), repeat=concepts)):
        assert tuple(population.contexts[row]) == d
        fits = [all(v in (UNKNOWN, w) for v, w in zip(d, c, strict=True)) for c in joint]
        mass = sum(p for p, fit in zip(joint.values(), fits, strict=True) if fit)
        expected = [p / mass if fit else 0 for p, fit in zip(joint.values(), fits, strict=True)]
        np.testing.assert_allclose(population.target[0, row], expected, atol=1e-12)
        assert population.weights[0, row] == pytest.approx(mass / 2**concepts, abs=1e-14)


def test_rows_and_weights_sum_to_one() -> None:
    population = complete_population(graphs(4, 3))
    np.testing.assert_allclose(population.target.sum(axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(population.weights.sum(axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(population.pair_probability.sum(axis=(1, 2)), 1, atol=1e-12)


def test_entropy_of_fair_coins_is_half_the_bits() -> None:
    coins = ConceptGraph.from_tables([[]] * 5, [0.5] * 5)
    assert complete_population([coins]).entropy[0] == pytest.approx(2.5 * np.log(2))


def test_counterfactual_pairs_are_complete_and_differ_in_one_concept() -> None:
    population = complete_population(graphs(4, 1))
    for pairs, states, count in (
        (population.token_pairs, population.tokens, 8),
        (population.context_pairs, population.contexts, 27),
    ):
        for concept, pair in enumerate(pairs):
            assert len(np.unique(pair, axis=0)) == count
            difference = states[pair[:, 0]].astype(int) - states[pair[:, 1]]
            np.testing.assert_array_equal(difference, np.eye(4, dtype=int)[[concept] * count])


def test_context_keys_are_places_in_all_contexts() -> None:
    np.testing.assert_array_equal(context_keys(all_contexts(5)), np.arange(243))


def test_agreement_by_hand() -> None:
    contexts, tokens = np.array([[-1, -1], [1, -1], [1, 0]]), np.array([[0, 0], [1, 0], [1, 1]])
    expected = [[True, True, True], [False, True, True], [False, True, False]]
    np.testing.assert_array_equal(agreement(contexts, tokens), expected)


def test_incomplete_sets_hold_what_was_asked_for() -> None:
    graph = ConceptGraph.random(5, seed=1)
    population = incomplete_population(graph, masks=7, tokens=20, seed=1)
    assert len(population.masks) == len(np.unique(population.masks, axis=0)) == 7
    assert len(population.tokens) == len(np.unique(population.tokens, axis=0)) == 20
    assert population.consistent.any(axis=1).all()
    known = {tuple(row) for row in (population.contexts != UNKNOWN).astype(int).tolist()}
    assert known == {tuple(row) for row in population.masks.tolist()}
    np.testing.assert_allclose(population.weights.sum(), 1, atol=1e-12)
    np.testing.assert_allclose(population.target.sum(axis=-1), 1, atol=1e-12)
    for pairs, states in ((population.token_pairs, population.tokens), (population.context_pairs, population.contexts)):
        for concept, pair in enumerate(pairs):
            difference = states[pair[:, 0]].astype(int) - states[pair[:, 1]]
            np.testing.assert_array_equal(difference, np.eye(5, dtype=int)[[concept] * len(pair)])


def test_all_masks_and_tokens_is_the_complete_population() -> None:
    graph = ConceptGraph.random(4, seed=2)
    whole, complete = incomplete_population(graph, seed=2), complete_population([graph])
    np.testing.assert_array_equal(whole.contexts, complete.contexts)
    np.testing.assert_allclose(whole.pair_probability, complete.pair_probability, atol=1e-15)


def test_what_is_not_there_is_refused() -> None:
    graph = ConceptGraph.random(3, seed=2)
    with pytest.raises(InputError, match="masks is 9; allowed are 1 to 8"):
        incomplete_population(graph, masks=9, seed=0)
    with pytest.raises(InputError, match="tokens is 0; allowed are 1 to 8"):
        incomplete_population(graph, tokens=0, seed=0)
    with pytest.raises(InputError, match=r"graphs of \[3, 4\] concepts"):
        complete_population([graph, ConceptGraph.random(4, seed=2)])


def test_what_does_not_fit_is_refused_with_its_size() -> None:
    fair = ConceptGraph.from_tables([[]] * 20, [0.5] * 20)
    with pytest.raises(TooLargeError, match=r"3\^20 contexts and 2\^20 tokens would take 1\.8 TB"):
        complete_population([fair])


def test_a_table_of_contexts_by_tokens_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    population = complete_population(graphs(7, 2))
    _ = population.entropy, population.weights
    monkeypatch.setattr("linrep.memory.free_memory", lambda device: 4_000_000)
    with pytest.raises(
        TooLargeError, match=r"p\(d, c\) of 2 replicate\(s\) of 2187 contexts by 128 tokens would take 9\.0 MB"
    ):
        _ = population.target


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(0, 1000))
def test_sums_over_agreeing_tokens_are_those_of_the_table(concepts: int, seed: int) -> None:
    """Also for contexts in any order and twice, and for contexts that agree with none of the tokens."""
    rng = np.random.default_rng(seed)
    contexts = all_contexts(concepts)[rng.integers(3**concepts, size=1 + seed % 40)]
    tokens = all_tokens(concepts)[rng.permutation(2**concepts)[: 1 + seed % 2**concepts]]
    values = rng.normal(size=(1 + seed % 3, len(tokens)))
    expected = values @ agreement(contexts, tokens).T
    np.testing.assert_allclose(sums_over_agreeing(values, contexts, tokens), expected, atol=1e-13)


def test_a_population_grows_with_contexts_plus_tokens() -> None:
    """At m = 9 a table of contexts by tokens has 10 million entries; weights and entropy are made without one."""
    worlds = graphs(9, 3)
    tracemalloc.start()
    try:
        population = complete_population(worlds)
        assert population.weights.sum() == pytest.approx(3, abs=1e-12)
        assert (population.entropy < 9 * np.log(2)).all()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 300 * (19683 + 512), "bytes for each context and token, with 9 entries and 3 replicates"


def drawn_masks(law: MaskLaw, concepts: int, count: int) -> np.ndarray:
    """Masks drawn as a law is told: entry by entry, or first how many to hide and then which."""
    rng = np.random.default_rng(7)
    if law != "size":
        return (rng.random((count, concepts)) >= {"fair": 1 / 2, "often": 3 / 4, "rarely": 1 / 4}[law]).astype(np.int8)
    known = np.ones((count, concepts), dtype=np.int8)
    for row, hidden in zip(known, rng.integers(concepts + 1, size=count), strict=True):
        row[rng.permutation(concepts)[:hidden]] = 0
    return known


def enumerated(population: Population, chances: Sequence[float]) -> np.ndarray:
    """p(d, c) of the first world, by going through every mask and every token."""
    pair = np.zeros((len(population.contexts), len(population.tokens)))
    rows = {tuple(state): row for row, state in enumerate(population.contexts.tolist())}
    for mask, chance in zip(population.masks.tolist(), chances, strict=True):
        for place, c in enumerate(population.tokens.tolist()):
            d = tuple(value if known else UNKNOWN for value, known in zip(c, mask, strict=True))
            pair[rows[d], place] += chance * population.joint[0, place]
    return pair


def within_chance(counts: np.ndarray, p: np.ndarray) -> bool:
    """Whether all counts lie within five standard deviations of what is expected."""
    total = counts.sum()
    return bool((np.abs(counts - total * p) <= 5 * np.sqrt(total * p * (1 - p)) + 1e-9).all())


@pytest.mark.parametrize("law", LAWS)
def test_a_mask_law_is_what_its_words_say(law: MaskLaw) -> None:
    for concepts in (1, 2, 5, 8):
        assert mask_probability(all_tokens(concepts), law).sum() == pytest.approx(1, abs=1e-14)
    masks = all_tokens(4)
    drawn = drawn_masks(law, 4, 20_000)
    counts = (drawn[:, None, :] == masks).all(axis=-1).sum(axis=0)
    assert within_chance(counts, mask_probability(masks, law))


def test_mask_probabilities_by_hand() -> None:
    masks = np.array([[0, 0, 0], [0, 1, 0], [1, 1, 1]])  # three, two and none hidden
    expected = {
        "fair": [1 / 8, 1 / 8, 1 / 8],
        "often": [27 / 64, 9 / 64, 1 / 64],
        "rarely": [1 / 64, 3 / 64, 27 / 64],
        "size": [1 / 4, 1 / 12, 1 / 4],
    }
    for law in LAWS:
        np.testing.assert_allclose(mask_probability(masks, law), expected[law], rtol=1e-14)


@pytest.mark.parametrize("law", LAWS)
def test_the_contexts_of_a_mask_have_its_probability(law: MaskLaw) -> None:
    population = complete_population(graphs(3, 2), law)
    for mask, chance in zip(population.masks, mask_probability(population.masks, law), strict=True):
        of_mask = ((population.contexts != UNKNOWN) == mask).all(axis=1)
        np.testing.assert_allclose(population.weights[:, of_mask].sum(axis=1), chance, atol=1e-15)
    np.testing.assert_allclose(population.pair_probability.sum(axis=1), population.joint, atol=1e-15)
    np.testing.assert_array_equal(population.target > 0, np.broadcast_to(population.consistent, (2, 27, 8)))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.integers(0, 1000))
def test_any_mask_probabilities_give_what_enumeration_gives(concepts: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.permutation(2**concepts)[: 1 + seed % 2**concepts])
    equal = masked_population(graphs(concepts, 1, seed), all_tokens(concepts)[kept])
    chances = rng.dirichlet(np.ones(len(kept)))
    for population, p in (
        (equal, np.full(len(kept), 1 / len(kept))),
        (replace(equal, mask_probability=chances), chances),
    ):
        pair = enumerated(population, p)
        weights = pair.sum(axis=1)
        np.testing.assert_allclose(population.pair_probability[0], pair, atol=1e-15)
        np.testing.assert_allclose(population.weights[0], weights, atol=1e-15)
        target = pair / weights[:, None]
        np.testing.assert_allclose(population.target[0], target, atol=1e-12)
        surprise = [q * -np.log(t) for q, t in zip(pair.flat, target.flat, strict=True) if q > 0]
        assert population.entropy[0] == pytest.approx(sum(surprise), abs=1e-12)


def test_fair_masks_are_equally_likely_masks_to_the_bit() -> None:
    fair, equal = complete_population(graphs(4, 2), "fair"), complete_population(graphs(4, 2))
    given_as_numbers = replace(equal, mask_probability=np.full(16, 1 / 16))
    for population in (fair, given_as_numbers):
        np.testing.assert_array_equal(population.weights, equal.weights)
        np.testing.assert_array_equal(population.pair_probability, equal.pair_probability)


@pytest.mark.parametrize("law", LAWS)
def test_the_loss_of_the_truth_is_the_entropy_under_every_law(law: MaskLaw) -> None:
    population = complete_population(graphs(3, 2), law)
    logits = np.log(np.maximum(population.target, 1e-300))
    identity = torch.eye(8, dtype=torch.float64).expand(2, 8, 8)
    loss = PopulationLoss.of(population, dtype=torch.float64, device="cpu").value((torch.from_numpy(logits), identity))
    np.testing.assert_allclose(loss.numpy(), population.entropy, atol=1e-12)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("tokens", [None, 6])
def test_minibatches_are_drawn_by_the_mask_law(law: MaskLaw, tokens: int | None) -> None:
    population = incomplete_population(ConceptGraph.random(3, seed=3), tokens=tokens, mask_law=law, seed=3)
    assert population.weights.sum() == pytest.approx(1, abs=1e-14)
    batches = Minibatches(population, seeds=[3], batch=100, device="cpu")
    counts = np.zeros((len(population.contexts), len(population.tokens)))
    for _ in range(500):
        contexts, kept = batches.next()
        np.add.at(counts, (contexts[0].numpy(), kept[0].numpy()), 1)
    assert within_chance(counts, enumerated(population, mask_probability(population.masks, law).tolist()))


def test_equally_likely_masks_are_drawn_as_whole_numbers() -> None:
    population = complete_population(graphs(3, 1))
    first = Minibatches(population, seeds=[5], batch=20, device="cpu")
    second = Minibatches(replace(population, mask_probability=np.full(8, 1 / 8)), seeds=[5], batch=20, device="cpu")
    rng = stream(5, "sampling")
    uniform, masks = rng.random((500, 20)), rng.integers(8, size=(500, 20))
    for row in range(500):
        contexts, tokens = first.next()
        again = second.next()
        assert (contexts.equal(again[0]), tokens.equal(again[1])) == (True, True)
        np.testing.assert_array_equal(tokens[0], (uniform[row][:, None] >= np.cumsum(population.joint[0])).sum(axis=1))
        known = population.contexts[contexts[0].numpy()] != UNKNOWN
        np.testing.assert_array_equal(known, population.masks[masks[row]] == 1)


def test_a_mask_law_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(InputError, match="mask-law is 'half'; allowed are fair, often, rarely, size"):
        check_mask_law("half")


@pytest.mark.parametrize(("law", "hidden"), [("fair", 4), ("often", 6), ("rarely", 2), ("size", 4)])
def test_kept_masks_are_drawn_by_the_law_and_then_each_as_likely(law: MaskLaw, hidden: float) -> None:
    """Of eight entries a law hides `hidden` on average; two of 256 masks are near enough to independent draws."""
    graph, counts = ConceptGraph.random(8, seed=1), []
    for seed in range(200):
        population = incomplete_population(graph, masks=2, tokens=8, mask_law=law, seed=seed)
        assert population.mask_probability is None
        np.testing.assert_allclose(population.mask_share, 1 / 2)
        counts.extend((population.masks == 0).sum(axis=1))
    spread = {"fair": np.sqrt(8) / 2, "size": np.sqrt(80 / 12)}.get(law, np.sqrt(8 * 3 / 16))
    assert np.mean(counts) == pytest.approx(hidden, abs=4 * spread / np.sqrt(400))
    assert np.std(counts) == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize(
    ("chances", "message"),
    [
        ([0.5, 0.5, 0.0, 0.0], "a mask has probability 0; it must be positive"),
        ([0.5, 0.7, -0.3, 0.1], "a mask has probability -0.3; it must be positive"),
        ([0.5, 0.3, np.nan, 0.2], "a mask has probability nan"),
        ([0.5, 0.3, np.inf, 0.2], "the mask probabilities sum to inf; they must sum to 1"),
        ([0.5, 0.3, 0.1, 0.2], r"the mask probabilities sum to 1\.1; they must sum to 1"),
    ],
)
def test_mask_probabilities_that_are_no_distribution_are_refused(chances: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(complete_population(graphs(2, 1)), mask_probability=np.array(chances))


def test_mask_probabilities_must_be_as_many_as_the_masks() -> None:
    for chances, shape in ((np.full(2, 1 / 2), r"\(2,\)"), (np.full((1, 4), 1 / 4), r"\(1, 4\)")):
        with pytest.raises(InputError, match=rf"mask probabilities of shape {shape} given; 4 masks need as many"):
            check_mask_probability(chances, 4)


def test_contexts_of_a_mask_that_is_not_there_are_refused() -> None:
    whole = complete_population(graphs(2, 1), "size")
    few = replace(whole, masks=whole.masks[:3], mask_probability=np.full(3, 1 / 3))
    with pytest.raises(InputError, match=r"the contexts have 1 mask\(s\) that are not among the 3 masks"):
        _ = few.weights
