"""Laws of the population: p(c given d), its weights and its entropy equal brute-force enumeration."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linrep.concepts import ConceptGraph
from linrep.errors import InputError, TooLargeError
from linrep.population import UNKNOWN, agreement, all_contexts, complete_population, context_keys, incomplete_population


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
    with pytest.raises(TooLargeError, match=r"3\^20 contexts by 2\^20 tokens would take 117\.0 PB"):
        complete_population([fair])
