"""Laws of Theorem 7 and Corollary 8: exact models built by hand, brute force over all cases, inequalities on any table.

Tolerances: identities of a few products of numbers near 1 hold to 1e-9 in float64; anything looser says why.
"""

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from linrep.concepts import ConceptGraph, all_tokens
from linrep.contexts import UNKNOWN, all_contexts
from linrep.errors import InputError, LinrepError
from linrep.experiments import orthogonality_claims as made
from linrep.experiments import orthogonality_record as recording
from linrep.experiments import orthogonality_rows as rows
from linrep.experiments import orthogonality_time as along
from linrep.loss import PopulationLoss
from linrep.pilot import Pace
from linrep.population import Population, complete_population
from linrep.results import Record, require_agreement
from linrep.setting import Setting
from linrep.simulate import Simulation, simulate
from linrep.theory import interaction
from linrep.theory.log_odds import true_log_odds
from linrep.theory.orthogonality import log_odds_gaps, relation, theorem_cases, theorem_cosines

SEEDS = st.integers(1000, 10**6)
EXACT = 1e-9


def worlds(seed: int, *, concepts: int = 3, edges: float = 1.0, prob: tuple[float, float] = (0.1, 0.9)) -> Population:
    graphs = [ConceptGraph.random(concepts, edges=edges, prob=prob, seed=seed + n) for n in range(2)]
    return complete_population(graphs)


def gaussian(*shape: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def kl(population: Population, tables: tuple[torch.Tensor, torch.Tensor]) -> np.ndarray:
    loss = PopulationLoss.of(population, dtype=torch.float64, device="cpu")
    return loss.value(tables).numpy() - population.entropy


def brute_cases(m: int, kind: str) -> set[tuple[object, ...]]:
    """Every (i, j, c off i, the context that knows j), from the definition, by loops over tuples."""
    found = set()
    for i, j in itertools.product(range(m), repeat=2):
        if (i == j) != (kind == "own"):
            continue
        for c in itertools.product((0, 1), repeat=m):
            for d in itertools.product((UNKNOWN, 0, 1), repeat=m):
                others = all(d[n] in (UNKNOWN, c[n]) for n in range(m) if n not in (i, j))
                if c[i] == 0 or not others or d[j] == UNKNOWN or (i != j and d[i] != UNKNOWN):
                    continue
                if kind == "own" or (d[j] == c[j]) == (kind == "theorem"):
                    found.add((i, j, c, d))
    return found


@pytest.mark.parametrize("kind", ["theorem", "contradicting", "own"])
@pytest.mark.parametrize("m", [2, 3, 4])
def test_the_cases_are_those_of_the_definition(m: int, kind: str) -> None:
    tokens, contexts = all_tokens(m), all_contexts(m)
    cases = theorem_cases(tokens, contexts, kind)
    every = zip(cases.concept.tolist(), cases.other.tolist(), cases.tokens, cases.contexts, strict=True)
    found = set()
    for i, j, (one, zero), (knows, hides) in every:
        c, d = tokens[one].tolist(), contexts[knows].tolist()
        assert tokens[zero].tolist() == [*c[:i], 0, *c[i + 1 :]]
        assert contexts[hides].tolist() == [*d[:j], UNKNOWN, *d[j + 1 :]]
        found.add((i, j, tuple(c), tuple(d)))
    assert found == brute_cases(m, kind)
    assert len(found) == len(cases.concept)
    if kind == "theorem":
        assert len(found) == m * (m - 1) * 2 ** (m - 1) * 2 ** (m - 2)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_exact_log_odds_are_those_of_p_of_c_given_d_in_every_context_of_the_case(seed: int) -> None:
    population = worlds(seed)
    cases = theorem_cases(population.tokens, population.contexts)
    true = true_log_odds(population.joint, cases.tokens)
    for end in (0, 1):  # from p(c given d) itself, which the function never sees
        target = population.target[:, cases.contexts[:, end]]
        place = np.arange(len(cases.concept))
        given_d = np.log(target[:, place, cases.tokens[:, 0]] / target[:, place, cases.tokens[:, 1]])
        np.testing.assert_allclose(given_d, true, atol=EXACT)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.floats(1, 40))
def test_exact_log_odds_make_theorem_7_hold_in_fully_connected_worlds(seed: int, scale: float) -> None:
    population = worlds(seed)
    tables = interaction.explicit_model(population, scale)
    cases = theorem_cases(population.tokens, population.contexts)
    assert np.abs(log_odds_gaps(population, *tables, cases)).max() < EXACT
    assert np.abs(theorem_cosines(*tables, cases)).max() < EXACT
    own = theorem_cosines(*tables, theorem_cases(population.tokens, population.contexts, "own"))
    assert np.abs(own).min() > 0.25  # j = i is no case; 2/√(λ² + 4) with |λ| ≤ 3·ln 9


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 5))
def test_the_product_of_theorem_7_is_the_difference_of_two_gaps_on_any_tables(seed: int, dim: int) -> None:
    population = worlds(seed, edges=0.5)
    F, G = gaussian(2, 27, dim, seed=seed), gaussian(2, 8, dim, seed=seed + 1)
    cases = theorem_cases(population.tokens, population.contexts)
    gaps = log_odds_gaps(population, F, G, cases)
    steering = G[:, cases.tokens[:, 0]] - G[:, cases.tokens[:, 1]]
    learned = F[:, cases.contexts[:, 0]] - F[:, cases.contexts[:, 1]]
    product = (steering * learned).sum(dim=-1)
    np.testing.assert_allclose(product.numpy(), gaps[..., 0] - gaps[..., 1], atol=EXACT)
    size = steering.norm(dim=-1) * learned.norm(dim=-1)
    np.testing.assert_allclose(theorem_cosines(F, G, cases), (product / size).numpy(), atol=EXACT)


def test_a_model_whose_log_odds_are_off_in_one_context_is_caught() -> None:
    population = worlds(1234)
    F, G = interaction.explicit_model(population, 9.0)
    cases = theorem_cases(population.tokens, population.contexts)
    F[:, population.rows(["1⋄⋄"])[0]] += 0.5
    gaps, cosines = log_odds_gaps(population, F, G, cases), theorem_cosines(F, G, cases)
    assert np.abs(gaps).max() > 0.1
    assert np.abs(cosines).max() > 0.01
    elsewhere = ~np.isin(cases.contexts, population.rows(["1⋄⋄"])).any(axis=1)
    assert np.abs(cosines[:, elsewhere]).max() < EXACT


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(2, 5))
def test_the_odds_ratio_is_one_where_d_separation_says_so(seed: int, concepts: int) -> None:
    """Not adjacent in the moral graph = d-separated by all the rest, by networkx's own algorithm; then ln OR = 0."""
    graph = ConceptGraph.random(concepts, edges=0.5, prob=(0.1, 0.9), seed=seed)
    joint, tokens = graph.joint(), all_tokens(concepts)
    for i, j in itertools.combinations(range(concepts), 2):
        rest = set(range(concepts)) - {i, j}
        apart = nx.is_d_separator(graph.digraph(), {i}, {j}, rest)
        assert (relation(graph, i, j) != "adjacent") == apart
        ratios = interaction.log_odds_ratio(joint, interaction.token_squares(tokens, i, j))
        assert len(ratios) == 2 ** (concepts - 2)
        assert (np.abs(ratios).max() < EXACT) == apart  # tables are continuous: a chance zero has probability 0
        pairwise = nx.has_path(nx.moral_graph(graph.digraph()), i, j)
        assert (relation(graph, i, j) == "unconnected") == (not pairwise)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_the_second_difference_carries_the_odds_ratio_and_is_the_same_from_either_side(seed: int) -> None:
    population = worlds(seed)
    F, G = interaction.explicit_model(population, 4.0)
    for i, j in itertools.permutations(range(3), 2):
        squares = interaction.token_squares(population.tokens, i, j)
        of_i, of_j = interaction.sides(G, squares)
        opened = interaction.second_difference(G, squares)
        torch.testing.assert_close(of_i[..., 0, :] - of_i[..., 1, :], opened)
        torch.testing.assert_close(of_j[..., 0, :] - of_j[..., 1, :], opened, atol=EXACT, rtol=0)
        seen = (opened * F[:, population.rows(["⋄⋄⋄"])[0]][:, None]).sum(dim=-1)
        np.testing.assert_allclose(seen.numpy(), interaction.log_odds_ratio(population.joint, squares), atol=EXACT)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(2, 6), st.floats(0, 2))
def test_the_departure_is_never_below_the_opening(seed: int, dim: int, bend: float) -> None:
    """|□|² ≤ S²(sin²θ + 4κ²) for any four points; from boxes (bend 0) to no shape at all."""
    tokens = all_tokens(3)
    box = torch.from_numpy(2.0 * tokens - 1) @ gaussian(3, dim, seed=seed)
    G = box + bend * gaussian(8, dim, seed=seed + 1)
    for i, j in itertools.combinations(range(3), 2):
        squares = interaction.token_squares(tokens, i, j)
        opening = interaction.second_difference(G, squares).norm(dim=-1) / interaction.longest_side(G, squares)
        assert (interaction.departure(G, squares) >= opening - 1e-7).all()  # a square root at 0 halves the digits
        if bend == 0:
            assert opening.max() < EXACT


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_at_full_rank_no_model_opens_its_squares_less_than_its_own_logits_need(seed: int) -> None:
    tokens, f, G = all_tokens(3), gaussian(3, seed=seed), gaussian(8, 3, seed=seed + 1)
    logits = (G @ f).numpy()
    for i, j in itertools.combinations(range(3), 2):
        squares = interaction.token_squares(tokens, i, j)
        opening = interaction.second_difference(G, squares).norm(dim=-1) / interaction.longest_side(G, squares)
        least = interaction.opening_at_full_rank(G, logits, tokens, squares)
        assert (opening.numpy() >= least - EXACT).all()
        assert (least > 0).all()


def test_the_bound_at_full_rank_is_reached_where_the_log_odds_lie_along_the_least_singular_vector() -> None:
    """An orthogonal corner with equal log-odds x: |λ| = x√2, σ = 1, f = (x, x), □ along f: |□| = ln OR/|f| exactly."""
    tokens = all_tokens(2)
    G = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1.25, 1.25]], dtype=torch.float64)
    squares = interaction.token_squares(tokens, 0, 1)
    logits = (G @ torch.tensor([0.7, 0.7], dtype=torch.float64)).numpy()
    size, sigma = interaction.log_odds_norm(logits, tokens), interaction.least_singular_value(G, tokens)
    assert size[0] == pytest.approx(0.7 * np.sqrt(2))
    assert float(sigma[0]) == pytest.approx(1)
    opening = interaction.second_difference(G, squares).norm(dim=-1) / interaction.longest_side(G, squares)
    least = interaction.opening_at_full_rank(G, logits, tokens, squares)
    assert least[0] == pytest.approx(float(opening[0]), abs=EXACT)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_explicit_model_fits_any_world_and_comes_to_the_conclusion_of_corollary_8(seed: int) -> None:
    population = worlds(seed)
    far, near = (interaction.explicit_model(population, scale) for scale in (40.0, 400.0))
    assert kl(population, far).max() < EXACT  # exp(−40) is far below
    squares = interaction.token_squares(population.tokens, 0, 1)
    first, second = (interaction.crossing_cosines(tables[1], squares).abs().max() for tables in (far, near))
    # Δg_i·Δg_j = λ_i λ_j against lengths above 4T; probabilities in .1 to .9 keep |λ| below 3·ln 9
    assert second < first < (3 * np.log(9)) ** 2 / 160


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_no_product_model_is_below_the_product_floor_and_the_marginals_reach_it(seed: int) -> None:
    population = worlds(seed)
    floor = interaction.product_floor(population)
    assert (floor > 0).all()
    ones = population.target @ population.tokens
    product = np.where(population.tokens[None, None] == 1, ones[:, :, None], 1 - ones[:, :, None]).prod(axis=-1)
    pair = population.pair_probability
    replicate, d, c = np.nonzero(pair)
    part = pair[pair > 0] * np.log(population.target[pair > 0] / product[replicate, d, c])
    np.testing.assert_allclose(np.bincount(replicate, part), floor, atol=EXACT)
    G = interaction.straightened(gaussian(2, 8, 4, seed=seed), population.tokens)
    assert (kl(population, (gaussian(2, 27, 4, seed=seed + 1), G)) >= floor - EXACT).all()
    assert interaction.product_floor(worlds(seed, edges=0)).max() < EXACT
    assert (kl(population, interaction.explicit_model(population, 40.0)) < floor).all()  # open squares go below


def test_the_price_of_an_interaction_is_attained_by_a_trapezoid() -> None:
    """prop-price with equality: parallel Δ_i, θ = 0, and Δ_j that lean to either side: the opening is 2κ."""
    corner = {(0, 0): (0.0, 0.0), (0, 1): (-0.1, 1.0), (1, 0): (0.2, 0.0), (1, 1): (0.3, 1.0)}
    tokens = all_tokens(2)
    table = torch.tensor([corner[tuple(token)] for token in tokens.tolist()], dtype=torch.float64)
    squares = interaction.token_squares(tokens, 0, 1)
    opening = interaction.second_difference(table, squares).norm(dim=-1) / interaction.longest_side(table, squares)
    np.testing.assert_allclose(interaction.departure(table, squares), opening, atol=EXACT)
    assert float(opening) == pytest.approx(0.2 / np.sqrt(1.01))


def test_straightening_closes_every_square_and_leaves_a_box_alone() -> None:
    tokens = all_tokens(3)
    G = interaction.straightened(gaussian(8, 4, seed=1001), tokens)
    assert interaction.second_difference(G, interaction.token_squares(tokens, 0, 2)).abs().max() < EXACT
    torch.testing.assert_close(interaction.straightened(G, tokens), G)
    by_lstsq = np.hstack([np.ones((8, 1)), tokens])
    other = gaussian(8, 4, seed=1002)
    fit = by_lstsq @ np.linalg.lstsq(by_lstsq, other.numpy(), rcond=None)[0]
    np.testing.assert_allclose(interaction.straightened(other, tokens).numpy(), fit, atol=EXACT)


def test_degenerate_input_is_refused_by_name() -> None:
    tokens, contexts = all_tokens(2), all_contexts(2)
    cases = theorem_cases(tokens, contexts)
    squares = interaction.token_squares(tokens, 0, 1)
    zero = np.array([[0.0, 0.5, 0.25, 0.25]])
    for refused in (lambda: true_log_odds(zero, cases.tokens), lambda: interaction.log_odds_ratio(zero, squares)):
        with pytest.raises(InputError, match=r"p\(c\) of token 0 is 0; log-odds need p\(c\) > 0 for every token"):
            refused()
    with pytest.raises(InputError, match="concepts 1 and 1 given; need two different ones from 0 to 1"):
        interaction.token_squares(tokens, 1, 1)
    graph = ConceptGraph.random(2, seed=1000)
    with pytest.raises(InputError, match="concepts 0 and 2 given"):
        relation(graph, 0, 2)
    with pytest.raises(InputError, match="hold no square of concepts 0 and 1"):
        interaction.token_squares(tokens[:3], 0, 1)
    with pytest.raises(InputError, match="allow no case of Theorem 7"):
        theorem_cases(tokens, contexts[-1:])
    F, G = gaussian(1, 9, 2, seed=1), gaussian(1, 4, 2, seed=2)
    with pytest.raises(InputError, match=r"difference of contexts .* is zero"):
        theorem_cosines(torch.zeros_like(F), G, cases)
    with pytest.raises(InputError, match=r"steering vector .* is zero"):
        theorem_cosines(F, torch.zeros_like(G), cases)
    with pytest.raises(InputError, match=r"steering vector .* is zero"):
        interaction.departure(torch.zeros_like(G), squares)
    with pytest.raises(InputError, match="dim is 3 for 2 concepts; this bound needs k = m"):
        interaction.opening_at_full_rank(gaussian(4, 3, seed=3), np.zeros(4), tokens, squares)
    with pytest.raises(InputError, match="3 tokens of 2 concepts; the complete set is needed"):
        interaction.log_odds_norm(np.zeros(3), tokens[:3])
    with pytest.raises(InputError, match="sharpness is 0"):
        interaction.explicit_model(complete_population([graph]), 0.0)


@pytest.fixture(scope="module")
def model() -> Simulation:
    """Two seeds that no chapter uses, trained a little."""
    return simulate(Setting(concepts=3, edges=1.0), seeds=range(1000, 1002), pace=Pace(2.0, 500))


def test_rows_are_means_over_the_cases_and_the_part_learned_is_a_regression(model: Simulation) -> None:
    F, G = rows.tables_of(model)
    population = model.runs[0].batch.population
    cases = theorem_cases(population.tokens, population.contexts)
    of_theorem = rows.theorem_rows(model)
    assert set(of_theorem["relation"]) == {"adjacent"}  # fully connected
    means = np.abs(theorem_cosines(F, G, cases)).mean(axis=1)
    np.testing.assert_allclose(of_theorem["cosine"], means, atol=EXACT)
    points = rows.dependence_points(model)
    squares = rows.corollary_rows(model)
    for seed, part in points.groupby("seed"):
        fitted = np.linalg.lstsq(part[["true"]].to_numpy(), part["model"].to_numpy(), rcond=None)[0][0]
        assert squares.loc[squares["seed"] == seed, "part"].item() == pytest.approx(fitted, abs=EXACT)
    everywhere = rows.context_points(model)
    assert set(everywhere["known"]) == {0, 1}
    assert len(everywhere) == 2 * 3 * 2 * 2  # seeds, pairs, squares, contexts that agree: the rest known or not


def test_verdicts_follow_from_the_numbers() -> None:
    """Each claim on numbers that bear it out and on numbers that do not; the start bears out nothing."""
    known = pd.DataFrame(
        {"need |□|/S": [0.9, 0.06], "part learned": [0.03, 0.8], "part learned ±": [0.01, 0.01]}, index=[0, 1]
    )
    assert made.price(known).verdict == "new"
    assert made.price(known.assign(**{"part learned": [0.6, 0.8]})).verdict == "undecided"
    straight = pd.DataFrame(
        {"closed, below": [0], "trained, KL / floor": [0.4], "closed, KL / floor": [6.0]}, index=["random"]
    )
    assert made.product(straight).verdict == "new"
    assert made.product(straight.assign(**{"closed, below": 1})).verdict == "undecided"
    untrained = simulate(Setting(concepts=3), seeds=range(1000, 1006), pace=Pace(1e-6, 1))
    assert made.theorem_7({"random": untrained}).verdict == "undecided"


@pytest.mark.parametrize(
    ("narrow", "wide", "start", "verdict"),
    [
        (0.04, 0.11, 0.5, "holds in range"),
        (0.12, 0.20, 0.5, "undecided"),  # not small
        (0.04, 0.03, 0.5, "undecided"),  # the control is no larger
        (0.04, 0.11, 0.2, "undecided"),  # small before training as well
    ],
)
def test_corollary_8_needs_small_cosines_and_controls_that_are_not(
    monkeypatch: pytest.MonkeyPatch, narrow: float, wide: float, start: float, verdict: str
) -> None:
    models = {
        name: simulate(Setting(concepts=3), seeds=range(1000, 1002), pace=Pace(1e-6, 1))
        for name in ("random", made.NOT_LINEAR)
    }

    def planted(model: Simulation, *, tables: object = None) -> pd.DataFrame:
        mean = start if tables is not None else narrow if model is models["random"] else wide
        return pd.DataFrame({"seed": [0, 1, 2], "relation": "separated", "cosine": mean + np.array([-1e-3, 0, 1e-3])})

    monkeypatch.setattr(made, "corollary_rows", planted)
    assert made.corollary_8(models, recording.recorded()).verdict == verdict


def test_slopes_of_planted_power_laws_are_found() -> None:
    clocks, powers = (1000, 3162, 10_000, 31_623), (-0.5, -0.4, -0.3)
    table = [
        {"arm": "a", "relation": "adjacent", "seed": seed, "clock": clock, "monotone": seed < 3, "norm": 1.0,
         "side": 2.0, "cosine": 3 * clock**power * (1 if clock > 1000 else 99)}
        for seed, power in enumerate((*powers, 7.0)) for clock in clocks
    ]  # fmt: skip
    record = Record("orthogonality", {}, (0, 1, 2, 3), "squares", {"squares": table, "arms": []}, 1.0)
    found = along.slope(record, "cosine", "a", "adjacent")  # the clock before the fit and the rising seed left out
    low, high = scipy_stats.t.interval(0.95, 2, loc=np.mean(powers), scale=scipy_stats.sem(powers))
    assert found == pytest.approx((np.mean(powers), low, high, 3))
    with pytest.raises(InputError, match="dim is 4; the record has no long run"):
        along.horizon_table(record, 4)


def test_a_short_record_agrees_with_its_own_slice_and_not_with_another_step() -> None:
    setting = Setting(concepts=3, edges=0.5)
    first = recording.follow("a", setting, range(1000, 1002), 1.0, (50, 100))
    again = recording.follow("a", setting, range(1000, 1001), 1.0, (50,))
    on, columns = ["arm", "seed", "clock", "relation"], ["cosine", "opening", "kl"]
    require_agreement(first, again, on=on, columns=columns, tolerance=1e-9)
    other = recording.follow("a", setting, range(1000, 1001), 2.0, (50,))
    with pytest.raises(LinrepError, match="on record it is"):
        require_agreement(first, other, on=on, columns=columns, tolerance=1e-4)
