"""The growing cubes of the front page: what they show, as numbers; and their HTML."""

import json
import re

import numpy as np
import pytest
import torch

from linrep.experiments.growth import WORDS, axes, growth
from linrep.figures.simulation import growth_still
from linrep.widgets import growing_cubes

TOKENS = np.array([[c >> 2 & 1, c >> 1 & 1, c & 1] for c in range(8)])


def test_axes_are_orthonormal_and_give_back_a_box() -> None:
    draw = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64, generator=draw)).Q[:3]
    sides = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    table = (torch.from_numpy(2.0 * TOKENS - 1) * sides) @ turn + 7
    found = axes(table, TOKENS)
    assert torch.allclose(found.T @ found, torch.eye(3, dtype=torch.float64), atol=1e-12)
    seen = (table - table.mean(dim=0)) @ found
    assert torch.allclose(seen, torch.from_numpy(2.0 * TOKENS - 1) * sides, atol=1e-9)


def test_a_term_of_two_concepts_bends_the_box() -> None:
    """A weight at the pair of concepts 2 and 3, in a dimension of its own, shows on the axis of concept 1."""
    signs = torch.from_numpy(2.0 * TOKENS - 1)
    pair = 0.5 * (signs[:, 1] * signs[:, 2])[:, None]
    table = torch.cat([signs, pair, torch.zeros(8, 1, dtype=torch.float64)], dim=1)
    seen = table @ axes(table, TOKENS)
    assert seen[:, 0].abs().max() - seen[:, 0].abs().min() > 0.4  # (1 ± 1/4) / √(5/4)
    assert torch.allclose(seen[:, 1:], signs[:, 1:], atol=1e-9)


@pytest.mark.parametrize(("dim", "low", "high"), [(3, 0.99, 1.0), (8, 0.4, 0.7)])
def test_both_worlds_fit_and_only_the_narrow_one_is_linear(dim: int, low: float, high: float) -> None:
    found = growth(dim)
    assert found.kl[-1] < 0.01 < found.kl[0]
    assert low <= found.linearity[-1] <= high
    assert (np.diff(found.kl) < 0).all()
    assert found.clocks[0] == 0
    assert found.clocks[-1] == 1000
    assert np.linalg.norm(found.points[-1], axis=-1).max() == pytest.approx(1)
    assert np.linalg.norm(found.points[0], axis=-1).max() < 0.2
    assert sorted(found.names) == sorted(WORDS.values())
    female = found.pairs[0].tolist()
    assert {(found.names[one], found.names[zero]) for one, zero in female} >= {("woman", "man"), ("queens", "kings")}


def test_the_html_carries_the_numbers_and_escapes_words() -> None:
    courses = {"<b>3": growth(3, steps=20, frames=4), "8 & more": growth(8, steps=20, frames=4)}
    first = courses["<b>3"]
    still = growth_still(
        {title: each.points[[0, -1]] for title, each in courses.items()}, first.pairs, first.names, [0, 20]
    )
    html = growing_cubes(courses, still=still, alt='a "box"')
    numbers = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert [each["title"] for each in numbers["courses"]] == list(courses)
    assert np.allclose(numbers["courses"][1]["points"], courses["8 & more"].points, atol=5.1e-4)
    assert numbers["clocks"] == first.clocks.tolist()
    assert "<b>" not in html
    assert 'alt="a &quot;box&quot;"' in html
    assert re.search(r'src="data:image/png;base64,[A-Za-z0-9+/=]{1000,}"', html)
