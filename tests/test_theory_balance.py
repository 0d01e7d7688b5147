"""Laws of conservation, balanced factors and balancing gauges: random tables, and seeds that no chapter uses."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.linalg import polar, sqrtm
from scipy.stats import ortho_group
from sklearn.linear_model import LinearRegression

from linrep import geometry
from linrep.concepts import all_tokens
from linrep.contexts import all_contexts
from linrep.errors import InputError
from linrep.experiments import balance as conserved
from linrep.experiments import balance_claims, balanced_arms, balanced_factors
from linrep.figures import balance as figures
from linrep.loss import PopulationLoss
from linrep.minibatches import Minibatches, minibatch_gradient
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.start import Tables
from linrep.theory import balance, cones, factors
from linrep.train import TrainConfig, train

SEEDS = st.integers(1000, 10**6)
EXACT = 1e-9
"""Sums of at most a few thousand products of numbers near 1, in double precision: far below 1e-12; generous."""


def gaussian(*shape: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def pair(seed: int, *, contexts: int = 9, tokens: int = 7, dim: int = 3) -> Tables:
    return gaussian(contexts, dim, seed=seed), gaussian(tokens, dim, seed=seed + 1)


def turn(dim: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(ortho_group.rvs(dim, random_state=seed))


def gauged(tables: Tables, matrix: torch.Tensor) -> Tables:
    """One pair of tables under a gauge; the package's takes a batch."""
    first, second = cones.gauge((tables[0][None], tables[1][None]), matrix[None])
    return first[0], second[0]


def frobenius(matrix: torch.Tensor) -> torch.Tensor:
    return matrix.flatten(-2).norm(dim=-1)


# ---- what descent conserves


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.01, 2))
def test_a_step_changes_the_imbalance_by_its_square_for_any_loss_of_the_logits(seed: int, step: float) -> None:
    """Against automatic differentiation of a loss that has nothing of a softmax."""
    tables = tuple(table.requires_grad_() for table in pair(seed))
    weight = gaussian(9, 7, seed=seed + 2)
    logits = tables[0] @ tables[1].mT
    value = (weight * torch.sin(logits)).sum() + logits.pow(4).mean()
    gradients = torch.autograd.grad(value, tables)
    before = tuple(table.detach() for table in tables)
    after = tuple(table - step * gradient for table, gradient in zip(before, gradients, strict=True))
    change = balance.imbalance_matrix(after) - balance.imbalance_matrix(before)
    expected = balance.step_change(gradients, step)
    scale = 1 + float(frobenius(expected)) + sum(float(frobenius(table)) ** 2 for table in after)
    assert_allclose(change, expected, atol=1e-12 * scale)
    error = torch.autograd.grad((weight * torch.sin(z := logits.detach().requires_grad_())).sum() + z.pow(4).mean(), z)
    by_formula = step**2 * (
        before[1].mT @ error[0].mT @ error[0] @ before[1] - before[0].mT @ error[0] @ error[0].mT @ before[0]
    )
    assert_allclose(by_formula, expected, atol=1e-12 * scale)


def test_the_sign_of_a_step_s_change() -> None:
    """One number each: f = 2, g = 0, loss −f g, so E = −1; g grows by η f = 2η and D falls by 4η²."""
    gradients = (torch.tensor([[0.0]], dtype=torch.float64), torch.tensor([[-2.0]], dtype=torch.float64))
    assert balance.step_change(gradients, 0.5).item() == pytest.approx(-1.0)


def test_sgd_obeys_the_step_formula_with_the_gradient_of_its_minibatch() -> None:
    (batch,) = make_batches(Setting(concepts=3), range(1000, 1003))
    contexts, tokens = Minibatches(batch.population, seeds=batch.seeds, batch=100, device="cpu").next()
    _, rows, of_tokens = minibatch_gradient(batch.start, contexts, tokens)
    of_contexts = torch.zeros_like(batch.start[0]).scatter_add_(1, contexts.unsqueeze(-1).expand_as(rows), rows)
    end = train(batch.population, batch.start, TrainConfig(0.3, 1, "sgd"), seeds=batch.seeds)
    after = (end.embedding, end.unembedding)
    change = balance.imbalance_matrix(after) - balance.imbalance_matrix(batch.start)
    assert_allclose(change, balance.step_change((of_contexts, of_tokens), 0.3), atol=1e-13)
    assert_allclose(balance.token_sum(end.unembedding), balance.token_sum(batch.start[1]), atol=1e-13)


def test_small_steps_approach_a_flow_that_conserves_the_imbalance() -> None:
    rows = conserved.drift_rows(Setting(concepts=2), seeds=range(1000, 1006), steps=(0.5, 0.25, 0.125), clock=50)
    table = conserved.slopes(rows)
    assert table["slope"]["drift"] == pytest.approx(1, abs=0.05)
    assert table["slope"]["per step"] == pytest.approx(2, abs=0.05)
    assert (table["low"] <= table["slope"]).all()
    assert (rows["share"] > 0.5).all()
    assert (rows["drift"] <= rows["bound"]).all()


def test_weight_decay_takes_the_imbalance_away_at_twice_its_rate() -> None:
    """Euler steps of the exercise's flow: (1 − ημ)² a step, up to the step's own square, which is of order η."""
    (batch,) = make_batches(Setting(concepts=2), (1007,))
    exact = PopulationLoss.of(batch.population, dtype=torch.float64, device="cpu")
    decay, step, steps = 0.5, 1e-3, 1000
    tables = batch.start
    for _ in range(steps):
        _, gradients = exact.value_and_gradient(tables)
        tables = tuple(t - step * (g + decay * t) for t, g in zip(tables, gradients, strict=True))
    expected = math.exp(-2 * decay * step * steps) * balance.imbalance_matrix(batch.start)
    assert_allclose(balance.imbalance_matrix(tables), expected, atol=2e-3 * float(frobenius(expected)))


def test_centring_changes_no_prediction_and_descends_alike() -> None:
    (batch,) = make_batches(Setting(concepts=3), range(1010, 1013))
    ends = []
    for start in (batch.start, balance.centred(batch.start)):
        end = train(batch.population, start, TrainConfig(0.5, 100), seeds=batch.seeds)
        ends.append(balance.centred((end.embedding, end.unembedding)))
        assert_allclose(balance.token_sum(end.unembedding), balance.token_sum(start[1]), atol=1e-12)
    for first, second in zip(*ends, strict=True):
        assert_allclose(first, second, atol=1e-10)
    mean = batch.start[1].mean(dim=-2)
    extra = batch.start[1].shape[-2] * mean.unsqueeze(-1) * mean.unsqueeze(-2)
    centred = balance.imbalance_matrix(balance.centred(batch.start))
    assert_allclose(centred, balance.imbalance_matrix(batch.start) + extra, atol=1e-12)


def test_one_step_separates_the_laws() -> None:
    table = conserved.step_table(conserved.one_step(seeds=range(1020, 1024)))
    assert table["first order, largest"].drop("adam").max() < EXACT
    assert table["first order, least"]["adam"] > 0.1
    assert table["sum moves, largest"][["gd, cross-entropy", "sgd"]].max() < EXACT
    assert table["sum moves, least"]["gd, squared error"] > 0.1


def test_squared_error_is_the_gradient_of_its_value() -> None:
    (batch,) = make_batches(Setting(concepts=2), (1025,))
    loss = conserved.losses(batch)["squared error"]
    tables = tuple(table.clone().requires_grad_() for table in batch.start)
    value, gradients = loss.value_and_gradient(tables)
    for found, expected in zip(gradients, torch.autograd.grad(value.sum(), tables), strict=True):
        assert_allclose(found.detach(), expected, atol=1e-12)


# ---- balanced factors


def balanced_pair(seed: int, sizes: list[float], *, dim: int = 4) -> tuple[Tables, torch.Tensor]:
    """Balanced tables of 9 contexts and 7 tokens with given singular values of the logits, and the logits."""
    left = torch.linalg.qr(gaussian(9, len(sizes), seed=seed)).Q
    right = torch.linalg.qr(gaussian(7, len(sizes), seed=seed + 1)).Q
    half = torch.tensor(sizes, dtype=torch.float64).sqrt()
    frame = turn(dim, seed)[:, : len(sizes)]
    tables = (left * half @ frame.mT, right * half @ frame.mT)
    return tables, tables[0] @ tables[1].mT


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from([[3.0, 2.0, 1.0], [2.0, 2.0, 2.0], [5.0, 1.0, 1.0], [1.0]]))
def test_balanced_tables_are_functions_of_the_logits(seed: int, sizes: list[float]) -> None:
    """Equal singular values included; the root against scipy's general matrix root and polar decomposition."""
    (embedding, unembedding), logits = balanced_pair(seed, sizes)
    assert_allclose(balance.imbalance_matrix((embedding, unembedding)), 0, atol=1e-12)
    assert_allclose(unembedding @ unembedding.mT, factors.balanced_gram(logits), atol=1e-7)
    assert_allclose(embedding @ embedding.mT, polar(logits.mT.numpy(), side="right")[1], atol=1e-7)
    other, _ = balanced_pair(seed, sizes)
    spun = turn(4, seed + 5)
    moved = (other[0] @ spun, other[1] @ spun)  # balanced too, with the same logits
    cross = embedding.mT @ moved[0] + unembedding.mT @ moved[1]
    u, _, vt = np.linalg.svd(cross.numpy())
    best = torch.from_numpy(u @ vt)  # Procrustes: the rotation that the lemma promises
    assert_allclose(embedding @ best, moved[0], atol=1e-7)
    assert_allclose(unembedding @ best, moved[1], atol=1e-7)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.booleans())
def test_orthogonal_forms_of_the_logits_give_orthogonal_matched_concepts(seed: int, equal: bool) -> None:
    """The theorem from the outside: balanced tables from numpy's SVD, lengths and angles from least squares."""
    rng = np.random.default_rng(seed)
    phi = ortho_group.rvs(9, random_state=seed)[:, :3] * rng.uniform(0.5, 3, 3)
    chi = ortho_group.rvs(7, random_state=seed + 1)[:, :3] * rng.uniform(0.5, 3, 3)
    weight = rng.uniform(0.5, 3, 3)
    if equal:
        weight = 2 / (np.linalg.norm(phi, axis=0) * np.linalg.norm(chi, axis=0))
    left, sizes, right = np.linalg.svd((phi * weight) @ chi.T)
    embedding, unembedding = left[:, :3] * np.sqrt(sizes[:3]), right[:3].T * np.sqrt(sizes[:3])
    a = LinearRegression(fit_intercept=False).fit(phi, embedding).coef_.T
    b = LinearRegression(fit_intercept=False).fit(chi, unembedding).coef_.T
    assert_allclose(factors.coordinates(torch.from_numpy(embedding), torch.from_numpy(phi)), a, atol=1e-9)
    ratio = np.linalg.norm(chi, axis=0) / np.linalg.norm(phi, axis=0)
    assert_allclose(a @ a.T, np.diag(weight * ratio), atol=1e-7)
    assert_allclose(b @ b.T, np.diag(weight / ratio), atol=1e-7)
    assert_allclose(a @ b.T, np.diag(weight), atol=1e-7)
    assert_allclose(phi @ a, embedding, atol=1e-7)
    assert_allclose(chi @ b, unembedding, atol=1e-7)


def test_unembeddings_are_as_orthogonal_as_the_coefficients() -> None:
    sign = factors.signs(all_tokens(3))
    phi = gaussian(27, 3, seed=1100)
    gram = factors.balanced_gram(phi @ sign.mT)
    found = sign.mT @ gram @ sign / 64
    assert_allclose(found, sqrtm((phi.mT @ phi).numpy()) / math.sqrt(8), atol=1e-8)
    straight = torch.linalg.qr(phi).Q * torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64)
    inner = sign.mT @ factors.balanced_gram(straight @ sign.mT) @ sign
    assert_allclose(inner - torch.diag(inner.diagonal()), 0, atol=1e-6)


# ---- symmetric logits


def flipped(states: np.ndarray, concept: int) -> list[int]:
    """Where each state goes when the values of a concept are exchanged."""
    place = {tuple(row): index for index, row in enumerate(states.tolist())}
    rows = states.astype(int).tolist()
    return [place[tuple(1 - v if j == concept and v >= 0 else v for j, v in enumerate(row))] for row in rows]


def flip_mean(logits: torch.Tensor, contexts: np.ndarray, tokens: np.ndarray) -> torch.Tensor:
    for concept in range(tokens.shape[1]):
        logits = (logits + logits[flipped(contexts, concept)][:, flipped(tokens, concept)]) / 2
    return logits


@pytest.mark.parametrize("concepts", [2, 3])
def test_the_rank_of_symmetric_logits_counts_the_sets_of_concepts_they_use(concepts: int) -> None:
    contexts, tokens = all_contexts(concepts), all_tokens(concepts)
    logits = flip_mean(gaussian(len(contexts), len(tokens), seed=1110), contexts, tokens)
    sign, known = factors.signs(tokens), factors.signs(contexts)
    assert torch.linalg.matrix_rank(logits) == 2**concepts  # all subsets, the empty one too
    for count in range(concepts + 1):
        subsets = list(itertools.combinations(range(concepts), count))
        chi = torch.stack([sign[:, list(s)].prod(dim=1) for s in subsets], dim=1)
        part = logits @ chi @ chi.mT / len(tokens)
        assert torch.linalg.matrix_rank(part) == len(subsets)
        phi = part @ chi / len(tokens)
        inner = phi.mT @ phi
        assert_allclose(inner - torch.diag(inner.diagonal()), 0, atol=1e-12)
        if count == 1:  # ±s_i(M): the absolute value does not depend on the values known
            assert (phi[known == 0] == 0).all() or phi[known == 0].abs().max() < 1e-12
            sets = np.unique(contexts >= 0, axis=0, return_inverse=True)[1].ravel()
            for group, i in itertools.product(range(sets.max() + 1), range(concepts)):
                values = (phi * known)[sets == group, i]
                assert float(values.max() - values.min()) < 1e-12


def test_symmetric_balanced_tables_stay_symmetric_at_any_step() -> None:
    seeds = range(1120, 1123)
    (plain,) = make_batches(balanced_factors.uniform(3, 1.0), seeds)
    start = balanced_arms.symmetric_start(plain, seeds)
    assert_allclose(balance.imbalance_matrix(start), 0, atol=1e-12)
    end = train(plain.population, start, TrainConfig(3.0, 40), seeds=plain.seeds, warn=False)
    tables = (end.embedding, end.unembedding)
    logits = tables[0] @ tables[1].mT
    contexts, tokens = plain.population.contexts, plain.population.tokens
    for concept in range(3):
        moved = logits[:, flipped(contexts, concept)][:, :, flipped(tokens, concept)]
        assert_allclose(moved, logits, atol=1e-9)
    assert float(frobenius(balance.imbalance_matrix(tables)).min()) > 1e-3  # the steps did unbalance
    b = factors.coordinates(tables[1], factors.signs(tokens))
    a = factors.coordinates(tables[0], factors.token_functions(logits, tokens))
    assert_allclose(geometry.gram(b), np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-9)
    assert_allclose((geometry.unit(a) * geometry.unit(b)).sum(-1), 1, atol=1e-9)


def test_slopes_and_lengths_are_read_off_planted_logits() -> None:
    contexts, tokens = all_contexts(3), all_tokens(3)
    slopes = torch.tensor([5.64, 5.23, 4.83], dtype=torch.float64)
    phi = factors.symmetric_functions(slopes, contexts)
    logits = phi @ factors.signs(tokens).mT
    assert_allclose(factors.token_functions(logits, tokens), phi, atol=1e-12)
    assert_allclose(factors.known_slopes(phi, contexts), slopes, atol=1e-12)
    size = sum(math.comb(2, n - 1) * 2**n * float(s) ** 2 for n, s in enumerate(slopes, start=1))
    long, short = factors.predicted_lengths(phi, 8)
    assert_allclose(short, math.sqrt(size / 8))  # the exercise: 7.66 and 0.131
    assert_allclose(long, math.sqrt(8 / size))
    assert short[0].item() == pytest.approx(7.66, abs=0.005)
    assert long[0].item() == pytest.approx(0.131, abs=0.0005)
    assert factors.apart(logits, logits) == 0


# ---- imbalance and gauges


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_one_gauge_balances_and_changes_no_logit(seed: int) -> None:
    tables = pair(seed)
    matrix = factors.balancing_gauge(tables)
    assert_allclose(matrix, matrix.mT, atol=1e-9)
    assert float(torch.linalg.eigvalsh(matrix)[0]) > 0
    even = gauged(tables, matrix)
    for alone, stacked in zip(even, factors.rebalanced((tables[0][None], tables[1][None])), strict=True):
        assert_allclose(alone, stacked[0], atol=1e-12)
    assert_allclose(balance.imbalance_matrix(even), 0, atol=1e-8)
    assert_allclose(even[0] @ even[1].mT, tables[0] @ tables[1].mT, atol=1e-8)
    again = gauged(tables, turn(3, seed) @ matrix)
    assert_allclose(balance.imbalance_matrix(again), 0, atol=1e-8)
    assert float(frobenius(balance.imbalance_matrix(gauged(tables, 1.1 * matrix)))) > 1e-3
    spread = cones.spread_gauge(turn(3, seed + 1), turn(3, seed + 2), 7.0)
    moved = gauged(tables, spread)
    back = gauged(moved, factors.balancing_gauge(moved))  # from any gauge to the same Gram matrices
    assert_allclose(back[1] @ back[1].mT, even[1] @ even[1].mT, atol=1e-7)
    grams = [(table.mT @ table).numpy() for table in tables]
    half = sqrtm(grams[1])
    mean = np.linalg.inv(half) @ sqrtm(half @ grams[0] @ half) @ np.linalg.inv(half)
    assert_allclose(matrix @ matrix, mean.real, rtol=1e-6, atol=1e-8)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(1, 8))
def test_an_imbalance_moves_no_cosine_further_than_the_theorem_allows(seed: int, condition: float) -> None:
    tables, _ = balanced_pair(seed, [4.0, 3.0, 1.0], dim=3)
    matrix = cones.spread_gauge(turn(3, seed + 1), turn(3, seed + 2), condition)
    uneven = gauged(tables, matrix)
    angle = float(factors.balance_angle(uneven))
    for before, after in zip(tables, uneven, strict=True):
        weights = gaussian(20, len(before), seed=seed + 3)
        cosines = [geometry.gram(weights @ table) for table in (before, after)]
        assert float((cosines[0] - cosines[1]).abs().max()) <= 2 * math.tan(angle / 2) + EXACT
        upright = torch.linalg.qr((weights[:3] @ before).mT).Q.mT  # orthogonal combinations of the rows
        mix = upright @ torch.linalg.pinv(before)
        turned = geometry.gram(mix @ after) - torch.eye(3, dtype=torch.float64)
        assert float(turned.abs().max()) <= math.sin(angle) + EXACT
    common = gaussian(10, 3, seed=seed + 4)
    first, second = (common @ torch.linalg.pinv(before) @ after for before, after in zip(tables, uneven, strict=True))
    assert float((geometry.unit(first) * geometry.unit(second)).sum(-1).min()) >= math.cos(angle) - EXACT


@pytest.mark.parametrize("tau", [0.1, 1.0, 3.0])
def test_the_bounds_are_attained_in_two_dimensions(tau: float) -> None:
    size = 2.0
    even = (math.sqrt(size) * torch.eye(2, dtype=torch.float64),) * 2
    matrix = torch.diag(torch.tensor([math.exp(tau / 2), math.exp(-tau / 2)], dtype=torch.float64))
    uneven = gauged(even, torch.linalg.inv(matrix))  # F = F'A, G = G'A⁻¹
    angle = float(factors.balance_angle(uneven))
    assert math.tan(angle) == pytest.approx(math.sinh(tau))
    assert math.sin(angle) == pytest.approx(math.tanh(tau))
    cross = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    for table in uneven:
        assert abs(geometry.gram(cross @ table)[0, 1].item()) == pytest.approx(math.sin(angle))
    matched = (geometry.unit(cross @ uneven[0]) * geometry.unit(cross @ uneven[1])).sum(-1)
    assert_allclose(matched, math.cos(angle))
    slope = math.exp(-tau / 2)  # ±θ/2 to the axis that A shrinks, tan(θ/2) = e^(−τ/2)
    narrow = torch.tensor([[slope, 1.0], [-slope, 1.0]], dtype=torch.float64)
    change = geometry.gram(narrow)[0, 1] - geometry.gram(narrow @ matrix)[0, 1]
    assert change.item() == pytest.approx(2 * math.tan(angle / 2))


def test_singular_values_of_the_logits_come_from_small_matrices() -> None:
    embedding, unembedding = gaussian(5, 20, 4, seed=1200), gaussian(5, 9, 4, seed=1201)
    expected = np.linalg.svd((embedding @ unembedding.mT).numpy(), compute_uv=False)[:, :4]
    assert_allclose(factors.logit_singular_values((embedding, unembedding)), expected, rtol=1e-10)
    gap = balance.imbalance_matrix((embedding, unembedding))
    assert_allclose(balance.spectral_norm(gap), np.linalg.norm(gap.numpy(), ord=2, axis=(-2, -1)), rtol=1e-10)


# ---- the experiments' own rules


def test_a_small_start_meets_the_predictions_and_a_large_one_does_not() -> None:
    found = balanced_factors.sweep(2, (0.01, 1.0), seeds=range(1210, 1215), clocks=(1000, 3000))
    last = balanced_factors.by(found[found["clock"] == 3000], ["scale"], ["length a", "length b", "between", "used"])
    assert last.loc[0.01, ["length a", "length b"]].max() < 0.01 < last.loc[1.0, ["length a", "length b"]].max()
    assert last["used"].max() <= 1
    half = balanced_factors.sweep(2, (0.01, 1.0), seeds=range(1210, 1215), clocks=(1000, 3000), part=0.5)
    assert balanced_factors.step_moves(found, half, on=["scale", "seed", "clock"]) < 0.005


def test_stacked_starts_train_as_they_do_alone() -> None:
    seeds = range(1220, 1222)
    found = balanced_factors.sweep(2, (0.1, 0.5), seeds=seeds, clocks=(50,))
    alone = balanced_factors.sweep(2, (0.5,), seeds=seeds, clocks=(50,))
    both = found[found["scale"] == 0.5].merge(alone, on="seed", suffixes=("", " alone"))
    for name in balanced_factors.NUMBERS:
        assert_allclose(both[name], both[f"{name} alone"], rtol=1e-4, atol=1e-7)


def test_the_logits_say_what_balanced_tables_have() -> None:
    found = balanced_arms.restored_rows(seeds=range(1230, 1233))
    table = found.pivot(index="seed", columns="tables", values="between")
    batch, tables, _ = balanced_arms.trained(balanced_factors.uniform(3, 1.0), seeds=range(1230, 1233))
    said = balanced_factors.logit_between(tables[0] @ tables[1].mT, batch.population)
    assert_allclose(table["gauged, rebalanced"], said, atol=1e-7)
    assert found["logits move"].max() < EXACT


def test_dependent_worlds_too_have_the_angles_of_their_logits_at_half_the_step_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once = balanced_arms.world_rows(seeds=range(1240, 1243))
    monkeypatch.setattr(balanced_arms, "STEP", balanced_arms.STEP / 2)
    half = balanced_arms.world_rows(seeds=range(1240, 1243))
    assert (once["between"] - once["as logits say"]).abs().max() < 0.001
    assert balanced_factors.step_moves(once, half, on=["world", "seed"]) < 0.005


def test_pairs_of_arms_start_from_the_same_logits() -> None:
    first, second = balanced_arms.causal_batch(range(1250, 1252)).start
    logits = (first @ (second - second.mean(dim=-2, keepdim=True)).mT).reshape(4, 2, 27, 8)
    assert_allclose(logits[0], logits[1], atol=1e-9)
    assert_allclose(logits[2], logits[3], atol=1e-9)


def test_the_record_s_smoke_run_has_its_rows_and_its_check() -> None:
    record = balanced_factors.record("smoke")
    table = record.to_frame()
    assert set(table["m"]) == {2, 3}
    assert len(table) == 2 * 2 * len(balanced_factors.SCALES)
    assert set(record.body["half_step_moves"]) == {"2", "3"}
    assert len(record.to_json()) < 100_000


def test_claims_fail_when_the_numbers_do() -> None:
    steps = pd.DataFrame(
        {
            "arm": ["gd, cross-entropy", "gd, squared error", "sgd", "adam"],
            "first order": [0.0, 0.0, 0.0, 0.5],
            "sum moves": [0.0, 0.3, 0.0, 0.5],
        }
    )
    rates = pd.DataFrame({"slope": {"drift": 1.0, "per step": 2.0}})
    assert balance_claims.conserved(steps, rates).verdict == "holds in range"
    assert balance_claims.conserved(steps, rates * 1.1).verdict == "different"
    assert balance_claims.token_sum(steps).verdict == "holds in range"
    assert balance_claims.token_sum(steps.assign(**{"sum moves": 0.0})).verdict == "different"
    moved = pd.DataFrame({"arm": ["gd", "sgd", "adam"], "drift": [0.5, 2.0, 9.0], "allowed": 1.0})
    assert balance_claims.drift(moved).verdict == "new"
    assert balance_claims.drift(moved.assign(drift=[1.5, 2.0, 9.0])).verdict == "different"
    flags = {"clock": 10_000, "fitted": True, "monotone": True}
    numbers = {"length a": [0.0, 0.3], "length b": [0.0, 0.2], "worst pair": [0.0005, 0.1]}
    live = pd.DataFrame({"scale": [0.01, 1.0]} | flags | numbers)
    gauged = pd.DataFrame({"length a": [0.3], "length b": [0.2], "between": [0.2]} | flags)
    assert balance_claims.balanced(live, gauged).verdict == "new"
    assert balance_claims.balanced(live.assign(**{"worst pair": 0.002}), gauged).verdict == "different"
    assert balance_claims.balanced(live, gauged.assign(**{"length a": 0.0, "length b": 0.0})).verdict == "different"


def test_seeds_that_count_everywhere_are_those_that_count_in_every_row() -> None:
    table = pd.DataFrame({"seed": [0, 1, 0, 1], "fitted": [True, True, True, False], "monotone": True})
    assert balanced_factors.in_all(table)["seed"].tolist() == [0, 0]


def test_a_gauge_breaks_the_balance_and_leaves_the_logits() -> None:
    rows = balanced_arms.unbalanced_rows(seeds=range(1260, 1262))
    assert (rows[["length a", "length b"]].max(axis=1) > 0.05).all()
    assert (rows["as logits say"] < 0.05).all()


def test_figures_have_their_panels() -> None:
    drift = pd.DataFrame(
        {"step": [1.0, 0.5, 1.0, 0.5], "drift": [1.0, 0.5, 2.0, 1.0], "per step": [1.0, 0.25, 2.0, 0.5]}
    )
    panels = {"drift": ("drift", 1), "per step": ("per step", 2)}
    assert len(figures.drift_by_step(drift, panels).axes) == 2
    rows = pd.DataFrame({"m": [3, 3, 6, 6], "scale": [0.1, 1.0, 0.1, 1.0], "between": [0.1, 0.2, 0.1, 0.2]})
    assert [axis.get_title() for axis in figures.by_scale(rows, [3, 6], {"between": "b"}).axes] == [
        "m = k = 3",
        "m = k = 6",
    ]


def test_departures_are_held_to_what_the_imbalance_allows() -> None:
    numbers = {"between": [0.1, 0.2, 0.3], "as logits say": [0.1, 0.1, 0.1], "bound": [0.1, 0.6, 0.6]}
    flags = {"m": 3, "scale": [0.01, 0.1, 1.0], "seed": 1, "fitted": True, "monotone": [True, True, False]}
    found = balanced_arms.departures(pd.DataFrame(flags | numbers))
    assert found["departure"].tolist() == pytest.approx([0.1])
    assert found["allowed"].tolist() == pytest.approx([2 / 3])  # sin α = 0.6 has tan(α/2) = 1/3
    assert len(figures.departure_by_imbalance(found).axes[0].collections) == 1


def test_degenerate_input_is_refused_by_name() -> None:
    tables = pair(1300)
    flat = tables[0] * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    with pytest.raises(InputError, match="columns of F are linearly dependent"):
        factors.balancing_gauge((flat, tables[1]))
    with pytest.raises(InputError, match="columns of G are linearly dependent"):
        factors.balancing_gauge((tables[0], tables[1][:2]))
    with pytest.raises(InputError, match="rank below k = 3"):
        factors.balance_angle((flat, tables[1]))
    with pytest.raises(InputError, match="rank below k = 3"):
        factors.balance_angle((tables[0], tables[1][:2]))
    with pytest.raises(InputError, match=r"least eigenvalue is -1"):
        factors.root(-torch.eye(2, dtype=torch.float64))
    with pytest.raises(InputError, match="φ_i is zero"):
        factors.predicted_lengths(torch.zeros(27, 3, dtype=torch.float64), 8)
    with pytest.raises(InputError, match="7 tokens of 3 concepts; the mean needs all 8"):
        factors.token_functions(gaussian(27, 7, seed=1301), all_tokens(3)[:7])
    with pytest.raises(InputError, match="logits are zero"):
        factors.apart(torch.zeros(3, 2, dtype=torch.float64), torch.ones(3, 2, dtype=torch.float64))
    with pytest.raises(InputError, match=r"the step is 0\.0"):
        balance.step_change(tables, 0.0)
    with pytest.raises(InputError, match="the step is nan"):
        balance.drift_bound(math.nan, torch.ones(1))
    with pytest.raises(InputError, match=r"the share is -1\.0"):
        balance.drift_bound(0.1, torch.ones(1), share=-1.0)
    with pytest.raises(InputError, match=r"the loss fell by -0\.5"):
        balance.drift_bound(0.1, torch.tensor([1.0, -0.5]))
