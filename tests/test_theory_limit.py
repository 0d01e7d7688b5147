"""Laws of the margin problem, its reduction and its path; worlds (seeds from 1000) and patterns no chapter uses."""

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linrep.concepts import ConceptGraph, all_tokens
from linrep.contexts import agreement, all_contexts
from linrep.errors import InputError, LinrepError
from linrep.experiments import limit
from linrep.figures import limit as figures
from linrep.geometry import mean_cosine
from linrep.loss import PopulationLoss
from linrep.population import Population, complete_population, incomplete_population
from linrep.steering import steering_vectors
from linrep.theory import cube_margin, hard_margin, regularised_path
from linrep.theory.convex import require_cvxpy, require_small, run_program
from linrep.theory.loss_optima import balanced_factors, linearity_of
from linrep.theory.margin_optima import uniqueness

SEEDS = st.integers(1000, 10**6)
ROUNDING = 1e-9  # sums of thousands of numbers of size one, in double precision: far below
SOLVER = 1e-6  # what the solvers' tolerances leave of a value, relative; their gaps are 1e-8


def world(concepts: int, seed: int) -> Population:
    return complete_population([ConceptGraph.random(concepts, prob=(0.1, 0.9), seed=seed)])


def nuclear(matrix: np.ndarray) -> float:
    return float(np.linalg.svd(matrix, compute_uv=False).sum())


def random_pattern(concepts: int, seed: int) -> np.ndarray:
    return np.tril(np.random.default_rng(seed).standard_normal((concepts + 1, concepts + 1)))


def centred(matrix: np.ndarray) -> np.ndarray:
    return matrix - matrix.mean(axis=1, keepdims=True)


# The reduction


@settings(max_examples=20, deadline=None)
@given(concepts=st.integers(2, 5), seed=SEEDS)
def test_the_formula_is_the_nuclear_norm_of_the_matrix_and_has_its_multiplicities(concepts: int, seed: int) -> None:
    pattern = random_pattern(concepts, seed)
    sizes = cube_margin.degree_sizes(pattern)
    every = np.repeat(sizes, [math.comb(concepts, r) for r in range(1, concepts + 1)])
    found = np.linalg.svd(centred(cube_margin.pattern_matrix(pattern)), compute_uv=False)
    assert np.abs(np.sort(found)[1:] - np.sort(every)).max() < ROUNDING  # the least one is that of the constant: 0
    assert abs(cube_margin.nuclear_norm(sizes) - found.sum()) < ROUNDING


def test_the_pattern_is_a_function_of_what_is_known_and_what_contradicts() -> None:
    pattern = random_pattern(3, 1000)
    matrix = cube_margin.pattern_matrix(pattern)
    for d, context in enumerate(all_contexts(3)):
        for c, token in enumerate(all_tokens(3)):
            known = [i for i in range(3) if context[i] >= 0]
            wrong = sum(context[i] != token[i] for i in known)
            assert matrix[d, c] == pattern[len(known), wrong]
    known, wrong = np.indices((4, 4))
    counts = cube_margin.entry_counts(3)
    assert counts[wrong <= known].sum() == matrix.size
    assert (counts[wrong > known] == 0).all()


def test_krawtchouk_sums_a_character_over_a_sphere() -> None:
    states = all_tokens(5)
    distance = states.sum(axis=1)
    for r in range(6):
        character = (-1.0) ** states[:, :r].sum(axis=1)
        for j in range(6):
            assert cube_margin.krawtchouk(j, r, 5) == character[distance == j].sum()


@pytest.mark.parametrize("concepts", [2, 3, 4, 5, 6])
def test_u_of_the_formula_is_u_of_the_vectors(concepts: int) -> None:
    pattern = np.where(cube_margin.agreement_margins(concepts) > 0, 1 + np.abs(random_pattern(concepts, 1001)), 0)
    _, unembedding = balanced_factors(cube_margin.centred_logits(pattern), dim=2**concepts)
    expected = linearity_of(cube_margin.degree_sizes(pattern).tolist())
    pairs = complete_population([ConceptGraph.random(concepts, seed=1000)]).token_pairs
    for pair in pairs:
        vectors = steering_vectors(torch.from_numpy(unembedding), pair)
        assert abs(float(mean_cosine(vectors)) - expected) < ROUNDING
        lengths = vectors.norm(dim=-1)
        assert float(lengths.max() - lengths.min()) < ROUNDING


@pytest.mark.parametrize("concepts", [2, 3, 4, 7])
def test_candidates_have_their_closed_forms(concepts: int) -> None:
    linear, all_or_none = cube_margin.counting_margins(concepts), cube_margin.agreement_margins(concepts)
    assert limit.candidate_value(linear) == pytest.approx(concepts * 6 ** ((concepts - 1) / 2), rel=ROUNDING)
    expected = (1 + math.sqrt(3)) ** concepts - 3 ** (concepts / 2)
    assert limit.candidate_value(all_or_none) == pytest.approx(expected, rel=ROUNDING)
    assert np.abs(cube_margin.degree_sizes(linear)[1:]).max() < ROUNDING


def test_two_concepts_by_hand() -> None:
    found = cube_margin.solve_cube(2)
    assert found.value == pytest.approx(1 + 2 * math.sqrt(3), rel=SOLVER)
    assert found.linearity == pytest.approx(2 - math.sqrt(3), abs=1e-5)
    assert np.abs(found.margins - cube_margin.agreement_margins(2)).max() < 1e-6
    assert found.degrees == [1, 2]
    assert found.rank == 3


def test_the_solution_for_three_to_twelve_concepts() -> None:
    for concepts in (3, 4, 8, 12):
        found = cube_margin.solve_cube(concepts)
        assert -ROUNDING < found.gap < SOLVER
        assert found.degrees == [1, 2, 3]
        assert found.rank == sum(math.comb(concepts, r) for r in (1, 2, 3))
        assert found.slack.max() == pytest.approx(1)
        assert found.slack[3:].max(initial=0) < 0.97
        assert (found.margins[cube_margin.agreement_margins(concepts) > 0] >= 1).all()
    assert cube_margin.solve_cube(18).degrees == [1, 3, 4]  # not a law


def test_a_certificate_holds_for_any_multipliers_and_for_any_feasible_logits() -> None:
    rng = np.random.default_rng(1002)
    support = agreement(all_contexts(3), all_tokens(3))
    best = cube_margin.solve_cube(3)
    for _ in range(20):
        multipliers = rng.standard_normal((4, 4))  # of both signs: those of the wrong one must be dropped
        rough = cube_margin.certified(random_pattern(3, 1003), multipliers)
        assert rough.bound <= best.bound * (1 + ROUNDING) < best.value * (1 + 2 * ROUNDING) <= rough.value * 1.001
        witness = cube_margin.pattern_matrix(rough.witness)
        assert np.linalg.norm(witness, 2) == pytest.approx(1)
        assert np.abs(witness.sum(axis=1)).max() < ROUNDING
        assert witness[~support].max() <= 0
        assert -witness[~support].sum() == pytest.approx(rough.bound)
        feasible = np.where(support, 0, -1 - rng.exponential(size=support.shape))
        assert nuclear(centred(feasible)) >= best.bound


def test_a_full_certificate_holds_for_multipliers_of_any_sign() -> None:
    rng = np.random.default_rng(1004)
    support = agreement(all_contexts(2), all_tokens(2))
    best = cube_margin.solve_cube(2)
    for _ in range(20):
        rough = hard_margin.certified(rng.standard_normal((9, 4)), rng.standard_normal((9, 4)), support)
        assert rough.witness[~support].max() <= 0
        assert np.abs(rough.witness.sum(axis=1)).max() < ROUNDING
        assert np.linalg.norm(rough.witness, 2) == pytest.approx(1)
        assert rough.bound <= best.value * (1 + ROUNDING) <= rough.value * (1 + 2 * ROUNDING)
        hard_margin.require_margins(rough.logits, support, tolerance=ROUNDING)


def test_a_certificate_that_does_not_attain_its_bound_says_nothing_about_degrees() -> None:
    """Only contexts that know one concept push: τ_2 is 0, yet the optimum has degree two; the gap shows it."""
    multipliers = np.zeros((3, 3))
    multipliers[1, 1] = 1
    weak = cube_margin.certified(cube_margin.agreement_margins(2), multipliers)
    assert weak.slack == pytest.approx([1, 0])
    assert weak.bound == pytest.approx(2 * math.sqrt(2))
    assert cube_margin.solve_cube(2).sizes == pytest.approx([math.sqrt(3), 1], abs=1e-6)
    assert weak.left_open == 0, "both degrees are present: none is claimed to be absent"
    part = 1 / (1 + 2 * math.sqrt(3))  # of the nuclear norm, in degree two
    assert part <= 2 * weak.gap / (1 - weak.slack[1] ** 2)
    linear = cube_margin.certified(cube_margin.counting_margins(2), multipliers)
    assert linear.degrees == [1]
    assert linear.left_open == pytest.approx(2 * (1 - 1 / math.sqrt(3)))
    assert part <= linear.left_open


@pytest.mark.parametrize("concepts", [4, 6])
def test_what_the_gap_leaves_open_bounds_a_degree_that_is_put_in(concepts: int) -> None:
    """The optimum with margins a little too large has a little of degree four: less than its own gap allows."""
    best = cube_margin.solve_cube(concepts)
    assert 0 <= best.left_open < 1e-5
    for size in (1e-8, 1e-6, 1e-5):
        bumped = best.margins.copy()
        bumped[concepts, concepts] += size
        multipliers = -best.witness * cube_margin.entry_counts(concepts)
        near = cube_margin.certified(bumped, multipliers)
        part = math.comb(concepts, 4) * near.sizes[3] / near.value
        assert near.degrees == [1, 2, 3]
        assert part <= near.left_open * (1 + SOLVER)


def test_mean_steering_vectors_are_orthogonal_and_single_ones_are_not() -> None:
    optimum = cube_margin.centred_logits(cube_margin.agreement_margins(2))
    _, table = balanced_factors(optimum, dim=4)
    first, second = (steering_vectors(torch.from_numpy(table), pairs) for pairs in world(2, 1000).token_pairs)
    assert abs(float(first.mean(dim=0) @ second.mean(dim=0))) < ROUNDING
    cosines = torch.nn.functional.cosine_similarity(first[:, None], second[None], dim=-1)
    assert cosines.abs().numpy() == pytest.approx(1 / (1 + math.sqrt(3)))


@pytest.mark.parametrize("concepts", [1, 25])
def test_sizes_out_of_range_are_refused(concepts: int) -> None:
    with pytest.raises(InputError, match=f"concepts is {concepts}; allowed are 2 to 24"):
        cube_margin.solve_cube(concepts)


# The full program


@pytest.mark.parametrize("concepts", [2, 3, 4])
def test_the_full_program_agrees_with_the_reduced_one_whatever_the_world(concepts: int) -> None:
    population = world(concepts, 1000 + concepts)
    full, reduced = hard_margin.solve_margin(population), cube_margin.solve_cube(concepts)
    assert full.value == pytest.approx(reduced.value, abs=1e-3)
    assert -ROUNDING < full.gap < SOLVER
    hard_margin.require_margins(full.logits, population.consistent, tolerance=ROUNDING)
    assert np.abs(full.logits.sum(axis=1)).max() < ROUNDING
    assert np.abs(full.logits - cube_margin.centred_logits(reduced.margins)).max() < 1e-3
    assert np.trace(full.gram) == pytest.approx(full.value)


def test_the_full_program_on_an_incomplete_world_has_a_certificate_of_its_own() -> None:
    population = incomplete_population(ConceptGraph.random(4, seed=1000), masks=6, tokens=10, seed=1001)
    full, support = hard_margin.solve_margin(population), population.consistent
    assert -ROUNDING < full.gap < SOLVER
    assert np.linalg.norm(full.witness, 2) == pytest.approx(1)
    assert np.abs(full.witness.sum(axis=1)).max() < ROUNDING
    assert full.witness[~support].max() <= ROUNDING
    counting = -(population.contexts[:, None] != population.tokens).astype(float)
    linear = np.where(population.contexts[:, None] >= 0, counting, 0).sum(axis=2)
    assert full.value <= nuclear(centred(linear)) + ROUNDING


def test_logits_that_break_a_constraint_are_refused() -> None:
    support = agreement(all_contexts(2), all_tokens(2))
    logits = cube_margin.centred_logits(cube_margin.counting_margins(2))
    hard_margin.require_margins(logits, support, tolerance=ROUNDING)
    with pytest.raises(InputError, match=r"the least margin is 0\.5"):
        hard_margin.require_margins(logits / 2, support, tolerance=ROUNDING)
    logits[0, 0] += 0.1
    with pytest.raises(InputError, match=r"logits differ by 0\.1 on a support"):
        hard_margin.require_margins(logits, support, tolerance=ROUNDING)


def test_a_population_without_zeros_has_no_margin_problem() -> None:
    population = world(2, 1000)
    blind = population.contexts.max(axis=1) < 0
    alone = Population(population.contexts[blind], population.tokens, population.masks[:1], population.joint)
    with pytest.raises(InputError, match="none of the 1 contexts excludes a token"):
        hard_margin.solve_margin(alone)


def test_uniqueness_is_found_and_its_lack_too() -> None:
    witness = cube_margin.pattern_matrix(cube_margin.solve_cube(3).witness)
    support = agreement(all_contexts(3), all_tokens(3))
    found = uniqueness(witness, support)
    assert (found.kept, found.unknowns) == (7, 28)
    assert found.least > 0.1
    alone = uniqueness(witness, support, margins=False).least
    assert abs(alone) < ROUNDING, "equal logits alone are met by every multiple of Q"
    free = np.eye(3)
    free[0, 1] = -1e-3  # one equation for six unknowns
    assert uniqueness(free, np.eye(3, dtype=bool)).least < ROUNDING
    with pytest.raises(InputError, match="nowhere negative"):
        uniqueness(np.eye(3), np.eye(3, dtype=bool))


# The path


@pytest.mark.parametrize(("concepts", "strength"), [(2, 0.02), (3, 1e-3), (3, 1e-7), (4, 1e-3)])
def test_the_gradient_is_that_of_the_loss_and_the_point_is_optimal(concepts: int, strength: float) -> None:
    point = regularised_path.solve_path(concepts, strength)
    population = limit.coins(concepts)
    loss = PopulationLoss.of(population, dtype=torch.float64, device="cpu")
    logits = cube_margin.centred_logits(point.logits)
    eye = torch.eye(logits.shape[1], dtype=torch.float64)[None]
    value, (gradient, _) = loss.value_and_gradient((torch.from_numpy(logits)[None], eye))
    expected = -gradient[0].numpy() / strength
    force = cube_margin.pattern_matrix(regularised_path.scaled_gradient(point.logits, strength))
    assert np.abs(force - expected).max() < 1e-6  # differences of numbers of size one, over λ
    assert np.linalg.norm(expected, 2) < 1.001
    assert (expected * logits).sum() == pytest.approx(nuclear(logits), rel=1e-3)
    whole = float(value[0]) + strength * nuclear(logits)
    assert regularised_path.decayed_loss(point) == pytest.approx(whole, abs=ROUNDING)


def test_points_that_are_not_the_optimum_have_a_large_residual() -> None:
    """Degree one alone leaves a singular value above 1; the optimum made longer has the wrong inner product."""
    alone, best = (regularised_path.solve_path(3, 1e-3, degree=degree) for degree in (1, None))
    assert alone.residual < 1e-3
    assert regularised_path.checked(alone.logits, 1e-3).residual > 0.5
    assert best.residual < 1e-3
    assert regularised_path.checked(1.05 * best.logits, 1e-3).residual > 0.1


def test_worlds_forget_their_probabilities_under_weak_decay() -> None:
    apart = limit.worlds_table(2, [1e-2, 1e-5], seeds=[1000, 1001])["at most"]
    assert apart.iloc[0] > 0.01
    assert apart.iloc[1] < apart.iloc[0] / 5


def test_descent_in_f_and_g_finds_the_same_optimum() -> None:
    point = regularised_path.solve_path(2, 3e-3)
    value, table = regularised_path.direct(limit.coins(2), 3e-3, dim=4, seed=1000)
    assert value == pytest.approx(regularised_path.decayed_loss(point), abs=ROUNDING)
    (first, _) = limit.coins(2).token_pairs
    assert float(mean_cosine(steering_vectors(torch.from_numpy(table), first))) == pytest.approx(
        point.linearity, abs=1e-3
    )


@pytest.mark.parametrize("concepts", [2, 3, 4, 5])
def test_at_the_critical_strength_the_gradient_at_zero_has_norm_one(concepts: int) -> None:
    top = regularised_path.critical_strength(concepts)
    zero = cube_margin.degree_sizes(regularised_path.scaled_gradient(np.zeros((concepts + 1,) * 2), top))
    assert zero == pytest.approx([3 ** ((1 - r) / 2) for r in range(1, concepts + 1)])
    near = regularised_path.solve_path(concepts, 0.9 * top)
    assert near.degrees == [1]
    assert near.linearity == pytest.approx(1, abs=1e-5)
    with pytest.raises(InputError, match="where the logits of"):
        regularised_path.solve_path(concepts, top)


def test_the_path_falls_to_the_margin_problem() -> None:
    goal = cube_margin.solve_cube(3)
    points = [regularised_path.solve_path(3, strength) for strength in (1e-2, 1e-5, 1e-20, 1e-100, 1e-300)]
    values = [point.linearity for point in points]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(goal.linearity, abs=2e-3)
    assert np.abs(points[-1].logits / math.log(1e300) - goal.margins).max() < 0.02


def test_the_approximation_of_the_loss_at_small_strengths_is_as_small() -> None:
    either = [regularised_path.solve_path(3, factor * regularised_path.SMALL).linearity for factor in (0.999, 1.001)]
    assert abs(either[0] - either[1]) < 2e-4


@pytest.mark.parametrize(("concepts", "strength"), [(1, 1e-3), (3, 0.0), (3, 1e-301), (3, float("nan"))])
def test_bad_paths_are_refused(concepts: int, strength: float) -> None:
    with pytest.raises(InputError, match=r"concepts is 1|strength is"):
        regularised_path.solve_path(concepts, strength)


def test_a_solver_that_fails_and_a_missing_cvxpy_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    cvxpy = require_cvxpy()
    unknown = cvxpy.Variable()
    with pytest.raises(LinrepError, match="a program: the solver says 'infeasible'"):
        run_program(cvxpy.Problem(cvxpy.Minimize(unknown), [unknown >= 1, unknown <= 0]), "a program")
    for error in (0.02, math.nan):
        with pytest.raises(LinrepError, match=r"of the value is left open; at most 0\.01 is allowed"):
            require_small(error, "a program", allowed=0.01)
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(InputError, match="pip install cvxpy"):
        cube_margin.solve_cube(2)


# Tables and figures


def test_tables_say_what_the_theory_gives_and_have_no_holes_but_where_nothing_is() -> None:
    table = limit.prediction_table([2, 4])
    assert table.loc[4, ["rank", "of"]].tolist() == [14, 15]
    assert table.notna().all(axis=None)
    assert limit.share_table([2, 5]).sum(axis=1).to_numpy() == pytest.approx(1)
    assert limit.spectrum_table([2, 3])[3].isna().tolist() == [True, False]
    rows = limit.path_rows([2, 3], [0.1, 0.01])
    wide = limit.path_table(rows)
    assert wide.index.tolist() == ["10^-1", "10^-2"]
    assert wide["U, m = 3"].isna().tolist() == [True, False]
    low, top, middle, *divergences = limit.linear_range([3]).loc[3]
    assert low < 0.03 < top
    assert middle == pytest.approx(1, abs=1e-5)
    assert divergences == sorted(divergences)
    assert divergences[-1] == pytest.approx(1.5 * math.log(2))
    below = regularised_path.solve_path(3, 0.97 * low)
    assert below.degrees == [1, 2]


def test_figures_show_what_the_tables_hold() -> None:
    shares, lines = limit.share_table([2, 3]), limit.linearity_by_candidate([2, 3])
    left, right = figures.shares_and_linearity(shares, lines).axes
    assert len(left.patches) == shares.size
    assert [line.get_label() for line in right.lines] == list(lines)
    rows = limit.path_rows([2, 3], [0.01, 1e-3])
    (axis,) = figures.along_the_path(rows, {2: 0.268, 3: 0.226}).axes
    assert axis.lines[0].get_ydata().tolist() == rows[rows.m == 2].U.tolist()
    assert len(axis.lines) == 4
