"""Losses with one thing changed: gradients against autograd, noise against minibatches, Adam against torch's."""

import numpy as np
import pytest
import torch

from linrep.concepts import ConceptGraph
from linrep.errors import InputError
from linrep.loss import PopulationLoss
from linrep.minibatches import Minibatches, minibatch_gradient
from linrep.perturbed import AdamScaled, Decayed, Noisy, sampling_variance
from linrep.population import Population, complete_population
from linrep.start import Tables

SEEDS = (3, 4)


def world() -> Population:
    return complete_population([ConceptGraph.random(2, seed=seed) for seed in SEEDS])


def tables(population: Population, *, dim: int = 3) -> Tables:
    draw = torch.Generator().manual_seed(0)
    shapes = (len(population.contexts), len(population.tokens))
    f, g = (torch.randn(2, rows, dim, generator=draw, dtype=torch.float64) for rows in shapes)
    return f, g


def exact(population: Population) -> PopulationLoss:
    return PopulationLoss.of(population, dtype=torch.float64, device="cpu")


def test_the_gradient_of_a_decayed_loss_is_that_of_autograd() -> None:
    population = world()
    loss = Decayed(exact(population), 0.3)
    f, g = (table.requires_grad_() for table in tables(population))
    logs = (f @ g.mT).log_softmax(dim=-1)
    wanted = -(torch.from_numpy(population.pair_probability) * logs).sum(dim=(1, 2))
    wanted = wanted + 0.15 * (f.square().sum(dim=(1, 2)) + g.square().sum(dim=(1, 2)))
    slopes = torch.autograd.grad(wanted.sum(), (f, g))
    value, gradient = loss.value_and_gradient((f.detach(), g.detach()))
    assert torch.allclose(value, wanted.detach())
    assert all(torch.allclose(one, other) for one, other in zip(gradient, slopes, strict=True))


def test_the_variance_of_one_pair_is_that_of_drawn_minibatches() -> None:
    """Minibatches of one pair: mean square less squared mean, over 40,000 draws of each replicate."""
    population, draws = world(), 40_000
    both = tables(population)
    _, gradient = exact(population).value_and_gradient(both)
    minibatches = Minibatches(population, seeds=SEEDS, batch=1, device="cpu")
    square = torch.zeros(2, dtype=torch.float64)
    for _ in range(draws):
        contexts, tokens = minibatches.next()
        _, rows, of_unembedding = minibatch_gradient(both, contexts, tokens)
        square += rows.square().sum(dim=(1, 2)) + of_unembedding.square().sum(dim=(1, 2))
    drawn = square / draws - sum(slope.square().sum(dim=(1, 2)) for slope in gradient)
    np.testing.assert_allclose(drawn, sampling_variance(exact(population), both, gradient), rtol=0.03)


def test_noise_has_the_variance_asked_for_and_no_mean() -> None:
    population, draws = world(), 4000
    both = tables(population)
    value, gradient = exact(population).value_and_gradient(both)
    noisy = Noisy(exact(population), batch=5, seeds=SEEDS)
    found = [noisy.value_and_gradient(both) for _ in range(draws)]
    assert all(torch.equal(each, value) for each, _ in found)
    apart = torch.stack(
        [torch.cat([s - t for s, t in zip(slopes, gradient, strict=True)], dim=1) for _, slopes in found]
    )
    total = apart.square().sum(dim=(2, 3)).mean(dim=0)
    np.testing.assert_allclose(total, sampling_variance(exact(population), both, gradient) / 5, rtol=0.03)
    error = apart.std(dim=0) / draws**0.5
    assert float((apart.mean(dim=0) / error).abs().max()) < 4.5


def test_noise_like_minibatches_has_their_covariance() -> None:
    """Along 30 directions of both tables: the variance of 4,000 draws against a sum over all pairs."""
    population, draws = world(), 4000
    both = tables(population)
    _, gradient = exact(population).value_and_gradient(both)
    noisy = Noisy(exact(population), batch=5, seeds=SEEDS, shape="covariance")
    mean = torch.cat(gradient, dim=1).flatten(1)
    drawn = torch.stack([torch.cat(noisy.value_and_gradient(both)[1], dim=1).flatten(1) - mean for _ in range(draws)])
    pair, rng = torch.from_numpy(population.pair_probability), torch.Generator().manual_seed(1)
    directions = torch.randn(mean.shape[1], 30, generator=rng, dtype=torch.float64)
    predicted = (both[0] @ both[1].mT).softmax(dim=-1)
    square = torch.zeros(2, 30, dtype=torch.float64)
    for d in range(pair.shape[1]):
        for c in range(pair.shape[2]):
            error = torch.zeros_like(pair)
            error[:, d] = predicted[:, d]
            error[:, d, c] -= 1
            single = torch.cat([error @ both[1], error.mT @ both[0]], dim=1).flatten(1)
            square += pair[:, d, c, None] * (single @ directions).square()
    wanted = (square - (mean @ directions).square()) / 5
    np.testing.assert_allclose((drawn @ directions).var(dim=0), wanted, rtol=0.12)
    assert float(((drawn @ directions).mean(dim=0) / (wanted / draws).sqrt()).abs().max()) < 4.5


def test_noise_in_one_table_leaves_the_other_alone() -> None:
    population = world()
    both = tables(population)
    _, gradient = exact(population).value_and_gradient(both)
    for only, still in (("F", 1), ("G", 0)):
        found = Noisy(exact(population), batch=5, seeds=SEEDS, only=only).value_and_gradient(both)[1]
        assert torch.equal(found[still], gradient[still])
        assert not torch.equal(found[1 - still], gradient[1 - still])


def test_the_noise_of_a_replicate_does_not_depend_on_the_others() -> None:
    population = world()
    both = tables(population)
    together = Noisy(exact(population), batch=5, seeds=SEEDS).value_and_gradient(both)[1]
    alone = complete_population([ConceptGraph.random(2, seed=SEEDS[1])])
    second = (both[0][1:], both[1][1:])
    single = Noisy(exact(alone), batch=5, seeds=SEEDS[1:]).value_and_gradient(second)[1]
    assert all(torch.allclose(one[1:], other) for one, other in zip(together, single, strict=True))


def test_bad_amounts_are_refused() -> None:
    for decay in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match=r"decay is .*; it must be a positive number"):
            Decayed(exact(world()), decay)
    with pytest.raises(InputError, match="batch is 0; it must be 1 or more"):
        Noisy(exact(world()), batch=0, seeds=SEEDS)


def test_descending_adams_step_is_adam_on_the_exact_loss() -> None:
    population = world()
    loss, scaled = exact(population), AdamScaled(exact(population))
    mine = tuple(table.clone() for table in tables(population))
    theirs = [table.clone().requires_grad_() for table in mine]
    adam = torch.optim.Adam(theirs, lr=0.05)
    for _ in range(40):
        _, slopes = loss.value_and_gradient((theirs[0].detach(), theirs[1].detach()))
        theirs[0].grad, theirs[1].grad = slopes
        adam.step()
        value, step = scaled.value_and_gradient((mine[0], mine[1]))
        assert torch.equal(value, loss.value((mine[0], mine[1])))
        for table, part in zip(mine, step, strict=True):
            table.sub_(part, alpha=0.05)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=0, atol=1e-12)
