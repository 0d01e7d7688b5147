"""Laws of other losses, their optima and their rates, on worlds (seeds from 1000) that no chapter uses."""

import dataclasses
import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.decomposition import TruncatedSVD

from linrep.concepts import ConceptGraph, all_tokens
from linrep.contexts import all_contexts
from linrep.errors import InputError, LinrepError
from linrep.experiments import loss_optima as optima_of
from linrep.experiments import loss_record, loss_role, loss_runs
from linrep.figures import loss as figures
from linrep.loss import Loss, PopulationLoss
from linrep.pilot import Pace
from linrep.population import Population, complete_population
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.start import Tables, initial_tables
from linrep.theory import loss_optima, one_logit, other_losses
from linrep.theory.explicit import balanced_tables
from linrep.train import TrainConfig, train

SEEDS = st.integers(1000, 10**6)
ROUNDING = 1e-10  # sums of some hundred numbers of size one: 1e-14, with room

LOSSES = {
    "smoothing": lambda population: other_losses.label_smoothing(population, epsilon=0.2),
    "probabilities": other_losses.ProbabilityLoss.of,
    "products": other_losses.ProductLoss.of,
    "no zeros": other_losses.AgreeingLoss.of,
    "zeros only": other_losses.zeros_only,
}


def world(seed: int, concepts: int = 3, count: int = 2) -> Population:
    return complete_population([ConceptGraph.random(concepts, prob=(0.1, 0.9), seed=seed + r) for r in range(count)])


def tables_of(population: Population, seed: int, *, dim: int = 3, scale: float = 1.0) -> Tables:
    shape = len(population.contexts), len(population.tokens)
    return initial_tables(*shape, dim, seeds=range(seed, seed + population.replicates), init_scale=scale)


def by_definition(name: str, population: Population, tables: Tables, place: int) -> float:
    """The loss from the table of the chapter, in loops; shares no code with the package's losses."""
    f, g = (table[place].numpy() for table in tables)
    total = 0.0
    for d, context in enumerate(population.contexts):
        agrees = [all(k in (-1, v) for k, v in zip(context, c, strict=True)) for c in population.tokens]
        p = np.where(agrees, population.joint[place], 0.0)
        weight = p.sum() / 2**population.concepts
        p = p / p.sum()
        z = g @ f[d]
        if name == "products":
            term = ((z - p) ** 2).sum()
        elif name == "probabilities":
            term = ((np.exp(log_softmax(z)) - p) ** 2).sum()
        elif name == "no zeros":
            term = -(p[agrees] * log_softmax(z[agrees])).sum()
        else:
            q = 0.8 * p + 0.2 / len(p) if name == "smoothing" else np.array(agrees) / sum(agrees)
            term = -(q * log_softmax(z)).sum()
        total += weight * term
    return total


# The losses


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_value_is_the_definition_and_the_gradient_is_that_of_autograd(name: str, seed: int) -> None:
    population = world(seed, concepts=2)
    loss, tables = LOSSES[name](population), tables_of(population, seed)
    assert isinstance(loss, Loss)
    value, gradients = loss.value_and_gradient(tables)
    for place in range(2):
        assert float(value[place]) == pytest.approx(by_definition(name, population, tables, place), abs=ROUNDING)
    for number in range(2):
        for _ in range(3):
            way = torch.from_numpy(np.random.default_rng(seed).standard_normal(tables[number].shape))
            step = 1e-5
            ends = [
                loss.value_and_gradient(tuple(t + s * step * way if n == number else t for n, t in enumerate(tables)))[
                    0
                ]
                for s in (1, -1)
            ]
            slope = (ends[0] - ends[1]) / (2 * step)
            expected = (gradients[number] * way).sum(dim=(-2, -1))
            torch.testing.assert_close(slope, expected, rtol=1e-6, atol=1e-7)  # central differences: 1e-10 and rounding


@pytest.mark.parametrize("name", LOSSES)
def test_replicates_do_not_see_each_other_and_float32_agrees(name: str) -> None:
    population = world(1100, count=3)
    tables = tables_of(population, 1100)
    together, gradients = LOSSES[name](population).value_and_gradient(tables)
    alone = dataclasses.replace(population, joint=population.joint[1:2])
    single, gradient = LOSSES[name](alone).value_and_gradient((tables[0][1:2], tables[1][1:2]))
    torch.testing.assert_close(together[1:2], single)
    torch.testing.assert_close(gradients[0][1:2], gradient[0])
    makers = {
        "smoothing": lambda p: other_losses.label_smoothing(p, epsilon=0.2, dtype=torch.float32),
        "zeros only": lambda p: other_losses.zeros_only(p, dtype=torch.float32),
        "probabilities": lambda p: other_losses.ProbabilityLoss.of(p, dtype=torch.float32),
        "products": lambda p: other_losses.ProductLoss.of(p, dtype=torch.float32),
        "no zeros": lambda p: other_losses.AgreeingLoss.of(p, dtype=torch.float32),
    }
    value, _ = makers[name](population).value_and_gradient((tables[0].float(), tables[1].float()))
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), together, rtol=1e-5, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.01, 3))
def test_pull_on_a_zero_is_bounded_by_the_error(seed: int, scale: float) -> None:
    """prop-loss-pull, from finite differences in one logit: G = I makes F the logits."""
    population = world(seed, concepts=2, count=1)
    logits = torch.from_numpy(scale * np.random.default_rng(seed).standard_normal((1, 9, 4)))
    tables = (logits, torch.eye(4, dtype=torch.float64)[None])
    pull = other_losses.ProbabilityLoss.of(population).value_and_gradient(tables)[1][0][0].numpy()
    p_hat = torch.softmax(logits[0], dim=-1).numpy()
    residual = p_hat - population.target[0]
    weights = population.weights[0][:, None]
    formula = 2 * weights * p_hat * (residual - (p_hat * residual).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(pull, formula, atol=ROUNDING)
    assert (np.abs(pull) <= 4 * weights * p_hat * np.abs(residual).max(axis=1, keepdims=True) + 1e-15).all()
    cross = PopulationLoss.of(population, dtype=torch.float64, device="cpu").value_and_gradient(tables)[1][0][0].numpy()
    zero = ~population.consistent
    np.testing.assert_allclose(cross[zero], (weights * p_hat)[zero], atol=ROUNDING)


def test_exercise_2_squared_error_pushes_an_impossible_token_up() -> None:
    p, p_hat = np.array([1.0, 0, 0]), np.array([0.1, 0.8, 0.1])
    r = p_hat - p
    assert (2 * p_hat * (r - p_hat @ r))[2] < 0


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 4))
def test_without_zeros_one_embedding_for_all_contexts_is_optimal(seed: int, dim: int) -> None:
    """prop-loss-zeros (a): the entropy floor, at zero gradient; with zeros the same tables are far from it."""
    population = world(seed, count=1)
    f0 = np.random.default_rng(seed).standard_normal(dim)
    embedding = torch.from_numpy(np.tile(f0, (27, 1)))[None]
    unembedding = torch.from_numpy(np.outer(np.log(population.joint[0]), f0 / (f0 @ f0)))[None]
    value, gradients = other_losses.AgreeingLoss.of(population).value_and_gradient((embedding, unembedding))
    np.testing.assert_allclose(value.numpy(), population.entropy, atol=ROUNDING)
    assert max(float(g.abs().max()) for g in gradients) < 1e-9
    cross = PopulationLoss.of(population, dtype=torch.float64, device="cpu").value((embedding, unembedding))
    assert float(cross) > float(value) + 0.2


def test_zeros_only_sees_the_world_through_the_weights_alone() -> None:
    population = world(1200, count=1)
    loss = other_losses.zeros_only(population)
    fair = complete_population([ConceptGraph.from_tables([[], [], []], [0.5, 0.5, 0.5])])
    np.testing.assert_allclose(loss.pair.numpy(), population.weights[:, :, None] * fair.target, atol=1e-15)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(1e-6, 0.99))
def test_smoothed_target_is_a_distribution_without_zeros(seed: int, epsilon: float) -> None:
    target = world(seed).target
    smoothed = other_losses.smoothed_target(target, epsilon)
    np.testing.assert_allclose(smoothed.sum(axis=-1), 1, atol=1e-12)
    assert smoothed.min() == pytest.approx(epsilon / 8, rel=1e-9)


# A finite optimum


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.floats(0.01, 0.9))
def test_smoothing_has_its_optimum_at_the_logarithm_of_the_smoothed_targets(seed: int, epsilon: float) -> None:
    """prop-loss-finite (a): zero gradient in the logits there; any other logits are worse."""
    population = world(seed, count=1)
    loss = other_losses.label_smoothing(population, epsilon=epsilon)
    logits = loss_optima.smoothed_logits(population.target, epsilon)
    shift = np.random.default_rng(seed).standard_normal((1, 27, 1))
    eye = torch.eye(8, dtype=torch.float64)[None]
    value, gradients = loss.value_and_gradient((torch.from_numpy(logits + shift), eye))
    assert float(gradients[0].abs().max()) < ROUNDING
    other = torch.from_numpy(logits + 0.3 * np.random.default_rng(seed + 1).standard_normal(logits.shape))
    assert float(loss.value_and_gradient((other, eye))[0]) > float(value)


def test_smoothing_bounds_the_logits_as_the_proof_says_and_cross_entropy_does_not() -> None:
    """prop-loss-finite (b): −ln p̂ ≤ L0 2^m/(ε p(d)) along training; |FᵀF|² ≤ |F G0ᵀ|² + |N| |FᵀF|."""
    (batch,) = make_batches(Setting(concepts=2), range(1300, 1304))
    population, epsilon, ends = batch.population, 0.1, {}
    losses = {
        "smoothing": other_losses.label_smoothing(population, epsilon=epsilon),
        "cross-entropy": PopulationLoss.of(population, dtype=torch.float64, device="cpu"),
    }
    for name, loss in losses.items():
        ranges = []
        for steps in (1000, 8000):
            trained = train(population, batch.start, TrainConfig(0.5, steps), seeds=batch.seeds, loss=loss)
            logits = trained.embedding @ trained.unembedding.mT
            ranges.append((logits.amax(-1) - logits.amin(-1)).amax(-1).min())
        ends[name] = float(ranges[1] - ranges[0])
        if name == "smoothing":
            first = loss.value(batch.start).numpy()[:, None]
            bound = first * 4 / (epsilon * population.weights)
            assert (-torch.log_softmax(logits, -1).amin(-1).numpy() <= bound).all()
            f, g = trained.embedding, trained.unembedding
            centred = g - g.mean(dim=1, keepdim=True)
            constant = f.mT @ f - centred.mT @ centred
            left = (f.mT @ f).square().sum((-2, -1))
            right = (f @ centred.mT).square().sum((-2, -1))
            right = right + constant.flatten(1).norm(dim=1) * (f.mT @ f).flatten(1).norm(dim=1)
            assert (left <= right + 1e-9).all()
            torch.testing.assert_close(g.mean(dim=1), batch.start[1].mean(dim=1), rtol=0, atol=1e-9)
    assert ends["cross-entropy"] > 0.5
    assert abs(ends["smoothing"]) < 0.2


@pytest.mark.parametrize("concepts", [2, 3, 4])
def test_closed_cosines_are_those_of_factors_by_brute_force(concepts: int) -> None:
    """thm-loss-smoothing: every pair of steering vectors in a loop, from scikit-learn's singular vectors."""
    pattern = loss_optima.agreement_pattern(concepts)
    rank = 2**concepts - 1
    centred = pattern - pattern.mean(axis=1, keepdims=True)
    svd = TruncatedSVD(rank, algorithm="arpack", random_state=0).fit(centred)
    root = np.sqrt(svd.singular_values_)
    g, f = svd.components_.T * root, svd.transform(centred) / root
    np.testing.assert_allclose(f @ g.T, centred, atol=1e-9)
    vectors = {}
    for name, table, states in (("g", g, all_tokens(concepts)), ("f", f, all_contexts(concepts))):
        place = {tuple(state): row for row, state in enumerate(states.tolist())}
        vectors[name] = [table[place[(1, *s[1:])]] - table[place[(0, *s[1:])]] for s in place if s[0] == 1]

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / math.sqrt(a @ a * (b @ b)))

    closed = loss_optima.agreement_cosines(concepts)
    for name, value in (("g", closed.unembedding), ("f", closed.embedding)):
        count = len(vectors[name])
        total = sum(cosine(a, b) for a, b in product(vectors[name], repeat=2)) - count
        assert value == pytest.approx(total / (count * (count - 1)), abs=1e-9)
    both = [cosine(a, b) for a, b in product(vectors["g"], vectors["f"])]
    assert closed.matched == pytest.approx(np.mean(both), abs=1e-9)


def test_two_concepts_give_two_minus_root_three() -> None:
    assert loss_optima.agreement_cosines(2).unembedding == pytest.approx(2 - math.sqrt(3), abs=1e-12)
    assert loss_optima.agreement_cosines(60).unembedding < 1e-9
    assert loss_optima.agreement_cosines(60).embedding < 1e-9


def test_smoothing_tends_to_the_pattern_in_every_world_at_the_pace_of_the_logarithm() -> None:
    """|U(ε) − limit| times ln(1/ε) stays bounded; the limit is that of thm-loss-smoothing for every world."""
    limit = loss_optima.agreement_cosines(3)
    population = world(1400, count=4)
    off = []
    for epsilon in (1e-20, 1e-40, 1e-80, 1e-160):
        tables = [balanced_tables(loss_optima.smoothed_logits(target, epsilon)) for target in population.target]
        found = optima_of.cosines_of(population, tables)
        expected = [limit.unembedding, limit.embedding, limit.matched, 0.0]
        off.append(np.abs(found[["U", "E", "UE", "between"]].to_numpy() - expected).max())
    ratio = np.array(off[:-1]) / np.array(off[1:])
    assert off[-1] < 0.005
    np.testing.assert_allclose(ratio, 2, atol=0.2)


@pytest.mark.parametrize(("concepts", "epsilon"), [(2, 0.3), (3, 0.05), (4, 1e-5)])
def test_fair_formula_is_that_of_the_factors(concepts: int, epsilon: float) -> None:
    fair = complete_population([ConceptGraph.from_tables([[]] * concepts, [0.5] * concepts)])
    tables = balanced_tables(loss_optima.smoothed_logits(fair.target[0], epsilon))
    found = optima_of.cosines_of(fair, [tables])["U"][0]
    assert loss_optima.fair_smoothed_linearity(concepts, epsilon) == pytest.approx(found, abs=1e-9)
    tables = loss_optima.balanced_factors(fair.target[0], dim=2**concepts)
    found = optima_of.cosines_of(fair, [tables])["U"][0]
    assert loss_optima.fair_product_linearity(concepts) == pytest.approx(found, abs=1e-9)


def test_fair_formula_tends_to_the_pattern() -> None:
    for concepts in (2, 3, 4):
        limit = loss_optima.agreement_cosines(concepts).unembedding
        assert loss_optima.fair_smoothed_linearity(concepts, 1e-300) == pytest.approx(limit, abs=1e-3)


# Products


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 7))
def test_no_tables_of_that_width_do_better_than_the_product_optimum(seed: int, dim: int) -> None:
    """thm-loss-products (a): the loss there is the one stated, the gradient zero, and random ways lead up."""
    population = world(seed, count=1)
    optimum = loss_optima.product_optimum(population.weights[0], population.target[0], dim=dim)
    tables = loss_optima.balanced_factors(optimum.products, dim=dim)
    as_tensors = tuple(torch.from_numpy(table)[None] for table in tables)
    loss = other_losses.ProductLoss.of(population)
    value, gradients = loss.value_and_gradient(as_tensors)
    assert float(value) == pytest.approx(optimum.loss, abs=ROUNDING)
    assert max(float(g.abs().max()) for g in gradients) < ROUNDING
    np.testing.assert_allclose(tables[0].T @ tables[0], tables[1].T @ tables[1], atol=ROUNDING)
    rng = np.random.default_rng(seed)
    moved = tuple(t + 0.1 * torch.from_numpy(rng.standard_normal(t.shape)) for t in as_tensors)
    assert float(loss.value_and_gradient(moved)[0]) > optimum.loss


def test_an_independent_minimiser_finds_the_same_products() -> None:
    population = world(1500, concepts=2, count=1)
    optimum = loss_optima.product_optimum(population.weights[0], population.target[0], dim=2)
    root = np.sqrt(population.weights[0])[:, None]

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        f, g = flat[:18].reshape(9, 2), flat[18:].reshape(4, 2)
        residual = root * (f @ g.T - population.target[0])
        slope = 2 * root * residual
        return float((residual**2).sum()), np.concatenate([(slope @ g).ravel(), (slope.T @ f).ravel()])

    start = np.random.default_rng(1500).standard_normal(26)
    found = minimize(value, start, jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 5000})
    assert found.fun == pytest.approx(optimum.loss, abs=1e-9)
    f, g = found.x[:18].reshape(9, 2), found.x[18:].reshape(4, 2)
    np.testing.assert_allclose(f @ g.T, optimum.products, atol=1e-4)


@pytest.mark.parametrize("concepts", [2, 3, 4])
def test_fair_coins_have_the_singular_values_stated_and_a_linear_optimum_at_m_plus_one(concepts: int) -> None:
    fair = complete_population([ConceptGraph.from_tables([[]] * concepts, [0.5] * concepts)])
    sizes = np.linalg.svd(np.sqrt(fair.weights[0])[:, None] * fair.target[0], compute_uv=False)
    degrees = sorted(sum(c) for c in product((0, 1), repeat=concepts))
    np.testing.assert_allclose(sizes, [2 ** (-(concepts + r) / 2) for r in degrees], atol=1e-12)
    optimum = loss_optima.product_optimum(fair.weights[0], fair.target[0], dim=concepts + 1)
    assert optimum.ratio == pytest.approx(2**-0.5)
    found = optima_of.cosines_of(fair, [loss_optima.balanced_factors(optimum.products, dim=concepts + 1)])
    np.testing.assert_allclose(found[["U", "E", "UE"]], 1, atol=1e-9)
    assert found["between"][0] < 1e-9
    tied = loss_optima.product_optimum(fair.weights[0], fair.target[0], dim=concepts)
    assert tied.ratio == pytest.approx(1)


def test_at_k_equal_m_fair_coins_keep_lines_but_not_right_angles() -> None:
    """thm-loss-products (b), at an optimum chosen by a random unit vector v."""
    m = 3
    v = np.random.default_rng(1600).standard_normal(m)
    v /= np.linalg.norm(v)
    signs = 2.0 * all_tokens(m) - 1
    known = np.where(all_contexts(m) == -1, 0, 2.0 * all_contexts(m) - 1)
    products = (1 + known @ (np.eye(m) - np.outer(v, v)) @ signs.T) / 2**m
    fair = complete_population([ConceptGraph.from_tables([[]] * m, [0.5] * m)])
    least = loss_optima.product_optimum(fair.weights[0], fair.target[0], dim=m).loss
    lost = (fair.weights[0][:, None] * (products - fair.target[0]) ** 2).sum()
    assert lost == pytest.approx(least, abs=1e-12)
    found = optima_of.cosines_of(fair, [loss_optima.balanced_factors(products, dim=m)])
    np.testing.assert_allclose(found[["U", "E", "UE"]], 1, atol=1e-9)
    pairs = [(0, 1), (0, 2), (1, 2)]
    angle = np.mean([abs(v[i] * v[j]) / math.sqrt((1 - v[i] ** 2) * (1 - v[j] ** 2)) for i, j in pairs])
    assert found["between"][0] == pytest.approx(angle, abs=1e-9)
    assert angle > 0.05


def test_training_ends_at_the_singular_value_decomposition() -> None:
    rows = optima_of.product_rows([4], prob=(0.3, 0.7), init_scale=0.01, pace=Pace(1.0, 1500), seeds=range(1700, 1706))
    assert rows["monotone"].all()
    assert rows["excess"].max() < 1e-4
    assert (rows["U"] - rows["U trained"]).abs().max() < 0.01
    assert (rows["E"] - rows["E trained"]).abs().max() < 0.01


# One logit


@pytest.mark.parametrize("kind", ["cross-entropy", "probabilities"])
def test_times_are_those_of_the_flow_of_two_vectors(kind: str) -> None:
    """thm-loss-rate: against scipy's integration of f and g themselves, in three dimensions."""
    rng = np.random.default_rng(1800)
    f, g = rng.standard_normal((2, 3))
    y = f @ g

    def flow(_: float, both: np.ndarray) -> np.ndarray:
        strength = float(one_logit.pull(np.asarray(both[:3] @ both[3:]), kind))
        return strength * np.concatenate([both[3:], both[:3]])

    levels = y + np.array([0.0, 0.7, 2.0, 5.0])
    found = one_logit.times(levels, kind, kappa=float(one_logit.invariant(f, g)))
    solved = solve_ivp(flow, (0, found[-1]), np.concatenate([f, g]), t_eval=found, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose((solved.y[:3] * solved.y[3:]).sum(axis=0), levels, atol=1e-7)


@pytest.mark.parametrize("kind", ["cross-entropy", "probabilities"])
def test_pull_is_minus_the_derivative_of_the_loss(kind: str) -> None:
    def loss(y: np.ndarray) -> np.ndarray:
        return np.log1p(np.exp(-y)) if kind == "cross-entropy" else 2 / (1 + np.exp(y)) ** 2

    y = np.linspace(-5, 8, 40)
    slope = (loss(y + 1e-5) - loss(y - 1e-5)) / 2e-5
    np.testing.assert_allclose(one_logit.pull(y, kind), -slope, atol=1e-9)


def test_slopes_tend_to_one_and_one_half_whatever_the_start() -> None:
    for kappa in (0.01, 30.0):
        table = optima_of.rate_table([20, 80, 320], kappa=kappa)
        for kind, limit in (("cross-entropy", 1.0), ("probabilities", 0.5)):
            away = (table[f"{kind}: slope"] - limit).abs()
            assert away.is_monotonic_decreasing
            assert away.iloc[-1] < 0.01


# The runs


def test_follow_marks_the_clocks_and_sees_the_losses_it_is_told() -> None:
    rows = loss_runs.follow("zeros only", 3, seeds=[1900, 1901], pace=Pace(1.0, 100), clocks=[10, 100])
    assert rows["clock"].tolist() == [10, 10, 100, 100]
    assert rows["monotone"].all()
    assert (rows.loc[rows.clock == 100, "leak"].to_numpy() < rows.loc[rows.clock == 10, "leak"].to_numpy()).all()
    assert loss_runs.marks_to(1000)[-1] == 1000
    assert loss_runs.step_effect(rows, rows.assign(U=rows["U"] + 0.25)) == pytest.approx(0.25)


def test_look_is_brute_force() -> None:
    population = world(2000, count=1)
    tables = tables_of(population, 2000)
    cross = PopulationLoss.of(population, dtype=torch.float64, device="cpu")
    found = loss_runs.look(population, cross, tables)
    logits = (tables[0] @ tables[1].mT)[0].numpy()
    p_hat, p, weights = np.exp(log_softmax(logits, axis=1)), population.target[0], population.weights[0]
    kl = sum(w * (p[d][p[d] > 0] * np.log(p[d] / p_hat[d], where=p[d] > 0, out=np.zeros(8))[p[d] > 0]).sum()
             for d, w in enumerate(weights))  # fmt: skip
    assert found["kl"][0] == pytest.approx(kl, abs=ROUNDING)
    assert found["leak"][0] == pytest.approx((weights * np.where(p == 0, p_hat, 0).sum(axis=1)).sum(), abs=ROUNDING)
    assert found["spread"][0] == pytest.approx(np.ptp(logits, axis=1).max(), abs=ROUNDING)
    assert found["norm"][0] == pytest.approx(sum((t**2).sum() for t in map(torch.Tensor.numpy, tables)), abs=1e-9)


def test_the_record_holds_every_arm_and_its_claims_fail_when_the_numbers_do() -> None:
    record = loss_record.recorded()
    assert [(row["loss"], row["k"]) for row in record.body["arms"]] == list(loss_record.ARMS)
    optima = loss_role.optimum_table(record)
    products = pd.DataFrame({"k": [3], "U": [0.7], "U trained": [0.7], "monotone": [True]})
    wide = products.assign(U=0.8)
    words = [claim.verdict for claim in loss_role.claims(record, optima, products, wide)]
    assert words == ["new"] * 5
    worse = loss_role.claims(record, optima.assign(U=optima["U"] + 0.02), products.assign(U=0.72), wide)
    assert [claim.verdict for claim in worse] == ["different", "new", "different", "new", "new"]
    blind = loss_role.claims(record, optima, products, products)  # a control that comes out like the number
    assert [claim.verdict for claim in blind] == ["new", "new", "different", "new", "new"]


def test_a_record_of_one_arm_is_made_by_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_record, "ARMS", (("smoothing 0.3", 8),))
    record = loss_record.record("smoke")
    (arm,) = record.body["arms"]
    assert record.seeds == (0, 1, 2)
    assert arm["monotone"] == 3
    assert 100 <= arm["steps"] * arm["step_size"] < 100 + 4 * arm["step_size"]  # halved twice
    assert record.to_frame()["clock"].tolist() == [10, 18, 32, 56, 100]
    live = loss_record.live_rows(record, 8)
    assert len(live) == 6


def test_tables_of_the_record_have_the_rows_that_they_name() -> None:
    record = loss_record.recorded()
    assert loss_role.range_table(record, 3).shape == (8, 3)
    assert list(loss_role.slope_table(record).index) == [
        "cross-entropy",
        "smoothing 0.1",
        "probabilities",
        "zeros only",
    ]
    assert loss_role.steps_table(record)["monotone"].eq(20).all()
    assert loss_role.late_table(record, 8, clock=1000)["U"]["cross-entropy"] > 0.5


def test_a_live_run_that_moved_is_noticed() -> None:
    record = loss_record.recorded()
    arms = [row for row in record.body["arms"] if (row["loss"], row["k"]) == ("smoothing 0.3", 8)]
    wrong = dataclasses.replace(record, body={"arms": arms, "curves": [
        row | {"U": row["U"] + 0.01} for row in record.body["curves"]]})  # fmt: skip
    with pytest.raises(LinrepError, match=r"loss = smoothing 0.3, k = 8, clock = 56: U is"):
        loss_record.live_rows(wrong, 8)


def test_fit_table_interpolates_between_marks() -> None:
    curves = [
        {"loss": "a", "k": 3, "clock": clock, "kl": kl, "U": linear}
        for clock, kl, linear in ((10, 1.0, 0.2), (100, 0.01, 0.8), (1000, 0.001, 0.9))
    ]
    record = dataclasses.replace(loss_record.recorded(), body={"curves": curves})
    found = loss_role.fit_table(record, levels=(0.1, 1e-5))
    assert found.loc[(3, "a")].to_dict() == pytest.approx({"U at KL = 0.1": 0.5})


def test_figures_draw_every_loss_once() -> None:
    curves = loss_record.recorded().to_frame()
    first = figures.along_the_clock(curves[curves.k == 3])
    assert [len(axis.lines) for axis in first.axes] == [8, 8]
    second = figures.towards_the_optimum(curves[curves.k == 8], {"smoothing 0.1": 0.15})
    assert len(second.axes[0].lines) == 8


# Refusals


@pytest.mark.parametrize("epsilon", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_an_epsilon_out_of_range_is_refused(epsilon: float) -> None:
    population = world(2100, concepts=2, count=1)
    message = f"epsilon is {epsilon}; label smoothing takes one between 0 and 1"
    for call in (
        lambda: other_losses.smoothed_target(population.target, epsilon),
        lambda: other_losses.label_smoothing(population, epsilon=epsilon),
        lambda: loss_optima.smoothed_logits(population.target, epsilon),
        lambda: loss_optima.fair_smoothed_linearity(2, epsilon),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_degenerate_input_is_refused_by_name() -> None:
    population = world(2200, concepts=2, count=1)
    weights, target = population.weights[0], population.target[0]
    with pytest.raises(InputError, match="they must be 0 or more and sum to 1"):
        other_losses.cross_entropy_to(population, 2 * population.target)
    with pytest.raises(InputError, match="concepts is 1; a mean cosine"):
        loss_optima.agreement_cosines(1)
    with pytest.raises(InputError, match="dim is 0; it must be 1 or more"):
        loss_optima.product_optimum(weights, target, dim=0)
    with pytest.raises(InputError, match=r"smallest p\(d\) is 0"):
        loss_optima.product_optimum(0 * weights, target, dim=2)
    with pytest.raises(InputError, match="dim is 5; allowed are 1 to 4"):
        loss_optima.balanced_factors(target, dim=5)
    with pytest.raises(InputError, match="dim is 2, but the matrix has a larger rank"):
        loss_optima.balanced_factors(target, dim=2)
    with pytest.raises(InputError, match="loss is 'hinge'; allowed are cross-entropy, probabilities"):
        one_logit.pull(np.zeros(2), "hinge")
    with pytest.raises(InputError, match="1 levels given; need two or more"):
        one_logit.times(np.array([1.0]), "cross-entropy", kappa=1.0)
    with pytest.raises(InputError, match=r"kappa is 0\.0 with a first level -1"):
        one_logit.times(np.array([-1.0, 1.0]), "cross-entropy", kappa=0.0)
    with pytest.raises(InputError, match="there is no loss 'hinge'; there are cross-entropy"):
        loss_runs.follow("hinge", 3, seeds=[1000], pace=Pace(1.0, 1), clocks=[1])
