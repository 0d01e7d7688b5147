"""Laws of the geometry: invariances, planted directions, and brute-force means."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from linrep import geometry
from linrep.errors import InputError
from linrep.steering import counterfactual_pairs, require_pairs, steering_vectors


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 9), st.integers(1, 7), st.integers(0, 10**6))
def test_mean_cosine_equals_the_mean_over_distinct_pairs(count: int, dim: int, seed: int) -> None:
    vectors = gaussian(count, dim, seed=seed)
    cosines = [
        torch.nn.functional.cosine_similarity(vectors[a], vectors[b], dim=0) for a in range(count) for b in range(a)
    ]
    assert float(geometry.mean_cosine(vectors)) == pytest.approx(float(torch.stack(cosines).mean()), abs=1e-12)


def test_mean_cross_cosine_equals_the_mean_over_all_pairs() -> None:
    first, second = gaussian(5, 4, seed=1), gaussian(7, 4, seed=2)
    cosines = torch.nn.functional.cosine_similarity(first[:, None], second[None], dim=-1)
    assert float(geometry.mean_cross_cosine(first, second)) == pytest.approx(float(cosines.mean()), abs=1e-12)


def test_rotation_and_scaling_change_no_cosine() -> None:
    concepts = [gaussian(6, 5, seed=3), gaussian(4, 5, seed=4)]
    turn = torch.from_numpy(ortho_group.rvs(5, random_state=np.random.default_rng(5))) * 1e-150
    turned = [vectors @ turn for vectors in concepts]
    for measure in (geometry.cosine_matrix, lambda c: geometry.gram(geometry.directions(c))):
        torch.testing.assert_close(measure(turned), measure(concepts), rtol=0, atol=1e-10)
    shear = torch.eye(5, dtype=torch.float64) + torch.diag(torch.full((4,), 2.0, dtype=torch.float64), 1)
    sheared = geometry.cosine_matrix([vectors @ shear for vectors in concepts])
    assert (sheared - geometry.cosine_matrix(concepts)).abs().max() > 0.01


def test_planted_directions_are_recovered() -> None:
    planted = torch.tensor([[1.0, 0, 0], [0.6, 0.8, 0]], dtype=torch.float64)
    lengths = gaussian(9, 1, seed=6).abs() + 0.1
    concepts = [lengths * row for row in planted]
    torch.testing.assert_close(geometry.directions(concepts), planted)
    expected = torch.tensor([[1.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(geometry.cosine_matrix(concepts), expected)
    assert float(geometry.mean_absolute_between(geometry.directions(concepts))) == pytest.approx(0.6)
    opposed = torch.cat([lengths * planted[0], -lengths * planted[0]])
    assert float(geometry.mean_cosine(opposed)) == pytest.approx(-1 / 17)


def test_a_batch_is_its_parts() -> None:
    vectors = gaussian(3, 6, 4, seed=7)
    alone = torch.stack([geometry.mean_cosine(part) for part in vectors])
    torch.testing.assert_close(geometry.mean_cosine(vectors), alone)


def test_random_vectors_in_a_large_space_have_no_common_direction() -> None:
    assert abs(float(geometry.mean_cosine(gaussian(200, 500, seed=8)))) < 5 / math.sqrt(500 * 200 * 199 / 2)


def test_imbalance_is_zero_for_balanced_factors_and_by_hand() -> None:
    left, right = gaussian(6, 3, seed=9), gaussian(8, 3, seed=10)
    u, s, vt = torch.linalg.svd(left @ right.T, full_matrices=False)
    assert float(geometry.imbalance(u[:, :3] * s[:3].sqrt(), vt[:3].T * s[:3].sqrt())) < 1e-12
    by_hand = torch.linalg.matrix_norm(left.T @ left - right.T @ right)
    torch.testing.assert_close(geometry.imbalance(left, right), by_hand)


def test_degenerate_input_is_refused_by_name() -> None:
    vectors = gaussian(3, 2)
    vectors[1] = 0
    with pytest.raises(InputError, match=r"steering vector \(1,\) is zero or not finite"):
        geometry.mean_cosine(vectors)
    with pytest.raises(InputError, match=r"1 steering vector\(s\) given"):
        geometry.mean_cosine(gaussian(1, 2))
    with pytest.raises(InputError, match=r"mean steering vector of concept \(\) is zero"):
        geometry.direction(torch.tensor([[1.0, 0], [-1, 0]]))
    with pytest.raises(InputError, match=r"1 concept\(s\) given"):
        geometry.mean_absolute_between(gaussian(1, 2))


def test_steering_vectors_are_one_minus_zero_and_skip_missing_partners() -> None:
    states = np.array([[0, 0], [0, 1], [1, 1], [-1, 1]], dtype=np.int8)
    pairs = counterfactual_pairs(states)
    assert [pair.tolist() for pair in pairs] == [[[2, 1]], [[1, 0]]]
    table = gaussian(4, 3)
    torch.testing.assert_close(steering_vectors(table, pairs[0])[0], table[2] - table[1])
    with pytest.raises(InputError, match=r"concept 1 has 1 counterfactual pair\(s\) among the tokens"):
        require_pairs(pairs, of="tokens")
