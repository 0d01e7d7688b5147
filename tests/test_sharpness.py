"""Sharpness: the Hessian against differences of the gradient."""

import numpy as np
import pytest
import torch

from linrep.concepts import ConceptGraph
from linrep.errors import InputError
from linrep.loss import PopulationLoss
from linrep.population import complete_population
from linrep.sharpness import hessian, sharpness
from linrep.start import Tables

SEEDS = (3, 4)


def world() -> tuple[PopulationLoss, Tables]:
    population = complete_population([ConceptGraph.random(2, seed=seed) for seed in SEEDS])
    draw = torch.Generator().manual_seed(0)
    f, g = (torch.randn(2, rows, 3, generator=draw, dtype=torch.float64) for rows in (9, 4))
    return PopulationLoss.of(population, dtype=torch.float64, device="cpu"), (f, g)


def along(loss: PopulationLoss, tables: Tables, direction: torch.Tensor, by: float) -> torch.Tensor:
    """The gradient at tables moved along a direction, as one vector for each replicate."""
    moved = torch.cat(tables, dim=1) + by * direction
    return torch.cat(loss.value_and_gradient((moved[:, :9], moved[:, 9:]))[1], dim=1)


def test_the_hessian_is_what_differences_of_the_gradient_say() -> None:
    loss, tables = world()
    found = hessian(loss, tables)
    assert found.shape == (2, 39, 39)
    for entry in range(39):
        direction = torch.zeros(39, dtype=torch.float64)
        direction[entry] = 1
        direction = direction.view(1, 13, 3)
        change = (along(loss, tables, direction, 1e-5) - along(loss, tables, direction, -1e-5)) / 2e-5
        torch.testing.assert_close(found[:, entry], change.flatten(start_dim=1), rtol=0, atol=1e-8)


def test_sharpness_is_the_largest_eigenvalue_and_not_the_largest_in_size() -> None:
    loss, tables = world()
    values = np.linalg.eigvalsh(hessian(loss, tables).numpy())
    np.testing.assert_allclose(sharpness(loss, tables), values.max(axis=1), rtol=1e-10)
    assert (values.min(axis=1) < 0).all()


def test_large_tables_are_refused() -> None:
    loss, (f, g) = world()
    wide = (f.new_zeros(2, 9, 200), g.new_zeros(2, 4, 200))
    with pytest.raises(InputError, match="F and G have 2,600 entries; sharpness takes at most 2,000"):
        sharpness(loss, wide)
