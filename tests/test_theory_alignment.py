"""Laws of Theorems 12 and 5/14 and of Proposition 11, on starts and seeds that the chapters do not use."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from linrep.concepts import ConceptGraph
from linrep.errors import DivergenceError, InputError
from linrep.experiments import alignment, closeness, generic, joint
from linrep.experiments.alignment import settles
from linrep.experiments.joint import DEGENERATE, broken_starts, orthogonal_batch, recursion_gap
from linrep.population import complete_population
from linrep.theory.alignment import (
    cosine_of_ratio,
    descend_pair,
    largest_step,
    rate_constant,
    ratio_path,
    start_ratio,
)
from linrep.theory.closeness import concept_products, errors, lower_bound, predictions
from linrep.theory.joint import (
    as_pair,
    deviations,
    joint_descent,
    kkt_residuals,
    orthogonal_start,
    smallest_cosine_of_all,
    smallest_cosines,
)


def gaussian(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def torch_pair_step(u: np.ndarray, v: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """One step of descent on exp(−u·v) by autograd."""
    first, second = (torch.tensor(w, requires_grad=True) for w in (u, v))
    torch.exp(-first @ second).backward()
    assert first.grad is not None
    assert second.grad is not None
    return u - step * first.grad.numpy(), v - step * second.grad.numpy()


def torch_joint_loss(points: torch.Tensor, classifiers: torch.Tensor) -> torch.Tensor:
    return torch.exp(-classifiers @ points.T).sum()


# Theorem 12


def test_descent_of_a_pair_is_that_of_autograd() -> None:
    u, v = 0.7 * gaussian(2, 5, seed=1000)
    path = descend_pair(u, v, step=np.array(0.3), steps=6)
    for moment in range(7):
        assert path.log_loss[moment] == pytest.approx(-u @ v, abs=1e-12)
        assert path.cosine[moment] == pytest.approx(u @ v / np.linalg.norm(u) / np.linalg.norm(v), abs=1e-12)
        assert path.length[moment] == pytest.approx(min(np.linalg.norm(u), np.linalg.norm(v)), abs=1e-12)
        u, v = torch_pair_step(u, v, 0.3)


@settings(max_examples=60, deadline=None)
@given(st.integers(1000, 10**6), st.integers(2, 9), st.floats(0.01, 100), st.booleans())
def test_cosine_rises_at_any_step_and_loss_falls_iff_the_bound_holds(
    seed: int, dim: int, multiple: float, opposed: bool
) -> None:
    u, v = gaussian(2, dim, seed=seed)
    if opposed:  # near v = −u, where the bound on the step is at its tightest
        v = -u + 0.4 * v
    step = multiple * np.exp(u @ v)
    path = descend_pair(u, v, step=np.array(step), steps=120)
    # Cosines carry some 1e-16 each; the loss may rise by the book's 1e-9.
    assert (np.diff(path.cosine) >= -1e-12).all()
    if abs(step / largest_step(u, v) - 1) > 1e-9:
        assert (np.diff(path.log_loss) <= 1e-9).all() == bool(step < largest_step(u, v))
    if not path.finite:
        assert path.cosine[-1] < 0
    ratio, sine = start_ratio(u, v)
    formula = cosine_of_ratio(ratio_path(ratio, path.rate), np.broadcast_to(sine, path.cosine.shape))
    # The product of 120 factors, and a root of a difference: rounding is far below 1e-9 off r = 1.
    np.testing.assert_allclose(formula, path.cosine, rtol=0, atol=1e-9)


def test_the_bound_on_the_step_is_two_over_the_loss_at_equal_lengths_and_none_for_a_positive_product() -> None:
    u = np.array([[1.0, 0.5], [1.0, 0.5], [2.0, 0.0]])
    v = np.array([[-1.0, 0.5], [1.0, -1.0], [-1.0, 0.1]])
    loss = np.exp(-(u * v).sum(axis=1))
    bound = largest_step(u, v) * loss
    assert bound[0] == pytest.approx((1.25 + 1.25) / 0.75)
    assert bound[1] == np.inf
    assert (bound >= 2).all()
    assert largest_step(np.array([1.0, 0.01]), np.array([-1.0, 0.01])) * math.exp(0.9999) == pytest.approx(2, abs=1e-3)


def test_flow_lines_keep_the_rate_constant() -> None:
    """Against scipy's integrator: along the flow 1 − cos tends to K/(ln L)², and K itself does not change."""
    u, v = gaussian(2, 4, seed=1003)

    def flow(_: float, state: np.ndarray) -> np.ndarray:  # with time scaled by the loss: the same curve
        return np.concatenate([state[4:], state[:4]])

    end = solve_ivp(flow, (0, 6), np.concatenate([u, v]), rtol=1e-10, atol=1e-12).y[:, -1]
    assert rate_constant(end[:4], end[4:]) == pytest.approx(float(rate_constant(u, v)), rel=1e-4)
    gap = 1 - end[:4] @ end[4:] / np.linalg.norm(end[:4]) / np.linalg.norm(end[4:])
    # The next term is smaller by a factor r, here about e^-24.
    assert gap == pytest.approx(float(rate_constant(u, v)) / (end[:4] @ end[4:]) ** 2, rel=1e-3)


def test_degenerate_pairs_are_refused_by_name() -> None:
    u = np.array([[1.0, 2.0], [1.0, 1.0]])
    with pytest.raises(InputError, match=r"u \+ v of start \(1,\) is zero"):
        start_ratio(u, np.array([[1.0, 0.0], [-1.0, -1.0]]))
    with pytest.raises(InputError, match=r"u \+ v of start \(0,\) is zero"):
        largest_step(u, -u)
    with pytest.raises(InputError, match=r"u or v of start \(1,\) is zero at step 0"):
        descend_pair(u, np.array([[1.0, 0.0], [0.0, 0.0]]), step=np.ones(2), steps=1)
    with pytest.raises(InputError, match=r"zero at step 1"):
        descend_pair(np.array([[2.0]]), np.array([[-1.0]]), step=np.array([2 * math.exp(-2.0)]), steps=2)
    with pytest.raises(InputError, match="r = 1 and sin = 0"):
        cosine_of_ratio(np.array([1.0]), np.array([0.0]))
    with pytest.raises(InputError, match="steps is 0"):
        descend_pair(u, u, step=np.ones(2), steps=0)
    with pytest.raises(InputError, match=r"smallest step is -1"):
        descend_pair(u, u, step=np.array([1.0, -1.0]), steps=1)


def test_random_starts_cover_both_signs_and_excluded_starts_never_align() -> None:
    u, v = alignment.random_pairs(200, seed=1004)
    negative = (u * v).sum(axis=1) < 0
    assert not negative[::2].any()
    assert negative[1::2].all()
    ends = alignment.opposite_starts(starts=50, seed=1005)
    assert (ends["cosine"] < -0.999).all()
    np.testing.assert_allclose(ends["loss"], 1, atol=1e-9)


# Theorem 5/14


@pytest.mark.parametrize("rates", [(1.0, 1.0), (1.0, 2.0), (0.0, 1.0)])
def test_joint_descent_is_that_of_autograd(rates: tuple[float, float]) -> None:
    points, classifiers = 0.5 * gaussian(2, 3, seed=1010), 0.5 * gaussian(4, 3, seed=1011)
    path = joint_descent(points, classifiers, step=0.05, marks=range(4), rates=rates)
    for place in range(4):
        np.testing.assert_allclose(path.points[place], points, atol=1e-12)
        np.testing.assert_allclose(path.classifiers[place], classifiers, atol=1e-12)
        first, second = (torch.tensor(part, requires_grad=True) for part in (points, classifiers))
        loss = torch_joint_loss(first, second)
        loss.backward()
        assert path.log_loss[place] == pytest.approx(math.log(loss.item()), abs=1e-12)
        assert first.grad is not None
        assert second.grad is not None
        points = points - 0.05 * rates[0] * first.grad.numpy()
        classifiers = classifiers - 0.05 * rates[1] * second.grad.numpy()


def test_training_both_ends_of_each_classifier_is_rate_two() -> None:
    """The paper's Theorem 14 steps the Δ's; training g, of which each Δ is a difference, doubles their step."""
    points = torch.tensor(0.4 * gaussian(2, 3, seed=1012), requires_grad=True)
    ends = torch.tensor(0.4 * gaussian(2, 4, 3, seed=1013), requires_grad=True)
    start = points.detach().numpy().copy(), (ends[0] - ends[1]).detach().numpy().copy()
    torch_joint_loss(points, ends[0] - ends[1]).backward()
    assert points.grad is not None
    assert ends.grad is not None
    moved = (ends - 0.01 * ends.grad).detach().numpy()
    path = joint_descent(*start, step=0.01, marks=(1,), rates=(1.0, 2.0))
    np.testing.assert_allclose(path.classifiers[0], moved[0] - moved[1], atol=1e-12)
    np.testing.assert_allclose(path.points[0], (points - 0.01 * points.grad).detach().numpy(), atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(1000, 10**6), st.sampled_from([2, 3, 4, 5, 8]), st.floats(0.05, 30), st.sampled_from([1.0, 2.0]))
def test_an_orthogonal_start_follows_theorem_12_at_any_step(seed: int, count: int, step: float, rate: float) -> None:
    points, classifiers = orthogonal_start(count, count + 3, point_length=0.8, classifier_length=1.3, seed=seed)
    path = joint_descent(points, classifiers, step=step, marks=range(0, 60, 3), rates=(1.0, rate))
    assert path.monotone
    margins = path.classifiers @ path.points.mT
    size = np.maximum(np.abs(margins).max(axis=(1, 2)), 1)
    # Rounding of numbers up to the length of the vectors; 1e-9 is five digits more than it needs.
    assert (np.ptp(margins, axis=(1, 2)) / size).max() < 1e-9
    longest = np.abs(path.classifiers).max()
    for part in deviations(path.points, path.classifiers):
        assert np.abs(part - part[0]).max() < 1e-10 * longest
    u, v = as_pair(path.points, path.classifiers, rates=(1.0, rate))
    product = (u * v).sum(axis=-1)
    np.testing.assert_allclose(product, margins.mean(axis=(1, 2)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(path.log_loss, math.log(2 * count) - product, rtol=1e-9, atol=1e-9)


def test_the_pair_of_a_plain_run_is_theorem_12s_and_that_of_a_broken_start_is_not() -> None:
    starts = orthogonal_batch(4, seeds=[1014, 1015])
    assert recursion_gap(joint_descent(*starts, step=0.4, marks=range(0, 200, 20)), 0.4).max() < 1e-10
    broken = np.stack([starts[0][:, 0], 2 * starts[0][:, 1]], axis=1), starts[1]
    assert recursion_gap(joint_descent(*broken, step=0.4, marks=range(0, 200, 20)), 0.4).min() > 1e-3


def test_cosines_of_an_orthogonal_start_are_those_of_the_closed_form_and_tend_to_one() -> None:
    count, length = 6, 0.6
    start = orthogonal_start(count, 9, classifier_length=length, seed=1016)
    path = joint_descent(*start, step=1.0, marks=(0, 10, 100, 3000), scaled=True)
    total = (path.classifiers.sum(axis=1) ** 2).sum(axis=-1) / count**2
    closed = 1 - length**2 / (total + length**2 * (1 - 1 / count))
    within, matched = smallest_cosines(path.points, path.classifiers).T
    np.testing.assert_allclose(within, closed, atol=1e-9)
    assert (np.diff(within) > 0).all()
    assert within[-1] > 0.98
    assert matched[-1] > 0.99


def test_scaled_steps_walk_the_plain_curve() -> None:
    """Both are Euler steps of one flow: at the same loss the vectors are the same, up to terms of the step size.

    So half of both steps about halves the distance.
    """
    points, classifiers = 0.6 * gaussian(2, 3, seed=1017), 0.6 * gaussian(4, 3, seed=1018)
    apart = []
    for step in (8e-3, 4e-3):
        plain = joint_descent(points, classifiers, step=step, marks=(round(8 / step),))
        scaled = joint_descent(points, classifiers, step=4 * step, marks=range(0, round(100 / step / 4)), scaled=True)
        place = int(np.searchsorted(-scaled.log_loss, -plain.log_loss[0]))
        share = (plain.log_loss[0] - scaled.log_loss[place - 1]) / np.diff(scaled.log_loss[place - 1 : place + 1])[0]
        at = scaled.classifiers[place - 1] + share * (scaled.classifiers[place] - scaled.classifiers[place - 1])
        apart.append(float(np.abs(at - plain.classifiers[0]).max()))
    assert apart[0] < 0.1
    assert apart[1] == pytest.approx(apart[0] / 2, rel=0.2)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_generic_starts_align_with_the_predicted_lengths(dim: int) -> None:
    """The limit is the only KKT point up to rotation: all cosines 1 and |Δ|/|x| = sqrt(2/n), here with n = 3."""
    points, classifiers = (
        np.stack([gaussian(rows, dim, seed=1020 + 2 * case + rows) for case in range(6)]) for rows in (2, 3)
    )
    path = joint_descent(points, classifiers, step=1.0, marks=(0, 300, 3000), scaled=True)
    assert path.monotone.all()
    assert (path.log_loss[-1] < -300).all()
    assert smallest_cosine_of_all(path.points[-1], path.classifiers[-1]).min() > 0.95
    ratio = (
        np.linalg.norm(path.classifiers[-1], axis=-1)[:, :, None] / np.linalg.norm(path.points[-1], axis=-1)[:, None]
    )
    np.testing.assert_allclose(ratio, math.sqrt(2 / 3), rtol=0.03)
    early, late = (kkt_residuals(path.points[place], path.classifiers[place]) for place in (1, 2))
    assert (late.stationarity < early.stationarity).all()
    assert (late.stationarity < 0.2).all()


def test_the_margin_problem_has_the_aligned_point_as_its_solution() -> None:
    """Against scipy's SLSQP from many starts: the least ½|θ|² is that of Δ = z/w, x = w z with w⁴ = n/2."""
    count, dim = 3, 2
    shape = (2 + count, dim)

    def margins(theta: np.ndarray) -> np.ndarray:
        vectors = theta.reshape(shape)
        return (vectors[2:] @ vectors[:2].T).ravel() - 1

    found = []
    for seed in range(1030, 1038):
        result = minimize(
            lambda theta: 0.5 * theta @ theta,
            gaussian(*shape, seed=seed).ravel(),
            jac=lambda theta: theta,
            constraints={"type": "ineq", "fun": margins},
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-14},
        )
        if result.success:
            vectors = result.x.reshape(shape)
            found.append((result.fun, float(smallest_cosine_of_all(vectors[:2], vectors[2:]))))
    assert len(found) >= 4
    width = (count / 2) ** 0.25
    for value, cosine in found:  # every point that the solver ends at is a KKT point, and there is only this one
        assert value == pytest.approx(0.5 * (count / width**2 + 2 * width**2), rel=1e-6)
        assert cosine > 1 - 1e-6


def test_kkt_residuals_vanish_at_the_solution_and_only_there() -> None:
    axis = np.array([0.6, 0.8, 0.0])
    width = (4 / 2) ** 0.25
    points, classifiers = np.tile(width * axis, (2, 1)), np.tile(axis / width, (4, 1))
    solved = kkt_residuals(7 * points, 7 * classifiers)
    assert solved.stationarity < 1e-12
    assert solved.complementarity < 1e-12
    assert kkt_residuals(points, 1.5 * classifiers).stationarity > 0.1
    other = kkt_residuals(points * np.array([[1.0], [1.3]]), classifiers)
    assert other.stationarity > 0.05
    assert other.complementarity > 0.01


def test_every_critical_point_is_a_strict_saddle() -> None:
    rng = np.random.default_rng(1040)
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    centred = rng.standard_normal((4, 2))
    centred -= centred.mean(axis=0)
    for scale, inner in itertools.product((0.0, 0.4, 2.0), (0.0, 1.0)):
        point = scale * axes[0]
        theta = torch.tensor(np.vstack([point, -point, inner * centred @ axes[1:]]))

        def loss(flat: torch.Tensor) -> torch.Tensor:
            vectors = flat.reshape(6, 3)
            return torch_joint_loss(vectors[:2], vectors[2:])

        flat = theta.flatten()
        assert loss(flat).item() == pytest.approx(8)
        assert torch.autograd.functional.jacobian(loss, flat).abs().max() < 1e-12
        assert torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat))[0] < -0.1


def test_the_degenerate_start_goes_to_a_saddle() -> None:
    points, classifiers = broken_starts(classifiers=4, seed=1041)[DEGENERATE]
    path = joint_descent(points, classifiers, step=1.0, marks=(300,), scaled=True)
    assert path.log_loss[0] == pytest.approx(math.log(8), abs=1e-6)
    assert np.abs(path.classifiers[0].sum(axis=0)).max() < 1e-3
    assert smallest_cosines(path.points[0], path.classifiers[0]).min() < 0


def test_broken_starts_break_what_they_say() -> None:
    starts = broken_starts(classifiers=4, seed=1042)

    def kept(points: np.ndarray, classifiers: np.ndarray) -> set[str]:
        inner = classifiers @ classifiers.T
        pair = points @ points.T
        laws = {
            "products": np.abs(classifiers @ points.T).max() < 1e-12,
            "angles": np.abs(inner - np.diag(np.diag(inner))).max() < 1e-12,
            "lengths": np.ptp(np.diag(inner)) < 1e-12,
            "angle": abs(pair[0, 1]) < 1e-12,
            "pair": abs(pair[0, 0] - pair[1, 1]) < 1e-12,
        }
        return {name for name, holds in laws.items() if not holds}

    broken = [kept(*start) for start in starts.values()]
    assert broken == [set(), {"products"}, {"angles"}, {"lengths"}, {"angle"}, {"pair"}, {"products"}]


def test_degenerate_joint_input_is_refused_by_name() -> None:
    points, classifiers = gaussian(2, 3, seed=1043), gaussian(4, 3, seed=1044)
    with pytest.raises(InputError, match="dim is 5; 6 mutually orthogonal vectors"):
        orthogonal_start(4, 5, seed=0)
    with pytest.raises(InputError, match=r"lengths are 0\.0 and 1\.0"):
        orthogonal_start(4, 6, point_length=0.0, seed=0)
    with pytest.raises(InputError, match=r"f1 − f0 \(0,\) is zero"):
        smallest_cosines(np.stack([points[0], -points[0]]), classifiers)
    with pytest.raises(InputError, match=r"classifier \(1,\) is zero"):
        smallest_cosine_of_all(points, classifiers * np.array([[1.0], [0], [1], [1]]))
    with pytest.raises(InputError, match=r"1 classifier\(s\) given"):
        smallest_cosines(points, classifiers[:1])
    with pytest.raises(InputError, match=r"smallest margin is -"):
        kkt_residuals(points, -points)
    with pytest.raises(InputError, match="marks are"):
        joint_descent(points, classifiers, step=1.0, marks=(3, 1))
    with pytest.raises(InputError, match="the step is 0"):
        joint_descent(points, classifiers, step=0.0, marks=(1,))
    with pytest.raises(DivergenceError, match=r"problem \(\) diverged"):
        joint_descent(5 * points, 5 * classifiers, step=10.0, marks=(50,))
    assert joint_descent(points, classifiers, step=1.0, marks=(0,)).log_loss[0] == pytest.approx(
        math.log(np.exp(-classifiers @ points.T).sum())
    )


# Proposition 11


def random_tables(concepts: int, dim: int, seed: int, scale: float) -> tuple[object, tuple[torch.Tensor, torch.Tensor]]:
    graphs = [ConceptGraph.random(concepts, seed=seed + part) for part in range(2)]
    population = complete_population(graphs)
    tables = (
        torch.from_numpy(scale * gaussian(2, 3**concepts, dim, seed=seed)),
        torch.from_numpy(scale * gaussian(2, 2**concepts, dim, seed=seed + 1)),
    )
    return population, tables


@settings(max_examples=15, deadline=None)
@given(st.integers(1000, 10**6), st.integers(2, 3), st.floats(0.01, 3))
def test_the_bound_holds_for_any_tables_and_is_an_identity_in_the_four_probabilities(
    seed: int, concepts: int, scale: float
) -> None:
    """Against brute force: every entry, from the four probabilities by name."""
    population, tables = random_tables(concepts, 2, seed, scale)
    p_hat, p = predictions(*tables), population.target
    found = errors(population, *tables)
    np.testing.assert_allclose(found, np.abs(torch.softmax(tables[0] @ tables[1].mT, -1).numpy() - p), atol=1e-12)
    for concept in range(concepts):
        wide = concept_products(population, *tables, concept)
        sharp = concept_products(population, *tables, concept, scope="four entries")
        for (row, (d1, d0)), (column, (c1, c0)) in itertools.product(
            enumerate(population.context_pairs[concept]), enumerate(population.token_pairs[concept])
        ):
            known = population.contexts[d1]
            agrees = all(known[j] in (-1, population.tokens[c1][j]) for j in range(concepts) if j != concept)
            assert wide.agrees[row, column] == agrees
            for replicate in range(2):
                top = p_hat[replicate, d0, c1] * p_hat[replicate, d1, c0]
                low = p_hat[replicate, d1, c1] * p_hat[replicate, d0, c0]
                inner = wide.inner[replicate, row, column]
                assert inner == pytest.approx(-math.log(top / low), abs=1e-9)
                for part, epsilon in (
                    (wide, found[replicate].max()),
                    (sharp, max(found[replicate, d, c] for d in (d1, d0) for c in (c1, c0))),
                ):
                    p1, p0 = p[replicate, d1, c1], p[replicate, d0, c0]
                    bounded = agrees and epsilon < min(p1, p0)
                    assert part.bounded[replicate, row, column] == bounded
                    if bounded:
                        bound = math.log((p1 - epsilon) * (p0 - epsilon) / epsilon**2)
                        assert part.lower[replicate, row, column] == pytest.approx(bound, abs=1e-9)
                        assert inner >= bound - 1e-9
        assert (wide.slack >= -1e-9).all()


def test_the_bound_is_positive_iff_the_harmonic_condition_holds_and_is_attained() -> None:
    p1, p0, epsilon = (np.random.default_rng(1050).uniform(low, 1, 500) for low in (0.1, 0.1, 0.01))
    lower = lower_bound(p1, p0, epsilon)
    np.testing.assert_array_equal(lower > 0, 1 / epsilon > 1 / p1 + 1 / p0)
    np.testing.assert_array_equal(np.isfinite(lower), epsilon < np.minimum(p1, p0))
    assert not np.isnan(lower).any()
    # Attained: one fair concept, p̂ off by ε at both contexts where it is known.
    population = complete_population([ConceptGraph.from_tables([[]], [0.5])])
    logit = math.log(0.9 / 0.1)
    embedding = torch.tensor([[[0.0], [-logit / 2], [logit / 2]]], dtype=torch.float64)
    unembedding = torch.tensor([[[-1.0], [1.0]]], dtype=torch.float64)
    found = concept_products(population, embedding, unembedding, 0)
    assert found.slack == pytest.approx(0, abs=1e-12)
    assert found.inner[0, 0, 0] == pytest.approx(2 * logit)


def test_an_error_that_rounds_to_zero_still_has_a_finite_bound() -> None:
    assert np.isfinite(lower_bound(np.array([1.0]), np.array([0.5]), np.array([0.0]))).all()
    with pytest.raises(InputError, match=r"smallest ε is -0\.1"):
        lower_bound(np.array([1.0]), np.array([0.5]), np.array([-0.1]))
    with pytest.raises(InputError, match="smallest ε is nan"):
        lower_bound(np.array([1.0]), np.array([0.5]), np.array([np.nan]))


@pytest.mark.parametrize("floor", [5.0, 10.0])
def test_the_counterexample_is_close_to_the_truth_and_has_the_product_stated(floor: float) -> None:
    graph = ConceptGraph.random(3, seed=1060)
    population, tables = closeness.counterexample(floor=floor, graph=graph)
    assert tables[0].shape[-1] <= 8
    # An impossible token has probability at most e^-floor, over a partition function of 1; there are at most 7.
    assert errors(population, *tables).max() < 8 * math.exp(-floor)
    found = concept_products(population, *tables, 0)
    assert found.inner[:, ~found.agrees].min() == pytest.approx(-4 * floor, rel=1e-6)
    assert (found.slack >= -1e-9).all()


def test_a_concept_that_is_not_there_is_refused() -> None:
    population, tables = random_tables(2, 2, 1061, 1.0)
    with pytest.raises(InputError, match="concept is 2; allowed are 0 to 1"):
        concept_products(population, *tables, 2)


# The experiments' own rules


def test_claims_fail_when_the_numbers_do() -> None:
    scope = pd.DataFrame(
        {"band": ["0.05 to 1 (paper)"] * 2, "rises": True, "falls": [True, False], "allowed": True,
         "blown": False, "formula": 0.0}
    )  # fmt: skip
    opposite = pd.DataFrame({"cosine": [-1.0]})
    assert alignment._pair_claim(scope, opposite).verdict == "different"
    assert alignment._step_claim(scope.assign(allowed=[True, False])).verdict == "new"
    assert alignment._step_claim(scope.assign(allowed=[True, False], falls=True)).verdict == "different"
    training = pd.DataFrame({"slack": [0.5], "sharp": [-0.1], "other": [-1.0]})
    example = pd.DataFrame({"product with contradicting token": [1.0], "least slack, agreeing tokens": [1.0]})
    assert [claim.verdict for claim in closeness.claims(training, example)] == ["different", "reproduced"]


def test_values_at_a_depth_lie_between_the_marks_around_it() -> None:
    rows = pd.DataFrame({"k": 2, "seed": 0, "depth": [-1.0, 1.0, 4.0, 16.0], "gap": [3.0, 1.0, 0.25, 0.0625]})
    found = generic.at_depth(rows, ["gap"], [2.0, 8.0, 32.0])
    assert found["depth"].tolist() == [2.0, 8.0]
    np.testing.assert_allclose(found["gap"], [0.5, 0.125])


def test_generic_starts_in_a_small_space_stay_in_it() -> None:
    names, points, classifiers = generic.generic_starts([1, 3], seeds=range(1070, 1072))
    assert names["k"].tolist() == [1, 1, 3, 3]
    path = joint_descent(points, classifiers, step=1.0, marks=(50,), scaled=True)
    assert np.abs(path.classifiers[0][:2, :, 1:]).max() == 0
    alone = joint_descent(points[:2, :, :1], classifiers[:2, :, :1], step=1.0, marks=(50,), scaled=True)
    np.testing.assert_allclose(path.classifiers[0][:2, :, :1], alone.classifiers[0], atol=1e-9)
    runs = joint.orthogonal_runs([2], seeds=range(1073, 1075), multiples=(0.7,))
    assert runs["falls"].all()
    assert runs["recursion"].max() < 1e-9


def test_a_loss_settles_if_it_never_rises_after_a_fall() -> None:
    falls, rises_first, rises_later = [3.0, 2.0, 1.0, 0.0], [1.0, 2.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]
    assert settles(np.array([falls, rises_first, rises_later]).T).tolist() == [True, True, False]


def test_the_table_of_fixed_embeddings_holds_the_ends_of_both_runs() -> None:
    trained = generic.generic_runs([2, 3], seeds=range(1300, 1303), steps=60)
    fixed = generic.generic_runs([2, 3], seeds=range(1300, 1303), steps=60, train_points=False)
    table = generic.fixed_table(trained, fixed)
    ends = [smallest_cosines(run.path.points[-1], run.path.classifiers[-1])[:, 1] for run in (trained, fixed)]
    for number, dim in enumerate((2, 3)):
        mine = [end[3 * number : 3 * number + 3] for end in ends]  # three seeds of each k, one after the other
        expected = [mine[0].min(), mine[1].min(), np.median(mine[1])]
        np.testing.assert_allclose(table.loc[dim].to_numpy(), expected)
    np.testing.assert_array_equal(fixed.path.points[0], fixed.path.points[-1])
