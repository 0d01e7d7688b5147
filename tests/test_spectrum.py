"""The spectrum of tables by degree: Parseval, planted functions, and the identity of U and the weight of degree one."""

import numpy as np
import pytest
import torch

from linrep import geometry
from linrep.concepts import ConceptGraph
from linrep.contexts import all_contexts
from linrep.errors import InputError
from linrep.linearity import concept_vectors
from linrep.population import Population, complete_population
from linrep.spectrum import (
    context_degree_weights,
    degree_weights,
    linear_weights,
    predicted_cosine,
    shares,
    walsh,
    weighted_cosine,
)

ROUNDING = 1e-12


def world(concepts: int) -> Population:
    return complete_population([ConceptGraph.random(concepts, seed=1)])


def normal(rows: int, dim: int, *, seed: int) -> torch.Tensor:
    return torch.randn(2, rows, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("concepts", [2, 3, 4])
def test_the_weights_of_contexts_add_up_to_the_mean_square(concepts: int) -> None:
    table = normal(3**concepts, 5, seed=concepts)
    weights = context_degree_weights(table, all_contexts(concepts))
    assert weights.shape == (2, concepts + 1)
    assert torch.allclose(weights.sum(dim=-1), table.square().sum(dim=-1).mean(dim=-1))


@pytest.mark.parametrize("concepts", [2, 3, 4])
def test_the_weights_of_tokens_add_up_to_the_mean_square(concepts: int) -> None:
    table = normal(2**concepts, 5, seed=concepts)
    weights = degree_weights(table, world(concepts).tokens)
    assert weights.shape == (2, concepts + 1)
    assert torch.allclose(weights.sum(dim=-1), table.square().sum(dim=-1).mean(dim=-1))


@pytest.mark.parametrize(("odd", "even"), [((), (0,)), ((1,), ()), ((1,), (0, 2)), ((0, 2), ()), ((0, 1, 2), ())])
def test_a_product_of_factors_has_the_degree_of_its_odd_ones(odd: tuple[int, ...], even: tuple[int, ...]) -> None:
    """x has degree one; whether another concept is known, and x squared with it, adds none."""
    contexts = all_contexts(3)
    x = np.where(contexts == -1, 0, 2.0 * contexts - 1)
    function = np.prod(x[:, odd], axis=1) * np.prod(x[:, even] ** 2 - 2 / 3, axis=1)
    weights = context_degree_weights(torch.from_numpy(function)[:, None], contexts)
    assert int(weights.argmax()) == len(odd)
    assert float(weights.sum() - weights.max()) < ROUNDING


def test_what_contexts_have_in_common_enters_no_steering_vector() -> None:
    """A function of which concepts are known, and not of their values, has degree zero."""
    contexts = all_contexts(3)
    known = torch.from_numpy((contexts != -1).astype(float)) @ normal(3, 4, seed=0)
    weights = context_degree_weights(known, contexts)
    assert float(weights[:, 1:].max()) < ROUNDING
    with pytest.raises(InputError, match="no degree above zero"):
        shares(weights)
    assert all(float(vectors.abs().max()) < ROUNDING for vectors in concept_vectors(known, world(3).context_pairs))


def test_shares_leave_degree_zero_out() -> None:
    found = shares(torch.tensor([[5.0, 3.0, 1.0]]))
    assert found.tolist() == [[0.0, 0.75, 0.25]]


@pytest.mark.parametrize("concepts", [2, 3, 5])
def test_the_length_weighted_cosine_is_a_function_of_the_weight_of_degree_one(concepts: int) -> None:
    """The identity holds for any table; U itself differs where lengths do."""
    population = world(concepts)
    table = normal(2**concepts, 6, seed=2)
    predicted = predicted_cosine(linear_weights(table, population.tokens))
    vectors = concept_vectors(table, population.token_pairs)
    weighted = torch.stack([weighted_cosine(each) for each in vectors], dim=-1)
    plain = torch.stack([geometry.mean_cosine(each) for each in vectors], dim=-1)
    assert torch.allclose(weighted, predicted)
    assert float((plain - predicted).abs().max()) > 1e-3


def test_orthogonal_coefficients_make_all_lengths_equal_and_u_exact() -> None:
    tokens = world(4).tokens
    functions, degree = walsh(tokens)
    sizes = torch.tensor([0.0, 2.0, 0.7, 0.4, 0.1], dtype=torch.float64)[torch.from_numpy(degree)]
    table = (functions.mT * sizes)[None]  # one dimension for each set
    for number, vectors in enumerate(concept_vectors(table, world(4).token_pairs)):
        lengths = vectors.norm(dim=-1)
        assert float((lengths - lengths[:, :1]).abs().max()) < 1e-9
        predicted = predicted_cosine(linear_weights(table, tokens))[:, number]
        assert torch.allclose(geometry.mean_cosine(vectors), predicted)


def test_a_straight_table_is_of_degree_one_and_a_relabelled_one_is_not() -> None:
    tokens = world(3).tokens
    straight = torch.from_numpy(2.0 * tokens - 1)[None]
    assert torch.allclose(linear_weights(straight, tokens), torch.ones(1, 3, dtype=torch.float64))
    assert torch.allclose(predicted_cosine(linear_weights(straight, tokens)), torch.ones(1, 3, dtype=torch.float64))
    bent = straight[:, torch.tensor([3, 1, 2, 0, 4, 5, 6, 7])]
    assert float(linear_weights(bent, tokens).min()) < 0.9
    assert torch.allclose(degree_weights(bent, tokens).sum(), degree_weights(straight, tokens).sum())


def test_bad_tables_are_one_clear_line() -> None:
    tokens = world(3).tokens
    with pytest.raises(InputError, match="9 contexts of 3 concepts; their spectrum needs all 27"):
        context_degree_weights(torch.zeros(9, 2), all_contexts(3)[:9])
    with pytest.raises(InputError, match="needs all 27, in order"):
        context_degree_weights(torch.zeros(27, 2), all_contexts(3)[::-1])
    with pytest.raises(InputError, match="needs all 8"):
        linear_weights(torch.zeros(4, 2), tokens[:4])
    with pytest.raises(InputError, match="a concept changes no unembedding"):
        linear_weights(torch.ones(8, 2), tokens)
    with pytest.raises(InputError, match="1 steering vectors given"):
        weighted_cosine(torch.ones(1, 2))
