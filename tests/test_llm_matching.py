"""Matching of context and word directions: planted directions, exact nulls, and what they must refuse."""

from itertools import permutations, product

import numpy as np
import pytest
import torch

from linrep.errors import InputError
from linrep.llm.matching import (
    Shifts,
    bootstrap_cosines,
    holm,
    label_p,
    matching_cosines,
    nearest,
    sign_flip_p,
)

DIM = 12


def planted(name: str, axis: int, *, signal: float, pairs: int = 12, clusters: int = 4, seed: int = 0) -> Shifts:
    """Unit normal vectors, moved along one axis."""
    draw = torch.Generator().manual_seed(1000 * seed + axis)
    vectors = torch.randn(pairs, DIM, generator=draw, dtype=torch.float64)
    vectors[:, axis] += signal
    return Shifts(name, vectors, np.arange(pairs) % clusters)


def test_planted_concepts_are_nearest_to_themselves_and_noise_is_not() -> None:
    names = "abcd"
    contexts = [planted(name, axis, signal=5) for axis, name in enumerate(names)]
    words = [planted(name, axis, signal=5, seed=1) for axis, name in enumerate(names)]
    cosines = matching_cosines(contexts, words)
    assert nearest(cosines).tolist() == [0, 1, 2, 3]
    turned = [Shifts(each.name, -each.vectors, each.clusters) for each in contexts]
    np.testing.assert_allclose(matching_cosines(turned, words), -cosines)
    assert nearest(matching_cosines(turned, words), signed=False).tolist() == [0, 1, 2, 3]
    one, other = contexts[0].vectors.mean(dim=0), words[2].vectors.mean(dim=0)
    assert cosines[0, 2] == pytest.approx(float(one @ other / one.norm() / other.norm()))


def test_the_sign_flip_p_value_is_the_enumerated_one() -> None:
    contexts, words = planted("a", 0, signal=0.4), planted("a", 0, signal=5, seed=1)
    mean = words.vectors.mean(dim=0)
    toward = (contexts.vectors @ (mean / mean.norm())).numpy()
    sums = [toward[contexts.clusters == each].sum() for each in range(4)]
    values = [
        sum(sign * value for sign, value in zip(signs, sums, strict=True)) for signs in product((1, -1), repeat=4)
    ]
    expected = np.mean([value >= sum(sums) - 1e-9 for value in values])
    assert sign_flip_p(contexts, words) == pytest.approx(expected)
    assert sign_flip_p(planted("a", 0, signal=50), words) == 1 / 16


def test_sign_flips_are_right_under_the_null() -> None:
    """With symmetric noise p-values are uniform: 300 worlds, 14 clusters each, at two levels."""
    words = planted("a", 0, signal=5, seed=1)
    found = []
    for seed in range(300):
        draw = torch.Generator().manual_seed(seed)
        vectors = torch.randn(28, DIM, generator=draw, dtype=torch.float64)
        found.append(sign_flip_p(Shifts("a", vectors, np.arange(28) % 14), words, seed=seed))
    for level in (0.1, 0.5):
        error = np.sqrt(level * (1 - level) / len(found))
        assert abs(np.mean(np.array(found) <= level) - level) < 3.3 * error


def test_clusters_and_not_pairs_are_flipped() -> None:
    """Ten copies of one noisy shift are one piece of evidence: two patterns, p of a half."""
    words = planted("a", 0, signal=5, seed=1)
    one = planted("a", 0, signal=50, pairs=1).vectors.repeat(10, 1)
    assert sign_flip_p(Shifts("a", one, np.zeros(10, dtype=int)), words) == 0.5
    assert sign_flip_p(Shifts("a", one, np.arange(10)), words) == 1 / 1024


def test_the_bootstrap_covers_and_draws_clusters() -> None:
    contexts, words = (
        planted("a", 0, signal=3, pairs=60, clusters=20),
        planted("a", 0, signal=3, pairs=60, clusters=60, seed=1),
    )
    drawn = bootstrap_cosines(contexts, words, draws=500, seed=0)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert low < matching_cosines([contexts], [words])[0, 0] < high
    assert high - low < 0.2
    same = Shifts("a", contexts.vectors[:3].repeat(20, 1), np.tile([0, 1, 2], 20))
    wide = np.quantile(bootstrap_cosines(same, words, draws=500, seed=0), [0.025, 0.975])
    assert wide[1] - wide[0] > 2 * (high - low)  # three clusters, however many copies
    single = Shifts("a", contexts.vectors, np.zeros(60, dtype=int))
    with pytest.raises(InputError, match=r"concept a has 1 cluster\(s\); a bootstrap needs 2 or more"):
        bootstrap_cosines(single, words, draws=10, seed=0)


def test_label_permutations_are_the_enumerated_ones() -> None:
    cosines = np.random.default_rng(0).uniform(-1, 1, (4, 4))
    means = [cosines[range(4), order].mean() for order in permutations(range(4))]
    expected = np.mean([value >= np.diagonal(cosines).mean() - 1e-9 for value in means])
    mean, p = label_p(cosines, draws=20_000, seed=0)
    assert p == pytest.approx(expected, abs=0.015)
    assert mean == pytest.approx(cosines.mean(), abs=0.01)
    _, p = label_p(np.eye(8), draws=1000, seed=0)
    assert p < 0.005
    with pytest.raises(InputError, match=r"cosines of shape \(2, 3\) given; permuting labels needs a square matrix"):
        label_p(np.ones((2, 3)), draws=10, seed=0)


def test_holm_adjusts_step_by_step() -> None:
    found = holm({"a": 0.04, "b": 0.01, "c": 0.02, "d": 0.9})
    assert found == pytest.approx({"b": 0.04, "c": 0.06, "a": 0.08, "d": 0.9})
    assert holm({"a": 0.5, "b": 0.9}) == pytest.approx({"a": 1.0, "b": 1.0})


def test_vectors_and_clusters_must_fit() -> None:
    with pytest.raises(InputError, match=r"concept a: 3 vector\(s\) with 2 cluster\(s\) given"):
        Shifts("a", torch.ones(3, 4), np.zeros(2, dtype=int))
