"""Laws of Theorem 4: the hidden classification, its descent, and where it stops, on seeds the chapters do not use."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import linprog, minimize_scalar

from linrep.concepts import ConceptGraph
from linrep.contexts import code
from linrep.errors import DivergenceError, InputError, LinrepError
from linrep.experiments import margin, margin_cases, margin_model, margin_run, margin_tables
from linrep.figures import margin as figures
from linrep.loss import PopulationLoss
from linrep.population import complete_population, incomplete_population, masked_population
from linrep.theory.contradiction import lone_contexts, split_divergence
from linrep.theory.margin import (
    contexts_to_points,
    limit_offset,
    log_loss,
    longest,
    max_margin_direction,
    pair_case,
    stall_value,
    two_point_direction,
)
from linrep.theory.margin_descent import cosine_gap_bound, descent, step_bound
from linrep.train import TrainConfig, train

SEEDS = st.integers(1000, 10**6)


def gaussian(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def separable(count: int, dim: int, seed: int) -> np.ndarray:
    """Points on the positive side of some hyperplane through the origin, with a margin of at least 0.05."""
    points = gaussian(count, dim, seed=seed)
    points[:, 0] = 0.05 + np.abs(points[:, 0])
    return points @ np.linalg.qr(gaussian(dim, dim, seed=seed + 1))[0]


def off_direction(vectors: np.ndarray, direction: np.ndarray) -> np.ndarray:
    return vectors - (vectors @ direction)[..., None] * direction


# The margin


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 7), st.integers(1, 8))
def test_the_direction_is_that_of_two_other_solvers(seed: int, count: int, dim: int) -> None:
    points = separable(count, dim, seed)
    found = max_margin_direction(points)
    assert np.linalg.norm(found.direction) == pytest.approx(1)
    assert found.margin == pytest.approx((points @ found.direction).min())
    # libsvm stops at 1e-10 in the dual, which is about 1e-6 in the direction of a problem with margin 0.05.
    np.testing.assert_allclose(margin_run.svc_direction(points), found.direction, atol=1e-5)
    np.testing.assert_allclose(margin_run.slsqp_direction(points), found.direction, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(2, 9))
def test_two_points_have_the_direction_of_the_general_solver_and_turn_with_the_space(seed: int, dim: int) -> None:
    points = gaussian(2, dim, seed=seed)
    closed, general = two_point_direction(points), max_margin_direction(points)
    # Rounding of the nearest point, magnified by R/γ, which Gaussian points keep far below 1e5.
    np.testing.assert_allclose(closed.direction, general.direction, atol=1e-9)
    turn = np.linalg.qr(gaussian(dim, dim, seed=seed + 1))[0]
    turned = two_point_direction(3 * points @ turn)
    np.testing.assert_allclose(turned.direction, closed.direction @ turn, atol=1e-9)
    assert turned.margin == pytest.approx(3 * closed.margin, rel=1e-9)
    rivals = gaussian(50, dim, seed=seed + 2)
    rivals /= np.linalg.norm(rivals, axis=1, keepdims=True)
    assert (rivals @ points.T).min(axis=1).max() <= closed.margin + 1e-12


@pytest.mark.parametrize(
    ("first", "second", "case"),
    [
        ([1.0, 2.0], [0.5, -1.0], "separable"),
        ([1.0, 2.0], [-2.0, -4.0], "separable"),
        ([1.0, 2.0], [2.0, 4.0], "positive multiples"),
        ([1.0, 2.0], [1.0, 2.0], "positive multiples"),
        ([1.0, 2.0], [0.0, 0.0], "one is zero"),
        ([0.0, 0.0], [1.0, 2.0], "one is zero"),
        ([0.0, 0.0], [0.0, 0.0], "both are zero"),
    ],
)
def test_each_case_is_named_and_linear_programming_agrees(first: list[float], second: list[float], case: str) -> None:
    f1, f0 = np.array(first), np.array(second)
    assert pair_case(f1, f0) == case
    feasible = linprog(np.zeros(2), A_ub=-contexts_to_points(f1, f0), b_ub=-np.ones(2), bounds=(None, None)).success
    assert (case == "separable") == feasible


def test_degenerate_points_are_refused_by_name() -> None:
    axis = np.array([1.0, 0.0])
    with pytest.raises(InputError, match="2 points that are not separable"):
        max_margin_direction(np.stack([axis, -2 * axis]))
    with pytest.raises(InputError, match=r"point \(1,\) is zero or not finite"):
        max_margin_direction(np.stack([axis, 0 * axis]))
    with pytest.raises(InputError, match="0 points given"):
        longest(np.zeros((0, 3)))
    with pytest.raises(InputError, match=r"two points of problem \(1,\) are not separable"):
        two_point_direction(np.stack([np.stack([axis, axis]), np.stack([axis, -axis])]))
    with pytest.raises(InputError, match="embeddings of length inf"):
        pair_case(np.array([np.inf, 0.0]), axis)
    for ratio in (0.0, -1.0):
        with pytest.raises(InputError, match=f"the ratio is {ratio}; f1 must be a positive multiple"):
            stall_value(ratio)
    with pytest.raises(InputError, match="right angle"):
        limit_offset(np.array([[1.0, 0.0], [1.0, 1.0]]), np.zeros((1, 2)))
    with pytest.raises(LinrepError, match="SLSQP found no direction"):
        margin_run.slsqp_direction(np.stack([axis, -2 * axis]))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.02, 50))
def test_the_stall_is_the_minimum_of_the_loss(ratio: float) -> None:
    found = minimize_scalar(lambda s: math.exp(-ratio * s) + math.exp(s), bounds=(-10, 10), method="bounded")
    assert stall_value(ratio) == pytest.approx(found.x, abs=1e-4)
    assert (1 + ratio) * ratio ** (-ratio / (1 + ratio)) == pytest.approx(found.fun, rel=1e-9)


# Descent


def test_descent_is_that_of_autograd_plain_and_on_the_logarithm() -> None:
    points, start = 0.7 * gaussian(3, 4, seed=1100), gaussian(2, 4, seed=1101)
    for normalised in (False, True):
        run = descent(points, start, step=0.1, marks=range(5), normalised=normalised)
        at = start
        for mark in range(5):
            np.testing.assert_allclose(run.classifiers[mark], at, atol=1e-12)
            free = torch.tensor(at, requires_grad=True)
            each = torch.exp(-free @ torch.tensor(points).T).sum(dim=1)
            np.testing.assert_allclose(np.exp(log_loss(at, points)), each.detach().numpy(), rtol=1e-12)
            np.testing.assert_allclose(log_loss(at, points), each.detach().log().numpy(), atol=1e-12)
            (each.log() if normalised else each).sum().backward()
            assert free.grad is not None
            at = at - 0.1 * free.grad.numpy()


def test_training_both_ends_of_a_pair_doubles_the_step() -> None:
    points, ends = torch.tensor(gaussian(2, 3, seed=1102)), torch.tensor(gaussian(2, 4, 3, seed=1103))
    ends.requires_grad_()
    torch.exp(-(ends[0] - ends[1]) @ points.T).sum().backward()
    assert ends.grad is not None
    moved = (ends - 0.05 * ends.grad).detach().numpy()
    run = descent(points.numpy(), (ends[0] - ends[1]).detach().numpy(), step=0.1, marks=(1,))
    np.testing.assert_allclose(run.classifiers[0], moved[0] - moved[1], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 6), st.integers(1, 6), st.floats(0.05, 1))
def test_at_the_bound_the_loss_falls_as_fast_and_the_cosine_is_as_near_as_proved(
    seed: int, count: int, dim: int, share: float
) -> None:
    """The theorem for any number of points, with all of its constants."""
    points, start = separable(count, dim, seed), gaussian(3, dim, seed=seed + 2)
    found, step = max_margin_direction(points), share * step_bound(points, start)
    marks = (0, 1, 3, 10, 100, 400)
    run = descent(points, start, step=step, marks=marks)
    assert run.monotone.all()
    assert run.finite.all()
    loss = np.exp(log_loss(run.classifiers, points))
    steps = np.array(marks)[:, None]
    promised = 1 / (1 / loss[0] + 0.5 * step * found.margin**2 * steps)
    assert (loss <= promised * (1 + 1e-9)).all()
    slowest = 1 / (1 / loss[0] + 2 * step * longest(points) ** 2 * steps)
    assert (loss >= slowest * (1 - 1e-9)).all()
    for at in run.classifiers:
        length = np.linalg.norm(at, axis=-1)
        gap = 1 - at @ found.direction / length
        assert (gap <= cosine_gap_bound(points, start, length, found.margin) + 1e-12).all()


def test_without_separability_the_loss_falls_all_the_same() -> None:
    """The first half of the proof does not use it."""
    points, start = gaussian(30, 8, 3, seed=1104), gaussian(30, 2, 3, seed=1105)
    assert descent(points, start, step=step_bound(points, start), marks=(300,)).monotone.all()


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(2, 6), st.floats(1, 1e4))
def test_any_step_does_where_the_embeddings_point_apart(seed: int, dim: int, multiple: float) -> None:
    points, start = gaussian(2, dim, seed=seed), gaussian(2, dim, seed=seed + 1)
    if points[0] @ points[1] < 0:
        points[1] *= -1
    run = descent(points, start, step=multiple * step_bound(points, start), marks=(50,))
    assert run.monotone.all()
    assert run.finite.all()


def test_a_step_far_above_the_bound_blows_up_where_they_do_not() -> None:
    points, start = np.array([[1.0, 0.2], [-1.0, 0.2]]), np.array([[-3.0, 0.0], [0.0, 30.0]])
    step = 1000 * step_bound(points, start)
    with pytest.raises(DivergenceError, match=r"the loss of classifier \(0,\) diverged"):
        descent(points, start, step=step, marks=(50,))
    run = descent(points, start, step=step, marks=(50,), freeze=True)
    assert run.finite.tolist() == [False, True]
    assert run.monotone.tolist() == [False, True]


def test_what_describes_no_descent_is_refused() -> None:
    points, start = np.eye(2), np.zeros((1, 2))
    for step in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match=r"the smallest step is .*; steps must be positive"):
            descent(points, start, step=step, marks=(1,))
    for marks in ((), (-1,), (2, 1), (1, 1)):
        with pytest.raises(InputError, match="must be increasing numbers of steps"):
            descent(points, start, step=0.1, marks=marks)
    with pytest.raises(InputError, match=r"all points of problem \(1,\) are zero"):
        step_bound(np.stack([points, 0 * points]), np.stack([start, start]))


# The pace


SUPPORTS = {"both": [[1.0, 0.3, 0.0], [0.2, 0.9, 0.1]], "one": [[0.5, 0.1, 0.0], [1.2, 0.9, 0.1]]}


@pytest.mark.parametrize("supports", ["both", "one"])
@pytest.mark.parametrize("swapped", [False, True])
def test_the_offset_is_that_of_the_flow(supports: str, swapped: bool) -> None:
    """Against scipy's integrator, in a time in which −ln ℓ grows evenly."""
    points = np.array(SUPPORTS[supports])[:: -1 if swapped else 1]
    for start in gaussian(3, 3, seed=1110):

        def flow(_: float, at: np.ndarray) -> np.ndarray:
            terms = np.exp(-(at @ points.T) + (at @ points.T).min())
            return np.asarray(terms @ points / terms.sum())

        end = solve_ivp(flow, (0, 400), start, rtol=1e-10, atol=1e-12, method="LSODA").y[:, -1]
        found = two_point_direction(points).direction
        np.testing.assert_allclose(off_direction(end, found), limit_offset(points, start[None])[0], atol=1e-5)


def test_where_both_support_the_offset_does_not_depend_on_the_steps() -> None:
    points, start = np.array(SUPPORTS["both"]), gaussian(4, 3, seed=1111)
    found, offset = two_point_direction(points).direction, limit_offset(points, start)
    for share in (0.1, 0.5, 1.0):
        step = share * 0.5 / longest(points) ** 2
        run = descent(points, start, step=step, marks=(4000,), normalised=True)
        np.testing.assert_allclose(off_direction(run.classifiers[0], found), offset, atol=1e-9)
    plain = descent(points, start, step=step_bound(points, start), marks=(1000, 10_000))
    early, late = (np.linalg.norm(off_direction(at, found) - offset, axis=-1) for at in plain.classifiers)
    # In the proof's coordinate the distance shrinks by 1 − |h'|ηℓ a step, ℓ near 1/(ηγ²t): like t^(−|h'|/γ²), h' at 0.
    inner = points @ points.T
    kappa = np.diag(inner) - inner[0, 1]
    exponent = kappa.prod() / kappa.sum() / two_point_direction(points).margin ** 2
    np.testing.assert_allclose(late / early, 10**-exponent, rtol=0.1)


def test_the_offset_in_closed_form_and_the_law_of_two_classifiers() -> None:
    problems = margin_run.random_problems((3, 5), seeds=range(1060, 1090))
    first, second = problems.points[:, 0], problems.points[:, 1]
    inner = (first * second).sum(axis=-1)
    kappa = [(point**2).sum(axis=-1) - inner for point in (first, second)]
    both, apart = np.minimum(*kappa) > 0, first - second
    assert 10 < both.sum() < 60
    plane = np.linalg.pinv(problems.points) @ problems.points
    shift = (np.log(np.abs(kappa[0] / kappa[1])) / (apart**2).sum(axis=-1))[:, None] * apart
    closed = problems.start - problems.start @ plane + shift[:, None]
    course = margin_run.anew_run(problems)
    np.testing.assert_allclose(closed[both], course.offset[both], atol=1e-9)
    last = course.run.classifiers[-1, :, :2]
    unit = last / np.linalg.norm(last, axis=-1, keepdims=True)
    gap = 0.5 * ((unit[:, 0] - unit[:, 1]) ** 2).sum(axis=-1)
    between = ((course.offset[:, 0] - course.offset[:, 1]) ** 2).sum(axis=-1)
    # The next term is smaller by 1/|Δ|, which is some hundreds.
    assert np.median(np.abs(2 * (last[:, 0] ** 2).sum(axis=-1) * gap / between - 1)) < 0.02


def test_gap_times_length_squared_tends_to_the_offset() -> None:
    course = margin_run.anew_run(margin_run.random_problems((3, 4), seeds=range(1000, 1010)), steps=6000)
    assert course.run.monotone.all()
    assert np.quantile(np.abs(course.laws()[-1] - 1), 0.9) < 0.02
    np.testing.assert_allclose(course.gaps(), 1 - course.cosines(), atol=1e-12)
    assert (course.gaps() <= course.promises()).all()


def test_steps_set_anew_walk_the_curve_of_plain_steps_by_their_own_clock() -> None:
    problems = margin_run.random_problems((2, 5), seeds=range(1010, 1020))
    plain, apart = margin_run.plain_run(problems, steps=2000, multiple=0.25), []
    for share in (0.1, 0.05):
        anew = margin_run.anew_run(problems, steps=round(400 / share), share=share)
        both = [margin_run.along_clock(course, course.gaps(), [30, 400]) for course in (plain, anew)]
        apart.append(float(np.nanmax(np.abs(both[0] - both[1]))))
    # Two Euler walks of one flow, at a quarter of the bound and at these shares of it.
    assert apart[1] <= apart[0] < 0.02


def test_the_clock_of_a_run_set_anew_is_the_sum_of_its_steps() -> None:
    problems = margin_run.random_problems((3,), seeds=range(1020, 1023))
    course = margin_run.anew_run(problems, steps=300)
    size = margin_run.SHARE * 0.5 / longest(problems.points) ** 2
    walked = descent(problems.points, problems.start, step=size, marks=range(300), normalised=True)
    spent = size[:, None] * np.exp(-log_loss(walked.classifiers, problems.points)).sum(axis=0)
    counted = np.log1p(spent / step_bound(problems.points, problems.start)[:, None])
    # The sum against the integral: they differ by about half a step, which is a tenth of the loss's relative fall.
    np.testing.assert_allclose(course.clock[-1], counted, atol=0.1)


def test_beyond_the_run_there_is_no_value() -> None:
    course = margin_run.plain_run(margin_run.random_problems((2,), seeds=range(1023, 1025)), steps=50)
    seen = margin_run.along_clock(course, course.gaps(), [0, 50, 51])
    np.testing.assert_allclose(seen[:2], course.gaps()[[0, -1]], rtol=1e-9)
    assert np.isnan(seen[2]).all()


def test_a_right_angle_keeps_the_offset_moving() -> None:
    problems = margin_run.random_problems((3,), seeds=range(1030, 1040))
    moved = margin_tables.leaning(problems, 1)
    second = moved.points[:, 1]
    np.testing.assert_allclose(((moved.points[:, 0] - second) * second).sum(axis=-1), 0, atol=1e-12)
    table = margin_tables.drift_table(problems)
    assert table["median"].drop(margin_tables.RIGHT_ANGLE).max() < 0.01
    assert table.loc[margin_tables.RIGHT_ANGLE, "median"] > 0.3
    assert table.loc[margin_tables.REGULAR, "largest"] == margin_tables.drifts(problems).max()


def test_at_a_right_angle_the_direction_is_the_same_and_off_it_the_way_is_a_logarithm() -> None:
    """The proof without (H4): e^(Dv) grows by at most e²D² η ℓ a step, v the part along x_1 − x_2, D its length."""
    problems = margin_tables.leaning(margin_run.random_problems((3, 5), seeds=range(1030, 1050)), 1)
    size = 0.5 / longest(problems.points) ** 2
    marks = (0, 10, 100, 1000, 10_000)
    run = descent(problems.points, problems.start, step=size, marks=marks, normalised=True)
    across = problems.points[:, 0] - problems.points[:, 1]
    wide = np.linalg.norm(across, axis=-1)
    along = np.einsum("mpcd,pd->mpc", run.classifiers, across)  # Dv
    spent = np.array(marks)[:, None] * size
    bound = np.logaddexp(along[0], (2 + np.log(wide**2 * np.maximum(spent, 1e-300)))[..., None])
    assert (along <= bound + 1e-9).all()
    direction = two_point_direction(problems.points).direction
    cosines = np.einsum("mpcd,pd->mpc", run.classifiers, direction) / np.linalg.norm(run.classifiers, axis=-1)
    assert np.median(cosines[-1]) > 0.9999
    assert np.median(cosines[-1] - cosines[-2]) > 0


def test_longer_embeddings_and_longer_starts_align_later() -> None:
    problems = margin_run.random_problems((3, 5), seeds=range(1070, 1090))
    for name in ("points", "start"):
        gaps = []
        for factor in (0.25, 1.0, 4.0):
            scaled = replace(problems, **{name: factor * getattr(problems, name)})
            gaps.append(float(margin_tables.speed_table({"a": scaled}, steps=(300,)).loc["a", "300 steps"]))
        assert gaps == sorted(gaps)
        assert gaps[2] > 4 * gaps[0]


def test_the_control_differs_from_the_problems_by_the_first_point_only_and_stalls() -> None:
    problems = margin_run.random_problems((3, 5), seeds=range(1090, 1095))
    moved = margin_tables.multiples(problems)
    assert (moved.points[:, 1] == problems.points[:, 1]).all()
    assert (moved.start == problems.start).all()
    for points in moved.points:
        assert pair_case(points[0], -points[1]) == "positive multiples"
    early, late = (margin_tables.stalled_cosines(problems, steps=steps) for steps in (2000, 4000))
    np.testing.assert_allclose(early, late, atol=1e-6)
    table = margin_tables.pair_table({"control": late})
    assert table.loc["control"].tolist() == [late.min(), np.median(late), late.max()]
    assert late.max() < 0.9


def test_tables_of_steps_count_every_classifier_once() -> None:
    problems = margin_run.random_problems((2, 3), seeds=range(1040, 1050))
    table = margin_tables.step_table(margin_tables.step_rows(problems, factors=(1, 50), steps=200))
    assert table["classifiers"].sum() == 2 * 20 * 4
    assert (table.xs(1, level="multiple")["blown up"] == 0).all()
    assert (table.loc["f1·f0 ≤ 0", "loss never rises"] == table.loc["f1·f0 ≤ 0", "classifiers"]).all()


# The cases


def test_every_case_ends_as_proved() -> None:
    runs = margin_cases.case_runs(dim=4, seeds=range(1000, 1010), steps=2000)
    rows = margin_cases.case_rows(runs)
    assert rows["monotone"].all()
    assert (rows["aligns"] == rows["case"].isin(margin_cases.ALIGNED)).all()
    assert rows["moved"].max() < 1e-6
    assert (rows["stall"].notna() == (rows["kind"] == "positive multiples")).all()
    assert rows["stall"].max() < 1e-6
    halves = rows[rows["case"] == "f1 = 0.5 f0"]
    np.testing.assert_allclose(halves["loss"], 1.5 * 0.5 ** (-1 / 3), rtol=1e-6)
    np.testing.assert_allclose(rows.loc[rows["case"] == "both 0", "loss"], 2)
    assert (rows.loc[rows["kind"] == "one is zero", "loss"] > 1).all()
    table = margin_cases.case_table(rows)
    assert table["of"].tolist() == [10] * len(margin_cases.CASES)


def test_in_one_dimension_positive_multiples_align_because_there_is_nothing_else() -> None:
    start = np.array([[-2.0], [3.0]])
    points = contexts_to_points(np.array([2.0]), np.array([1.0]))
    end = descent(points, start, step=step_bound(points, start), marks=(50_000,)).classifiers[0]
    np.testing.assert_allclose(end, stall_value(2.0), atol=1e-6)


# Cross-entropy


def random_tables(seed: int, dim: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(gaussian(2, 27, dim, seed=seed)), torch.tensor(gaussian(2, 8, dim, seed=seed + 1))


@pytest.mark.parametrize("concept", [0, 1, 2])
def test_the_divergence_is_pairs_and_contradiction(concept: int) -> None:
    population = complete_population([ConceptGraph.random(3, seed=seed) for seed in (1000, 1001)])
    tables = random_tables(1050)
    split, rows = split_divergence(population, tables, concept), lone_contexts(population, concept)
    template = ["⋄"] * 3
    assert [code(population.contexts[row]) for row in rows] == [
        "".join([*template[:concept], value, *template[concept + 1 :]]) for value in "10"
    ]
    target = torch.tensor(population.target[:, rows])
    model = torch.log_softmax(tables[0][:, rows] @ tables[1].mT, dim=-1)
    whole = torch.nn.functional.kl_div(model, target, reduction="none").sum(dim=-1)
    np.testing.assert_allclose(split.divergence, whole.numpy(), atol=1e-12)
    np.testing.assert_allclose(split.pairs + split.contradiction, split.divergence, atol=1e-12)
    assert (split.pairs >= 0).all()
    assert (split.contradiction <= split.exponential).all()


def test_a_token_that_never_comes_adds_nothing_to_the_divergence() -> None:
    population = masked_population([ConceptGraph.random(3, seed=1000)], np.array([[0, 1, 0]], dtype=np.int8))
    joint = population.joint.copy()
    joint[0, 0] = 0
    embedding, unembedding = random_tables(1052)
    tables = (embedding[:1, :2], unembedding[:1])
    split = split_divergence(replace(population, joint=joint / joint.sum()), tables, 1)
    assert np.isfinite(split.pairs).all()
    np.testing.assert_allclose(split.pairs + split.contradiction, split.divergence, atol=1e-12)


def test_contexts_that_are_missing_are_refused() -> None:
    graph = ConceptGraph.random(3, seed=1002)
    with pytest.raises(InputError, match="concept is 3; allowed are 0 to 2"):
        lone_contexts(complete_population([graph]), 3)
    for seed in range(1000, 1020):
        few = incomplete_population(graph, masks=1, seed=seed)
        if few.masks[0].sum() != 1:
            with pytest.raises(InputError, match="the contexts that know concept 0 only are not in the population"):
                lone_contexts(few, 0)
            return
    pytest.fail("no seed hides the contexts")


def test_a_fixed_embedding_stays_and_the_unembedding_is_trained_as_ever() -> None:
    population, tables = (
        complete_population([ConceptGraph.random(3, seed=s) for s in (1003, 1004)]),
        random_tables(1060),
    )
    exact = PopulationLoss.of(population, dtype=torch.float64, device="cpu")
    fixed = margin_model.FixedEmbedding(exact)
    assert (fixed.value_and_gradient(tables)[1][1] == exact.value_and_gradient(tables)[1][1]).all()
    trained = train(population, tables, TrainConfig(0.1, 20), seeds=(0, 1), loss=fixed)
    assert (trained.embedding == tables[0]).all()
    assert (trained.unembedding != tables[1]).any()


def test_two_contexts_align_a_concept_and_all_contexts_do_not_whatever_the_step() -> None:
    model = margin_model.trained_model(seeds=range(1000, 1006))
    rows = margin_model.arm_rows(model, step=2.0, clocks=(100, 1000))
    table = margin_model.arm_table(rows).xs(1000, level="clock")
    assert rows.groupby("arm").size().to_dict() == dict.fromkeys(margin_model.ARMS, 6 * 3 * 2)
    two, fixed, ended, free = (table.loc[name, "mean cosine"] for name in margin_model.ARMS)
    assert min(two, ended, free) > 0.85
    assert fixed < 0.6
    assert (rows["margin"].abs() <= 1).all()
    finer = margin_model.arm_table(margin_model.arm_rows(model, step=1.0, clocks=(1000,))).xs(1000, level="clock")
    np.testing.assert_allclose(finer["mean cosine"], table["mean cosine"], atol=0.005)
    wide = [margin_model.wide_rows(seeds=range(1000, 1004), step=step, clocks=(1000, 2000)) for step in (8.0, 4.0)]
    coarse, fine = (margin_model.arm_table(rows)["mean cosine"] for rows in wide)
    assert coarse.iloc[0] > 0.9
    assert coarse.iloc[1:].max() < 0.6
    np.testing.assert_allclose(coarse, fine, atol=0.001)
    later = margin_model.arm_table(margin_model.later_rows(model, clocks=(1000, 8000))).droplevel("arm")
    assert later["monotone"].min() == 1
    assert later.loc[1000, "mean cosine"] == pytest.approx(fixed, abs=0.005)
    assert later.loc[8000, "mean cosine"] < 0.6
    split = margin_model.split_table(model)
    assert split["gap"].max() < 1e-12
    assert (split["exponential"] >= 1).all()


def test_alone_the_two_contexts_of_a_concept_weigh_eight_times_as_much() -> None:
    graph = ConceptGraph.random(3, seed=1003)
    alone = masked_population([graph], np.array([[0, 1, 0]], dtype=np.int8))
    whole = complete_population([graph])
    rows = whole.rows([code(state) for state in alone.contexts])
    np.testing.assert_allclose(alone.weights, margin_model.HEAVIER * whole.weights[:, rows])


# Claims and figures


@pytest.fixture(scope="module")
def small() -> dict[str, object]:
    """All that the claims are made of, on few seeds; the arms as they come out in the chapter."""
    problems = margin_run.random_problems((3, 4), seeds=range(1000, 1006))
    frame = {"clock": 1000, "monotone": True, "cosine": [0.95, 0.4, 0.99, 0.99], "arm": margin_model.ARMS}
    return {
        "solvers": margin_run.solver_table({"random": problems}),
        "plain": margin_run.plain_run(problems, steps=100),
        "anew": margin_run.anew_run(problems, steps=8000),
        "stalled": margin_tables.stalled_cosines(problems, steps=2000),
        "drift": margin_tables.drift_table(problems),
        "cases": margin_cases.case_rows(margin_cases.case_runs(seeds=range(1000, 1006), steps=1000)),
        "arms": pd.DataFrame(frame),
    }


def test_verdicts_follow_from_the_numbers(small: dict[str, object]) -> None:
    found = {claim.key: claim for claim in margin.claims(**small)}  # type: ignore[arg-type]
    assert {key: claim.verdict for key, claim in found.items()} == {
        "theorem-4": "holds in range",
        "theorem-4-printed": "different",
        "theorem-4-cases": "new",
        "theorem-4-pace": "new",
        "theorem-4-scope": "new",
    }
    assert found["theorem-4-scope"].number == pytest.approx(0.95)
    assert found["theorem-4-scope"].control == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("part", "column", "value", "key", "verdict"),
    [
        ("solvers", "SVC", 1e-3, "theorem-4", "different"),
        ("cases", "last", 0.95, "theorem-4-printed", "undecided"),
        ("cases", "stall", 0.1, "theorem-4-cases", "different"),
        ("cases", "aligns", True, "theorem-4-cases", "different"),
        ("arms", "cosine", 0.95, "theorem-4-scope", "undecided"),
        ("arms", "monotone", False, "theorem-4-scope", "undecided"),
    ],
)
def test_a_result_that_turns_out_otherwise_changes_the_verdict(
    small: dict[str, object], part: str, column: str, value: object, key: str, verdict: str
) -> None:
    table = small[part]
    assert isinstance(table, pd.DataFrame)
    changed = small | {part: table.assign(**{column: value})}
    found = {claim.key: claim for claim in margin.claims(**changed)}  # type: ignore[arg-type]
    assert found[key].verdict == verdict


def test_an_offset_that_does_not_rest_changes_the_verdict(small: dict[str, object]) -> None:
    drift = small["drift"]
    assert isinstance(drift, pd.DataFrame)
    for name in drift.index:
        moved = drift.copy()
        moved.loc[name, "median"] = 0.4
        found = margin.claims(**(small | {"drift": moved}))  # type: ignore[arg-type]
        assert {claim.key: claim.verdict for claim in found}["theorem-4-pace"] == "undecided"


def test_a_control_that_aligns_changes_the_verdict(small: dict[str, object]) -> None:
    found = margin.claims(**(small | {"stalled": np.array([0.2, 0.95])}))  # type: ignore[arg-type]
    claims = {claim.key: claim for claim in found}
    assert claims["theorem-4"].control == 0.95
    assert claims["theorem-4"].verdict == "different"


def test_figures_draw_what_they_are_given(small: dict[str, object]) -> None:
    example, paths = margin_run.example_paths(steps=50)
    assert paths.shape[1:] == (4, 2)
    picture = figures.plane_paths(example.problems.points[0], 0.5 * example.margin.direction[0], paths)
    assert len(picture.axes[1].lines) >= 9
    plain, anew = small["plain"], small["anew"]
    assert isinstance(plain, margin_run.Course)
    assert isinstance(anew, margin_run.Course)
    lines = margin_tables.pace_lines(plain, anew, last=15.0)
    assert np.isfinite(lines.drop(columns="run").to_numpy(float)).all()
    drawn = margin_cases.case_lines(margin_cases.case_runs(seeds=range(1000, 1003), steps=50))
    picture = figures.pace_and_cases(lines, drawn)
    assert [text.get_text() for text in picture.axes[1].get_legend().get_texts()] == list(drawn["case"].unique())
    arms = pd.DataFrame({"arm": ["a", "a", "b", "b"], "clock": [1, 10, 1, 10], "cosine": 0.5, "kl": 0.1})
    assert len(figures.fixed_embeddings(arms).axes) == 2


def test_the_constant_of_the_bound_is_the_theorems() -> None:
    """eq-promise by hand: x1 = x2 = (1, 0), start at 0, so γ = 1, ℓ_0 = 2 and C = 1 + ln 2."""
    points, start = np.array([[1.0, 0.0], [1.0, 0.0]]), np.zeros((1, 2))
    bound = cosine_gap_bound(points, start, np.array([4.0]), np.asarray(1.0))
    assert bound[0] == pytest.approx((1 + np.log(2)) / 4)
