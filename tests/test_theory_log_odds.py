"""Laws of log-odds, projections and explicit models, on worlds (seeds from 1000) that no chapter uses."""

import math
from itertools import product

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from scipy.stats import ortho_group

from linrep.concepts import ConceptGraph, all_tokens
from linrep.contexts import UNKNOWN, all_contexts
from linrep.errors import InputError, LinrepError
from linrep.experiments import log_odds as chapter
from linrep.experiments import log_odds_explicit, log_odds_independent, log_odds_markov, log_odds_time
from linrep.figures import log_odds as figures
from linrep.loss import PopulationLoss
from linrep.pilot import Pace
from linrep.population import Population, complete_population
from linrep.setting import Setting
from linrep.theory import explicit, log_odds, spans

SEEDS = st.integers(1000, 10**6)
ROUNDING = 1e-10  # logits of size up to 100 in double precision, a few operations each: 1e-13, with room


def world(seed: int, *, concepts: int = 4, edges: float = 0.5, prob: tuple[float, float] = (0.1, 0.9)) -> ConceptGraph:
    return ConceptGraph.random(concepts, edges=edges, prob=prob, seed=seed)


def brute_divergence(joint: np.ndarray, logits: np.ndarray) -> float:
    """Σ_d p(d) KL(d) from the definitions, with fair masks; shares no code with the package's loss."""
    m = round(math.log2(len(joint)))
    total = 0.0
    for context, row in zip(product((UNKNOWN, 0, 1), repeat=m), log_softmax(logits, axis=1), strict=True):
        fits = [
            all(known in (UNKNOWN, value) for known, value in zip(context, c, strict=True))
            for c in product((0, 1), repeat=m)
        ]
        mass = joint[fits].sum()
        total += 2.0**-m * (joint[fits] * (np.log(joint[fits] / mass) - row[fits])).sum()
    return total


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 5), st.integers(1, 8), st.integers(2, 8))
def test_rank_of_projections_is_rank_of_log_odds_whatever_the_split(
    seed: int, rank: int, rows: int, count: int
) -> None:
    """Part 2 of lem-projections, by two computations, before and after F A, G A^(−T); A well conditioned (1 to 2)."""
    rng = np.random.default_rng(seed)
    f = rng.standard_normal((rows, rank)) @ rng.standard_normal((rank, 6))
    v = rng.standard_normal((count, 6))
    turn = ortho_group.rvs(6, random_state=rng) * rng.uniform(1, 2, 6)
    for embedding, vectors in ((f, v), (f @ turn, v @ np.linalg.inv(turn).T)):
        projected = spans.project(vectors, spans.span_basis(embedding))
        assert spans.subspace_dimension(projected) == np.linalg.matrix_rank(f @ v.T, tol=1e-9)


def test_projection_is_the_nearest_point_of_the_span() -> None:
    rng = np.random.default_rng(1001)
    f, v = rng.standard_normal((3, 7)), rng.standard_normal((5, 7))
    basis = spans.span_basis(np.vstack([f, f[:1] + f[1:2]]))  # a fourth row within the span
    assert basis.shape == (3, 7)
    nearest = f.T @ np.linalg.lstsq(f.T, v.T, rcond=None)[0]
    np.testing.assert_allclose(spans.project(v, basis) @ basis, nearest.T, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(2, 6))
def test_moral_neighbours_are_what_the_rest_does_not_separate(seed: int, concepts: int) -> None:
    """Oracle: j is next to i exactly when all other concepts together do not d-separate them."""
    graph = world(seed, concepts=concepts)
    neighbours = log_odds.moral_neighbours(graph)
    for i in range(concepts):
        rest = set(range(concepts)) - {i}
        near = {j for j in rest if not nx.is_d_separator(graph.digraph(), {i}, {j}, rest - {j})}
        assert set(neighbours[i]) == near


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_true_log_odds_are_those_given_the_neighbours(seed: int) -> None:
    """lem-markov: λ_i(c), from two p(c), equals the log-odds of p(C_i given the neighbours), from sums of p(c)."""
    population = complete_population([world(seed)])
    joint, m = population.joint[0], population.concepts
    for i, near in enumerate(log_odds.moral_neighbours(world(seed))):
        pairs = population.token_pairs[i]
        states = np.full((len(pairs), m), UNKNOWN, dtype=np.int8)
        states[:, near] = population.tokens[pairs[:, 0]][:, near]
        given_near = log_odds.neighbour_log_odds(joint, population.tokens, states, i, near)
        np.testing.assert_allclose(log_odds.true_log_odds(joint, pairs), given_near, atol=ROUNDING)


def test_true_log_odds_hold_in_every_context_that_agrees() -> None:
    population = complete_population([world(1002, concepts=3)])
    target = population.target[0]
    for i, pairs in enumerate(population.token_pairs):
        rows = log_odds.contexts_without(population.contexts, i)
        agrees = log_odds.agrees_off(population.contexts[rows], population.tokens, pairs, i)
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.log(target[rows][:, pairs[:, 0]]) - np.log(target[rows][:, pairs[:, 1]])
        assert (np.isfinite(odds) == agrees).all()  # 0/0 exactly where they contradict each other
        expected = np.broadcast_to(log_odds.true_log_odds(population.joint[0], pairs), odds.shape)
        np.testing.assert_allclose(odds[agrees], expected[agrees], atol=ROUNDING)


def test_model_log_odds_are_those_of_the_softmax() -> None:
    rng = np.random.default_rng(1003)
    f, g = rng.standard_normal((27, 4)), rng.standard_normal((8, 4))
    pairs = complete_population([world(1003, concepts=3)]).token_pairs[1]
    log_p = log_softmax(f @ g.T, axis=1)
    np.testing.assert_allclose(
        log_odds.model_log_odds(f, g, pairs), log_p[:, pairs[:, 0]] - log_p[:, pairs[:, 1]], atol=1e-12
    )


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(2, 4), st.floats(0.5, 12))
def test_explicit_models_fit_within_the_bound(seed: int, concepts: int, sharpness: float) -> None:
    """prop-explicit, part 1, against a KL divergence from the definitions; that of completed logits is exact."""
    joint, contexts = world(seed, concepts=concepts).joint(), all_contexts(concepts)
    bound = explicit.divergence_bound(concepts, sharpness)
    masks = sum((1 + math.exp(-sharpness)) ** sum(mask) - 1 for mask in product((0, 1), repeat=concepts))
    assert bound == pytest.approx(masks / 2**concepts, rel=1e-9)
    completed = brute_divergence(joint, explicit.completed_logits(joint, contexts, sharpness=sharpness))
    assert completed == pytest.approx(concepts / 2 * math.log1p(math.exp(-sharpness)), abs=1e-12)
    penalised = brute_divergence(joint, explicit.penalised_logits(joint, contexts, sharpness=sharpness))
    free = brute_divergence(joint, explicit.free_logits(joint, contexts, sharpness=sharpness, seed=seed))
    assert 0 < free <= penalised <= bound + 1e-12
    assert completed <= bound + 1e-12


def test_bound_is_the_first_order_of_the_fit() -> None:
    """Both are (m/2) e^(−T) (1 + O(e^(−T))), with constants of order 10 here: at T = 8 they agree to 1 %."""
    joint, contexts = world(1004).joint(), all_contexts(4)
    fit = brute_divergence(joint, explicit.penalised_logits(joint, contexts, sharpness=8.0))
    assert fit == pytest.approx(explicit.divergence_bound(4, 8.0), rel=0.01)
    assert fit == pytest.approx(2 * math.exp(-8.0), rel=0.01)


def test_package_divergence_is_the_brute_one() -> None:
    population = complete_population([world(seed, concepts=3) for seed in (1005, 1006)])
    tables = [explicit.explicit_tables(p, population.contexts, sharpness=3.0) for p in population.joint]
    brute = [brute_divergence(p, f @ g.T) for p, (f, g) in zip(population.joint, tables, strict=True)]
    np.testing.assert_allclose(log_odds_explicit.divergence(population, tables), brute, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.1, 30), st.floats(0.1, 10))
def test_explicit_tables_predict_what_penalised_logits_do(seed: int, sharpness: float, scale: float) -> None:
    joint, contexts = world(seed, concepts=3).joint(), all_contexts(3)
    embedding, unembedding = explicit.explicit_tables(joint, contexts, sharpness=sharpness, scale=scale)
    assert embedding.shape == (27, 4)
    assert unembedding.shape == (8, 4)
    logits = explicit.penalised_logits(joint, contexts, sharpness=sharpness)
    np.testing.assert_allclose(
        log_softmax(embedding @ unembedding.T, axis=1), log_softmax(logits, axis=1), atol=ROUNDING
    )


def test_independent_tables_are_completed_logits_in_m_dimensions() -> None:
    joint, contexts = world(1007, edges=0).joint(), all_contexts(4)
    odds = log_odds.marginal_log_odds(joint, all_tokens(4))
    embedding, unembedding = explicit.independent_tables(odds, contexts, sharpness=7.0)
    assert embedding.shape == (81, 4)
    logits = explicit.completed_logits(joint, contexts, sharpness=7.0)
    np.testing.assert_allclose(
        log_softmax(embedding @ unembedding.T, axis=1), log_softmax(logits, axis=1), atol=ROUNDING
    )


def test_directions_approach_each_other_at_the_stated_rate() -> None:
    """1 − cos = (λ − λ')²/(4T) (1 + O(1/T)) with the even split: at T = 10^4 the rest is below 0.1 %."""
    joint, contexts = world(1008, concepts=3, edges=1).joint(), all_contexts(3)
    pairs = complete_population([world(1008, concepts=3, edges=1)]).token_pairs[0]
    odds = log_odds.true_log_odds(joint, pairs)
    _, unembedding = explicit.explicit_tables(joint, contexts, sharpness=1e4)
    first, second = (unembedding[pairs[:, 0]] - unembedding[pairs[:, 1]])[:2]
    cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
    assert 1 - cosine == pytest.approx((odds[0] - odds[1]) ** 2 / 4e4, rel=1e-3)


def test_balanced_factors_are_balanced_and_lose_no_prediction() -> None:
    joint, contexts = world(1009, concepts=3).joint(), all_contexts(3)
    logits = explicit.completed_logits(joint, contexts, sharpness=5.0)
    embedding, unembedding = explicit.balanced_tables(logits)
    np.testing.assert_allclose(embedding.T @ embedding, unembedding.T @ unembedding, atol=ROUNDING)
    np.testing.assert_allclose(embedding @ unembedding.T, logits - logits.mean(axis=1, keepdims=True), atol=ROUNDING)
    penalised = explicit.balanced_tables(explicit.penalised_logits(joint, contexts, sharpness=5.0))
    assert penalised[0].shape[1] == 4  # m + 1


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_theorem_3_and_its_control(seed: int) -> None:
    """Exact log-odds ℓ_i: equal projections of the length that ℓ_i asks for, whatever is added unseen; else not."""
    for edges in (0, 1):
        population = complete_population([world(seed, concepts=3, edges=edges, prob=(0.15, 0.35))])
        joint = population.joint[0]
        tables = explicit.explicit_tables(joint, population.contexts, sharpness=6.0)
        f, g = explicit.with_unseen_dimensions(tables, dimensions=4, size=3.0, seed=seed)
        np.testing.assert_allclose(f @ g.T, tables[0] @ tables[1].T, atol=ROUNDING)
        odds = log_odds.marginal_log_odds(joint, population.tokens)
        for i, pairs in enumerate(population.token_pairs):
            rows = log_odds.contexts_without(population.contexts, i)
            vectors = g[pairs[:, 0]] - g[pairs[:, 1]]
            projected = spans.project(vectors, spans.span_basis(f[rows]))
            if edges:
                assert spans.dispersion(projected) > 1e-6  # λ_i(c) differ: equal to 1e-3 is as good as impossible
            else:
                assert spans.dispersion(projected) < 1e-20
                np.testing.assert_allclose(np.linalg.norm(projected, axis=1), abs(odds[i]), rtol=1e-9)
                assert spans.projected_cosine(vectors, spans.span_basis(f[rows])) == pytest.approx(1, abs=1e-12)


def test_fair_concepts_have_zero_projections_and_no_cosine() -> None:
    population = complete_population([world(1010, concepts=3, edges=0, prob=(0.5, 0.5))])
    f, g = explicit.explicit_tables(population.joint[0], population.contexts, sharpness=6.0)
    pairs, rows = population.token_pairs[2], log_odds.contexts_without(population.contexts, 2)
    vectors, basis = g[pairs[:, 0]] - g[pairs[:, 1]], spans.span_basis(f[rows])
    assert np.abs(spans.project(vectors, basis)).max() < 1e-12
    assert spans.seen_share(f[rows], vectors) < 1e-12
    with pytest.raises(InputError, match="projection of steering vector 0 on the span is zero"):
        spans.projected_cosine(vectors, basis)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_theorem_10_its_wider_form_and_its_control(seed: int) -> None:
    graph = world(seed)
    population = complete_population([graph])
    joint, contexts = population.joint[0], population.contexts
    completed = explicit.balanced_tables(explicit.completed_logits(joint, contexts, sharpness=6.0))
    free = explicit.balanced_tables(explicit.free_logits(joint, contexts, sharpness=6.0, seed=seed))
    for i, near in enumerate(log_odds.moral_neighbours(graph)):
        pairs = population.token_pairs[i]
        own = log_odds.contexts_with_neighbours(contexts, i, near)
        every = log_odds.contexts_without(contexts, i)
        assert len(own) == 2 ** len(near) * 3 ** (3 - len(near))
        asked = log_odds.neighbour_log_odds(joint, population.tokens, contexts[own], i, near)
        odds = log_odds.model_log_odds(completed[0][own], completed[1], pairs)
        np.testing.assert_allclose(odds, np.broadcast_to(asked[:, None], odds.shape), atol=ROUNDING)
        vectors, others = (g[pairs[:, 0]] - g[pairs[:, 1]] for _, g in (completed, free))
        assert spans.subspace_dimension(spans.project(vectors, spans.span_basis(completed[0][own]))) == 1
        wide = spans.project(vectors, spans.span_basis(completed[0][every]))
        assert spans.subspace_dimension(wide) <= 2 ** len(near)
        assert spans.subspace_dimension(spans.project(others, spans.span_basis(free[0][own]))) == 8


def test_a_fit_makes_projections_coincide_where_neighbours_do() -> None:
    """thm-10-agreeing on a chain, where the ends have one neighbour each: parts 2 and 3 for every pair of tokens."""
    graph = ConceptGraph.from_tables([[], [0], [1]], [0.3, [0.2, 0.7], [0.6, 0.15]])
    population = complete_population([graph])
    joint, contexts, tokens = population.joint[0], population.contexts, population.tokens
    f, g = explicit.balanced_tables(explicit.free_logits(joint, contexts, sharpness=6.0, seed=1011))
    pairs = population.token_pairs[0]
    vectors, first = g[pairs[:, 0]] - g[pairs[:, 1]], tokens[pairs[:, 0]]
    shared = log_odds.shared_contexts(contexts, tokens, pairs, 0)
    for a, b in ((0, 1), (0, 2), (1, 3), (0, 3)):
        rows = np.flatnonzero(shared[a, b])
        differ = int((first[a] != first[b]).sum())
        assert len(rows) == 2 ** (2 - differ)
        assert (contexts[rows, 0] == UNKNOWN).all()
        one, other = spans.project(vectors[[a, b]], spans.span_basis(f[rows]))
        same = first[a, 1] == first[b, 1]
        assert (np.linalg.norm(one - other) < ROUNDING) == same


def test_outside_share_and_dispersion_by_hand() -> None:
    vectors = np.array([[3.0, 0.0], [0.0, 4.0], [3.0, 0.0]])
    assert spans.outside_share(vectors, 1) == pytest.approx(16 / 34)
    assert spans.outside_share(vectors, 2) == 0
    mean = vectors.mean(axis=0)
    assert spans.dispersion(vectors) == pytest.approx(1 - 3 * (mean @ mean) / 34)
    assert spans.dispersion(np.ones((4, 2))) == 0
    assert spans.dispersion(np.array([[1.0, 2], [-1, -2]])) == 1
    assert spans.seen_share(vectors, vectors[:1]) == pytest.approx(math.sqrt(162) / (math.sqrt(34) * 3))


def test_gaps_are_taken_apart() -> None:
    gap = log_odds.log_odds_gap(np.array([[1.0, 2.0], [3.0, 4.0]]), 1.0, np.array([[True, False], [False, True]]))
    assert gap.agreeing == pytest.approx(math.sqrt((0 + 9) / 2))
    assert gap.contradicting == pytest.approx(math.sqrt((1 + 4) / 2))


def test_degenerate_input_is_refused_by_name() -> None:
    contexts, pairs = all_contexts(2), np.array([[2, 0], [3, 1]])
    zero = np.array([0.5, 0.0, 0.25, 0.25])
    for call in (
        lambda: log_odds.true_log_odds(zero, pairs),
        lambda: log_odds.marginal_log_odds(zero, all_tokens(2)),
        lambda: log_odds.neighbour_log_odds(zero, all_tokens(2), contexts[:1], 0, ()),
        lambda: explicit.penalised_logits(zero, contexts, sharpness=1.0),
        lambda: explicit.completed_logits(zero, contexts, sharpness=1.0),
        lambda: explicit.free_logits(zero, contexts, sharpness=1.0, seed=0),
        lambda: explicit.explicit_tables(zero, contexts, sharpness=1.0),
    ):
        with pytest.raises(InputError, match=r"p\(c\) of token 1 is 0; log-odds need p\(c\) > 0"):
            call()
    fair = np.full(4, 0.25)
    with pytest.raises(InputError, match="rank 0"):
        spans.span_basis(np.zeros((3, 2)))
    with pytest.raises(InputError, match="rank 0"):
        explicit.balanced_tables(np.ones((3, 4)))
    with pytest.raises(InputError, match="not finite"):
        spans.span_basis(np.array([[np.nan, 1.0]]))
    for call in (lambda: spans.dispersion(np.zeros((2, 2))), lambda: spans.outside_share(np.zeros((2, 2)), 1)):
        with pytest.raises(InputError, match="are zero"):
            call()
    with pytest.raises(InputError, match="share of nothing"):
        spans.seen_share(np.zeros((2, 2)), np.ones((2, 2)))
    with pytest.raises(InputError, match="0 contradicting pairs"):
        log_odds.log_odds_gap(np.ones((1, 2)), 0.0, np.ones((1, 2), dtype=bool))
    with pytest.raises(InputError, match="leaves a neighbour of concept 1 unknown"):
        log_odds.neighbour_log_odds(fair, all_tokens(2), contexts, 0, (1,))
    with pytest.raises(InputError, match="sharpness is 0"):
        explicit.penalised_logits(fair, contexts, sharpness=0.0)
    with pytest.raises(InputError, match="scale is -1"):
        explicit.explicit_tables(fair, contexts, sharpness=1.0, scale=-1.0)
    with pytest.raises(InputError, match="has 4 entries; contexts of 3 concepts need 8"):
        explicit.penalised_logits(fair, all_contexts(3), sharpness=1.0)
    assert spans.subspace_dimension(np.zeros((2, 3))) == 0


@pytest.fixture(scope="module")
def tables() -> dict[str, object]:
    """Small versions of the chapter's tables; the record's rows are made up."""
    made = log_odds_markov.models({}, worlds=range(1000, 1006), trained=range(1000, 1001))
    settings_of = [Setting(concepts=3, edges=edges, prob=(0.2, 0.4)) for edges in (0, 1)]
    arms = {
        name: log_odds_independent._rows(
            *log_odds_independent._made(setting, range(1000, 1004), log_odds_independent._unseen), range(1000, 1004)
        )
        for name, setting in zip(("explicit, independent", "explicit, dependent"), settings_of, strict=True)
    }
    row = {"arm": "independent, k = 8", "step": "whole", "clock": 31623}
    along = pd.DataFrame([row | {"agreeing": 1e-4, "contradicting": 1.4 + 0.1 * seed} for seed in range(3)])
    free = pd.DataFrame(
        {"mean": [0.0, 0.7], "largest": [1e-12, 1.0]},
        index=pd.MultiIndex.from_tuples([("free", "equal"), ("free", "different")]),
    )
    return {
        "fits": log_odds_explicit.fit_table(seeds=range(1000, 1003)),
        "arms": arms,
        "along": along,
        "spans": log_odds_markov.spans_table(*made),
        "shared": free,
    }


def test_verdicts_follow_the_evidence(tables: dict[str, object]) -> None:
    held = {claim.key: claim for claim in chapter.claims(**tables)}
    assert [claim.verdict for claim in held.values()] == [
        "new",
        "holds in range",
        "new",
        "holds in range",
        "new",
        "new",
    ]
    assert held["theorem-10"].number == 1
    assert held["theorem-10"].control == 8
    arms = tables["arms"]
    swapped = {"explicit, independent": arms["explicit, dependent"], "explicit, dependent": arms["explicit, dependent"]}
    spans_of = tables["spans"]
    wrong = {
        "fits": tables["fits"].assign(free=1.0),
        "arms": swapped,
        "along": tables["along"].assign(agreeing=1.0),
        "spans": spans_of.assign(rank=9, wide_rank=9),
        "shared": tables["shared"].assign(largest=1.0),
    }
    assert {claim.verdict for claim in chapter.claims(**wrong)} == {"different", "undecided"}


def test_a_control_that_does_not_break_leaves_a_theorem_undecided(tables: dict[str, object]) -> None:
    exact = tables["arms"]["explicit, independent"]
    same = {"explicit, independent": exact, "explicit, dependent": exact}
    assert chapter.claims(**(tables | {"arms": same}))[1].verdict == "undecided"


def test_record_and_its_live_slice_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small record, with a step given in place of the pilots': rows of both steps, and the same numbers again."""
    arm = "independent, k = 3"
    monkeypatch.setattr(log_odds_time, "ARMS", {arm: log_odds_time.ARMS[arm]})
    monkeypatch.setattr(log_odds_time, "setting_pace", lambda setting, clock: Pace(1.0, clock))
    record = log_odds_time.record("smoke")
    rows = record.to_frame()
    assert sorted(set(rows.clock)) == [100, 178, 316, 562, 1000]
    assert set(rows[rows.step == "half"].clock) == {1000}
    live = log_odds_time.live_slice(record)
    both = live.merge(rows, on=["arm", "seed", "clock", "step"])
    assert len(both) == len(live) == 3 * 4
    for column in ("kl", "agreeing", "contradicting", "dispersion"):
        np.testing.assert_allclose(both[f"{column}_x"], both[f"{column}_y"], rtol=1e-9)
    assert log_odds_time.step_effect(rows)[["agreeing", "contradicting"]].max().max() < 0.05
    assert len(log_odds_time.late_table(rows)) == 1
    with pytest.raises(InputError, match="there is no arm 'none'"):
        log_odds_time.gaps_along("none", seeds=range(1000, 1001), pace=Pace(1.0, 10), horizon=100)


def test_trained_models_must_fall_monotonically() -> None:
    with pytest.raises(LinrepError, match="the loss rose at step size 64"):
        log_odds_markov.trained_models({"trained, k = 4": Pace(64.0, 100)}, range(1000, 1002))


def test_gaps_of_a_planted_model_are_zero_on_agreeing_pairs_only() -> None:
    population = complete_population([world(1012, concepts=3, edges=0)])
    logits = explicit.free_logits(population.joint[0], population.contexts, sharpness=5.0, seed=1012)
    found = log_odds_time.gaps(population, 0, explicit.balanced_tables(logits))
    assert found["agreeing"] < ROUNDING
    assert found["contradicting"] > 1


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_completed_log_odds_are_those_of_the_completed_model_and_true_where_there_are_any(seed: int) -> None:
    population = complete_population([world(seed, concepts=3, edges=1)])
    joint, contexts, tokens = population.joint[0], population.contexts, population.tokens
    logits = explicit.completed_logits(joint, contexts, sharpness=6.0)
    for i, pairs in enumerate(population.token_pairs):
        rows = log_odds.contexts_without(contexts, i)
        found = log_odds.completed_log_odds(joint, tokens, contexts[rows], pairs)
        np.testing.assert_allclose(found, logits[rows][:, pairs[:, 0]] - logits[rows][:, pairs[:, 1]], atol=ROUNDING)
        agrees = log_odds.agrees_off(contexts[rows], tokens, pairs, i)
        true = np.broadcast_to(log_odds.true_log_odds(joint, pairs), found.shape)
        np.testing.assert_allclose(found[agrees], true[agrees], atol=ROUNDING)
    assert log_odds_time.gaps(population, 0, explicit.balanced_tables(logits))["completed"] < ROUNDING


def plane_model(sharpness: float) -> tuple[Population, np.ndarray, np.ndarray]:
    """rem-plane: four tokens at the corners of a quadrilateral that is no parallelogram, contexts by its normals."""
    population = complete_population([ConceptGraph.from_tables([[], []], [0.3, 0.35])])
    odds = log_odds.marginal_log_odds(population.joint[0], population.tokens)
    corner = {(a, b): np.array([a, b], dtype=float) for a in (0, 1) for b in (0, 1)}
    corner[1, 1] = corner[1, 1] + 0.3 * np.array([-odds[1], odds[0]])
    middle = sum(corner.values()) / 4

    def outward(known: int, value: int) -> tuple[np.ndarray, np.ndarray]:
        """The edge of the tokens with that entry, from 0 to 1 of the other, and its outward unit normal."""
        start, end = (corner[(value, o) if known == 0 else (o, value)] for o in (0, 1))
        edge = end - start
        normal = np.array([edge[1], -edge[0]]) / np.linalg.norm(edge)
        return edge, normal if normal @ (start - middle) > 0 else -normal

    rows = []
    for context in population.contexts.tolist():
        known = [j for j in (0, 1) if context[j] != UNKNOWN]
        if not known:
            rows.append(odds)
        elif len(known) == 1:
            edge, normal = outward(known[0], context[known[0]])
            rows.append(sharpness * normal + odds[1 - known[0]] * edge / (edge @ edge))
        else:
            rows.append(sharpness * (outward(0, context[0])[1] + outward(1, context[1])[1]))
    return population, np.array(rows), np.array([corner[tuple(token)] for token in population.tokens.tolist()])


def test_two_dimensions_fit_two_concepts_without_parallel_steering_vectors() -> None:
    """rem-plane: the fit becomes perfect, agreeing log-odds are exact at every T, the projections span the plane."""
    divergences = []
    for sharpness in (5.0, 10.0, 50.0):
        population, F, G = plane_model(sharpness)
        loss = PopulationLoss.of(population, dtype=torch.float64, device="cpu")
        value = loss.value((torch.from_numpy(F)[None], torch.from_numpy(G)[None]))
        divergences.append(float(value[0]) - population.entropy[0])
        odds = log_odds.marginal_log_odds(population.joint[0], population.tokens)
        for i, pairs in enumerate(population.token_pairs):
            rows = log_odds.contexts_without(population.contexts, i)
            model = log_odds.model_log_odds(F[rows], G, pairs)
            agrees = log_odds.agrees_off(population.contexts[rows], population.tokens, pairs, i)
            gap = log_odds.log_odds_gap(model, odds[i], agrees)
            assert gap.agreeing < ROUNDING < 1 < gap.contradicting * 10
            assert spans.subspace_dimension(model.T, tolerance=1e-6) == 2
    assert divergences[0] > 10 * divergences[1] > 0
    assert divergences[2] < 1e-12


def test_figures_draw_what_they_are_given(tables: dict[str, object]) -> None:
    directions = log_odds_explicit.direction_table(seeds=range(1000, 1002))
    left, right = figures.fit_and_direction(tables["fits"], directions).axes
    np.testing.assert_array_equal(left.lines[1].get_ydata(), tables["fits"]["penalised"])
    np.testing.assert_array_equal(right.lines[2].get_ydata(), directions["even"])
    rows = tables["along"].assign(arm="one")
    first, second = figures.gaps_along(rows, ["one"]).axes
    assert float(second.lines[0].get_ydata()[0]) == pytest.approx(1.5)
    assert first.get_legend() is not None
    table = log_odds_markov.rank_table(tables["spans"])
    (axis,) = figures.ranks(table).axes
    np.testing.assert_array_equal(axis.lines[1].get_ydata(), table["completed"])


def test_a_concepts_own_entry_never_decides_agreement() -> None:
    """The tokens of a pair differ in entry i; off i both agree with the same contexts, some of which know i."""
    population = complete_population([world(1013, concepts=3)])
    contexts, tokens, pairs = population.contexts, population.tokens, population.token_pairs[1]
    agrees = log_odds.agrees_off(contexts, tokens, pairs, 1)
    for row, context in enumerate(contexts):
        for column, token in enumerate(tokens[pairs[:, 0]]):
            off = [context[j] in (UNKNOWN, token[j]) for j in (0, 2)]
            assert agrees[row, column] == all(off)


def test_the_effect_of_the_step_is_the_change_of_the_means() -> None:
    once = pd.DataFrame({"arm": "a", "clock": 1000, "agreeing": [0.1, 0.3], "contradicting": [1.0, 1.4]})
    rows = pd.concat([once.assign(step="whole"), once.assign(step="half", contradicting=[1.1, 1.4])])
    (line,) = log_odds_time.step_effect(rows).to_dict("records")
    assert line["agreeing"] == 0
    assert line["contradicting"] == pytest.approx(0.05)
    assert line["contradicting / se"] == pytest.approx(0.05 / 0.2)  # 1.0 and 1.4: a standard error of 0.2
