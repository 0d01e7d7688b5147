"""Nulls of word pairs: the law of each, and what they keep of the pairs they replace."""

import numpy as np
import pytest
import torch

from linrep.errors import InputError
from linrep.llm.products import transforms
from linrep.llm.word_nulls import WINDOW, drawn_places, null_cosines

DIM = 30


def vocabulary(rows: int = 4000) -> torch.Tensor:
    """Rows that grow along the first axis with their number, as frequency does, and are noise along the others."""
    table = torch.randn(rows, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    table[:, 0] += torch.linspace(0, 12, rows, dtype=torch.float64)
    return table


def root(table: torch.Tensor) -> torch.Tensor:
    return torch.linalg.inv(transforms(table)["causal"])


def cosines(kind: str, direction: torch.Tensor, pairs: np.ndarray) -> np.ndarray:
    table = vocabulary()
    pool = np.arange(0, len(table), 2)
    return null_cosines(direction, pairs, table, root(table), pool, kind=kind, draws=2000, seed=0)


def axis(place: int) -> torch.Tensor:
    return torch.eye(DIM, dtype=torch.float64)[place]


@pytest.mark.parametrize("kind", ["random words", "Gaussian"])
def test_unrelated_pairs_have_no_mean_and_the_spread_of_the_covariance(kind: str) -> None:
    """The first axis holds most of the variance, so directions lie near it, to either side."""
    pairs = np.array([[3000, 200], [3400, 600], [2800, 150]])
    along, across = cosines(kind, axis(0), pairs), cosines(kind, axis(5), pairs)
    for found in (along, across):
        assert abs(found.mean()) < 4 * found.std() / np.sqrt(len(found))
    assert along.std() > 2 * across.std()
    assert across.std() == pytest.approx(float(np.mean(across**2) ** 0.5), rel=1e-3)


def test_pairs_as_frequent_keep_what_frequency_alone_gives() -> None:
    pairs = np.array([[3000, 200], [3400, 600], [2800, 150]])
    found = cosines("as frequent", axis(0), pairs)
    assert found.mean() > 0.8  # the words differ by 2,700 places, and the axis goes with places
    assert abs(cosines("as frequent", axis(5), pairs).mean()) < 0.02
    near = np.array([[3000, 3010], [3400, 3390], [150, 160]])
    assert abs(cosines("as frequent", axis(0), near).mean()) < 0.1


def test_words_of_a_pair_differ_and_stay_near_their_places() -> None:
    pool = np.arange(0, 4000, 2)
    pairs = np.array([[0, 3998], [2000, 2002], [1000, 1000]])
    generator = np.random.default_rng(0)
    for kind in ("random words", "as frequent"):
        found = drawn_places(pairs, pool, kind, 500, generator)
        assert found.shape == (500, 2, 3)
        assert found.min() >= 0
        assert found.max() < len(pool)
        assert (found[:, 0] != found[:, 1]).all()
    home = np.searchsorted(pool, pairs.T)
    assert np.abs(found - home).max() <= 2 * WINDOW + 1
    assert np.abs(found[..., 1] - home[:, 1]).max() <= WINDOW + 1


def test_a_pool_without_two_pairs_is_refused() -> None:
    table = vocabulary(50)
    with pytest.raises(InputError, match=r"a pool of 3 token\(s\) given; a null of word pairs needs 4 or more"):
        null_cosines(axis(0), np.array([[1, 2]]), table, torch.eye(DIM), np.arange(3), kind="Gaussian", draws=5, seed=0)
