"""Room: squares of words, leading dimensions, tables fitted to predictions; planted cases; verdicts that can turn."""

import numpy as np
import pandas as pd
import pytest
import torch
from llm_tiny import tokenizer

from linrep.concepts import all_tokens
from linrep.errors import DivergenceError, InputError
from linrep.experiments import room, room_claims, room_squares, room_tables, room_views
from linrep.experiments.room_rules import ranks_of
from linrep.geometry import mean_cosine
from linrep.llm import leading, squares
from linrep.llm.matrix import Unembedding
from linrep.llm.words import TokenPairs, WordPairs, read_pairs
from linrep.stats import MARGIN, Comparison

SQUARES = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_parallelogram_has_no_share_at_the_pair_and_a_lone_interaction_all_of_it() -> None:
    base, one, two, both = normal(4, 6)
    flat = torch.stack([base, base + one, base + two, base + one + two])
    crossed = torch.stack([base + both, base - both, base - both, base + both])
    square = np.arange(4)[None]
    assert squares.shares(squares.effects(flat, square)) == pytest.approx([0], abs=1e-12)
    assert squares.shares(squares.effects(crossed, square)) == pytest.approx([1])
    torch.testing.assert_close(2 * squares.effects(flat, square)[0, :2], torch.stack([one, two]))


def test_effects_are_the_contrasts_of_a_two_by_two_table() -> None:
    table = normal(12, 5)
    w00, w10, w01, w11 = table[torch.from_numpy(SQUARES.T)]
    one, two, pair = squares.effects(table, SQUARES).unbind(dim=1)
    torch.testing.assert_close(one, (w10 + w11 - w00 - w01) / 4)
    torch.testing.assert_close(two, (w01 + w11 - w00 - w10) / 4)
    torch.testing.assert_close(pair, (w00 + w11 - w10 - w01) / 4)


def test_words_without_concepts_have_a_third() -> None:
    found = squares.effects(normal(8000, 3), np.arange(8000).reshape(-1, 4))
    assert squares.shares(found).mean() == pytest.approx(1 / 3, abs=0.01)
    simplex = squares.effects(torch.eye(8, dtype=torch.float64), squares.token_squares(all_tokens(3))[0, 2])
    assert squares.shares(simplex) == pytest.approx([1 / 3, 1 / 3])
    with pytest.raises(InputError, match="four equal words"):
        squares.shares(squares.effects(torch.zeros(4, 2, dtype=torch.float64), np.arange(4)[None]))


def test_squares_of_tokens_differ_in_two_concepts_and_in_nothing_else() -> None:
    tokens = all_tokens(4)
    found = squares.token_squares(tokens)
    assert len(found) == 6
    for (first, second), each in found.items():
        assert len(each) == 4
        assert len(np.unique(each)) == 16
        for corner, (one, two) in zip(each.T, ((0, 0), (1, 0), (0, 1), (1, 1)), strict=True):
            assert (tokens[corner, first] == one).all()
            assert (tokens[corner, second] == two).all()
            rest = [i for i in range(4) if i not in (first, second)]
            assert (tokens[corner][:, rest] == tokens[each[:, 0]][:, rest]).all()


def test_the_fourth_word_comes_from_another_square() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        dealt = squares.fourth_dealt(SQUARES, generator=rng)
        assert (dealt[:, :3] == SQUARES[:, :3]).all()
        assert (dealt[:, 3] != SQUARES[:, 3]).all()
        assert set(dealt[:, 3]) == {3, 7, 11}
    with pytest.raises(InputError, match=r"1 square\(s\) given"):
        squares.fourth_dealt(SQUARES[:1], generator=rng)


def test_a_planted_interaction_is_one_direction_and_apart() -> None:
    one, two, pair = torch.eye(6, dtype=torch.float64)[:3]
    signs = torch.tensor([[-1.0, -1, 1], [1, -1, -1], [-1, 1, -1], [1, 1, 1]], dtype=torch.float64)
    table = torch.cat([normal(1, 6, seed=s) + signs @ torch.stack([one, two, pair]) for s in range(3)])
    found = squares.interaction(squares.effects(table, SQUARES))
    assert found["pair"] == pytest.approx(1)
    assert found["along"] == pytest.approx(0, abs=1e-12)
    for main in (one, two):
        tilted = torch.cat([table[4 * s : 4 * s + 4] + signs[:, 2:] * 3 * main for s in range(3)])
        assert squares.interaction(squares.effects(tilted, SQUARES))["along"] == pytest.approx(0.9**0.5)


def test_the_bootstrap_draws_families_and_squares_within_them() -> None:
    same = {"a": np.full(5, 0.1), "b": np.full(7, 0.1)}
    assert squares.bootstrap_means(same, draws=50, seed=0) == pytest.approx(np.full(50, 0.1))
    apart = squares.bootstrap_means({"a": np.zeros(500), "b": np.ones(3)}, draws=2000, seed=0)
    assert apart.mean() == pytest.approx(0.5, abs=0.03), "each family counts once, whatever its size"
    assert apart.std() == pytest.approx(0.5**1.5, abs=0.02), "families are drawn"
    within = squares.bootstrap_means({"a": np.array([0.0, 1.0] * 8)}, draws=2000, seed=0)
    assert within.std() == pytest.approx(0.5 / 4, abs=0.01), "and squares within them"


def test_only_squares_of_four_single_tokens_are_kept() -> None:
    given = [("king", "queen", "man", "woman"), ("king", "queen", "kingdom", "woman"), ("boy", "girl", "boy", "aunt")]
    found = squares.tokenised("f", given, tokenizer())
    assert (found.read, found.words) == (3, (given[0],))
    ids = [tokenizer()(f"a {word}", add_special_tokens=False).input_ids[1:] for word in given[0]]
    assert found.squares.tolist() == [[each[0] for each in ids]]


def test_capitals_are_crossed_with_concepts_in_lower_case() -> None:
    concepts = [WordPairs("c", (("walk", "walked"), ("I", "my"))), WordPairs("lower-upper", (("a", "A"),))]
    found = squares.read_squares(concepts)
    assert found["c, capital"] == [("walk", "walked", "Walk", "Walked")]
    assert "lower-upper, capital" not in found
    assert {name.split(", ")[1] for name in found} == {
        "number",
        "comparative",
        "superlative",
        "adverb",
        "past",
        "capital",
    }


def test_the_squares_of_the_file_are_squares() -> None:
    every = squares.read_squares([])
    for name, each in every.items():
        assert len({words[0] for words in each}) == len(each), f"{name}: a word is twice in one corner"
        assert all(len(set(words)) == 4 for words in each)
        assert all(word == word.strip() and word.islower() for words in each for word in words)
    known = {pair for concept in read_pairs() for pair in concept.pairs}
    gender = [words[:2] in known for words in every["gender, number"]]
    assert sum(gender) >= len(gender) - 3


def test_components_come_widest_first() -> None:
    spread = torch.tensor([1.0, 5, 3], dtype=torch.float64)
    axes, found = leading.component_order(normal(4000, 3) * spread)
    torch.testing.assert_close(found, spread[[1, 2, 0]], rtol=0.05, atol=0)
    assert axes[1, 0].abs() > 0.99
    assert axes[2, 1].abs() > 0.99


@pytest.mark.parametrize("flat", [False, True])
def test_the_order_by_predictions_is_that_of_the_centred_logits(flat: bool) -> None:
    """Coordinates are the right singular vectors of the logits, times √words; a flat table has one dimension less."""
    words, states = normal(50, 4), normal(30, 4, seed=1) * torch.tensor([1.0, 4, 2, 3], dtype=torch.float64)
    if flat:
        words[:, 3] = words[:, 0] + 2
    found = words @ leading.prediction_order(words, states)
    logits = states @ words.T
    centred = logits - logits.mean(dim=0) - logits.mean(dim=1, keepdim=True) + logits.mean()
    _, size, right = torch.linalg.svd(centred)
    assert found.shape[1] == 4 - flat
    cosines = torch.nn.functional.normalize(found - found.mean(dim=0), dim=0).T @ right[: 4 - flat].T
    torch.testing.assert_close(cosines.abs(), torch.eye(4 - flat, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(found.std(dim=0, correction=0), torch.ones(4 - flat, dtype=torch.float64))
    assert (size.diff() <= 0).all()


def test_a_random_order_turns_and_keeps_inner_products() -> None:
    order = normal(5, 4)
    turned = leading.random_order(order, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(turned @ turned.T, order @ order.T)
    assert not torch.allclose(turned, order, atol=0.1)


def concept(pairs: int = 30, *, shared: int = 0, noise: float = 1.0) -> torch.Tensor:
    """Words whose pairs differ along one axis, by 2, and by noise everywhere."""
    zero = normal(pairs, 12, seed=5)
    one = zero + noise * normal(pairs, 12, seed=6)
    one[:, shared] += 2
    return torch.stack([one, zero])


def test_a_concept_in_the_leading_dimensions_is_seen_there_and_one_in_the_last_is_not() -> None:
    rng = np.random.default_rng(0)
    orders = leading.dealt_orders(concept(), 100, generator=rng)
    first, last = (leading.by_rank(concept(shared=axis), (2, 6, 12), orders) for axis in (0, 11))
    excess = first[:, 0] - first[:, 1]
    assert excess[0] > excess[1] > excess[2] > 0.05
    assert (last[:2, 0] < 0.1).all()
    words = concept()
    assert first[2, 0] == pytest.approx(float(mean_cosine(words[0] - words[1])))
    with pytest.raises(InputError, match="r is 13; allowed are 1 to 12"):
        leading.by_rank(words, (2, 13), orders)


def test_placed_concepts_are_as_strong_as_asked_and_no_stronger_in_front() -> None:
    spread = torch.linspace(3, 0.5, 200, dtype=torch.float64)
    draw = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    values = []
    for _ in range(12):
        words = leading.placed(spread, 40, 0.3, generator=draw)
        found = leading.by_rank(words, (50, 200), leading.dealt_orders(words, 50, generator=rng))
        values.append(found[:, 0] - found[:, 1])
        assert float(mean_cosine(words[0] - words[1])) == pytest.approx(0.3, abs=0.1)
    mean = np.mean(values, axis=0)
    assert mean[0] == pytest.approx(mean[1], abs=0.02)
    with pytest.raises(InputError, match=r"common is 1\.5"):
        leading.placed(spread, 4, 1.5, generator=draw)


def test_the_choice_is_made_on_the_other_half() -> None:
    excess = np.array([[0.0, 1.0], [5.0, 0.0], [0.0, 1.0], [5.0, 0.0]])  # even places like choice 1, odd ones choice 0
    gain, best = leading.crossed(excess, np.zeros(4))
    assert best == (1, 0)
    assert gain.tolist() == [0, 0, 0, 0]
    noise = np.random.default_rng(0).standard_normal((400, 20, 8))
    honest = [leading.crossed(each, np.zeros(20))[0].mean() for each in noise]
    assert np.mean(honest) == pytest.approx(0, abs=0.03), "choosing on the half that is measured would give 0.3"
    with pytest.raises(InputError, match="two halves need 4"):
        leading.crossed(excess[:3], np.zeros(3))


def target(texts: int = 9, words: int = 7) -> torch.Tensor:
    return torch.softmax(2 * normal(texts, 3) @ normal(words, 3, seed=1).T, dim=-1)


def test_a_fit_reaches_what_two_factors_can_say() -> None:
    found = room_tables.fit(target(), 4, scale=0.1, step_size=1.0, steps=400, marks=(20, 100))
    assert found.monotone
    assert (found.step_size, found.steps) == (1.0, 400)
    assert found.kl[0] > found.kl[1] > found.kl[2]
    assert 0 <= found.kl[2] < 0.02
    assert len(found.tables) == 3
    assert not torch.equal(found.tables[0], found.tables[2])


def test_a_step_that_is_too_large_is_halved_at_the_same_clock_and_divergence_is_an_error() -> None:
    step = room_tables.shared_step(target(), (4,), scale=0.5)
    found = room_tables.fit(target(), 4, scale=0.5, step_size=4 * step, steps=100)
    assert found.monotone
    assert found.step_size < 4 * step
    assert found.step_size * found.steps == 4 * step * 100
    with pytest.raises(DivergenceError, match="k = 4: the fit diverged"):
        room_tables.fit(target(), 4, scale=0.5, step_size=1e38, steps=100)


def test_the_floor_of_the_loss_is_the_entropy() -> None:
    p = target()
    by_hand = -(p * p.log()).sum(dim=1).mean()
    assert room_tables.entropy(p) == pytest.approx(float(by_hand))
    loss = room_tables.loss_of(p)
    exact = (torch.linalg.qr(torch.eye(9))[0][None], (p.log().T)[None].float())
    aligned = (torch.eye(9)[None], p.log().T.float()[None])
    assert float(loss.value(aligned)[0]) == pytest.approx(float(by_hand), abs=1e-5)
    assert float(loss.value(exact)[0]) >= float(by_hand) - 1e-5


def interval(low: float, high: float) -> Comparison:
    return Comparison((low + high) / 2, low, high, "undecided")


def test_words_of_verdicts_follow_the_interval() -> None:
    assert room_views.word_of(interval(MARGIN + 0.01, 0.2)) == "new"
    assert room_views.word_of(interval(-0.1, MARGIN - 0.01)) == "different"
    assert room_views.word_of(interval(0.0, 0.1)) == "undecided"


def test_the_rule_finds_a_planted_gain_and_no_gain_where_there_is_none() -> None:
    names, columns = [f"c{i}" for i in range(12)], [2, 8, 128, 256, 576]
    flat = pd.DataFrame(0.1, index=names, columns=columns)
    gain = flat.copy()
    gain[8] += 0.1
    late = flat.copy()
    late[256] += 0.1
    found, best = room_views.advantage_of(gain)
    assert (room_views.word_of(found), best) == ("new", (8, 8))
    assert room_views.word_of(room_views.advantage_of(flat)[0]) == "different"
    assert room_views.word_of(room_views.advantage_of(late)[0]) == "different", "256 is more than a quarter"


def summary(euclidean: tuple[float, float], causal: tuple[float, float]) -> pd.DataFrame:
    ends = {"euclidean": euclidean, "causal": causal}
    lines = {
        name: {"share": sum(each) / 2, "low": each[0], "high": each[1], "fourth": 0.3} for name, each in ends.items()
    }
    return pd.DataFrame(lines).T


def test_the_claim_on_pairs_can_turn() -> None:
    cases = {
        "new": summary((0.08, 0.1), (0.09, 0.12)),
        "different": summary((0.2, 0.25), (0.3, 0.35)),
        "undecided": summary((0.08, 0.1), (0.2, 0.25)),
    }
    for word, given in cases.items():
        assert room_claims.pairs(given, 0.03, 0.15).verdict == word
    assert room_claims.pairs(summary((0, 0.01), (0, 0.02)), 0.03, 0.15).verdict == "different"


def gains(trained: str, placed: str = "different") -> pd.DataFrame:
    index = pd.MultiIndex.from_product([["components", "predictions"], ["trained", "placed"]], names=["order", "arm"])
    return pd.DataFrame({"more": [0.1, 0.0] * 2, "by the rule": [trained, placed] * 2}, index=index)


@pytest.mark.parametrize("order", ["components", "predictions"])
def test_the_claims_on_leading_dimensions_can_turn(order: str) -> None:
    for word in ("new", "different", "undecided"):
        assert room_claims.leading(order, gains(word), True).verdict == word
    assert room_claims.leading(order, gains("new"), False).verdict == "undecided", "no positive control"
    assert room_claims.leading(order, gains("new", "new"), True).verdict == "undecided", "placed concepts show it too"


def test_the_claim_on_the_control_can_turn() -> None:
    index = pd.MultiIndex.from_tuples([(3, 8, "0.1")], names=["m", "k", "start"])
    means = pd.DataFrame({"components U m": [0.99], "components U full": [0.6]}, index=index)
    wide, none = interval(0.1, 0.2), interval(-0.01, 0.02)
    assert room_claims.control(means, wide, none).verdict == "new"
    assert room_claims.control(means, none, none).verdict == "undecided"
    assert room_claims.control(means, wide, wide).verdict == "undecided"
    assert room_claims.control(means.assign(**{"components U m": 0.9}), wide, none).verdict == "undecided"


def test_the_claim_on_our_own_tables_can_turn() -> None:
    for word in ("new", "different", "undecided"):
        table = pd.DataFrame({"more": [0.1, 0.0], "by the rule": [word, "different"]}, index=[0.1, 0.01])
        found = room_claims.tables(table)
        assert (found.verdict, found.number, found.control) == (word, 0.1, 0.0)


def planted_words(*, interaction: float) -> tuple[torch.Tensor, np.ndarray]:
    """Twelve squares: effects of two concepts in the first two of eight dimensions, an interaction in the last."""
    signs = torch.tensor([[-1.0, -1, 1], [1, -1, -1], [-1, 1, -1], [1, 1, 1]], dtype=torch.float64)
    base = normal(12, 1, 8).expand(-1, 4, -1).clone()
    base[..., :2] += 2 * signs[:, :2]
    base[..., -1] += interaction * signs[:, 2]
    return base.flatten(0, 1) + 0.01 * normal(48, 8, seed=2), np.arange(48).reshape(-1, 4)


def test_an_interaction_in_further_dimensions_is_seen_there_only() -> None:
    table, places = planted_words(interaction=1.0)
    family = squares.Family("f", 12, places, tuple(("a", "b", "c", "d") for _ in places))
    model = Unembedding("planted", 8, table, None)
    (narrow, *_, full) = room_squares.share_rows(model, {"given": torch.eye(8, dtype=torch.float64)}, [family])
    assert (narrow["r"], full["r"]) == (2, 8)
    assert narrow["share"] == pytest.approx(0, abs=0.001)
    assert full["share"] == pytest.approx(1 / 9, abs=0.005)
    assert narrow["fourth"] > 0.01 < full["fourth"]
    numbers = room_squares.family_numbers(table, places)
    assert np.mean(numbers["shares"]) == pytest.approx(1 / 9, abs=0.005)
    assert min(numbers["one"], numbers["two"], numbers["pair"]) > 0.98
    assert numbers["pair, fourth"] < 0.9
    none = room_squares.family_numbers(*planted_words(interaction=0.0))
    assert np.mean(none["shares"]) < 0.001
    assert abs(none["pair"]) < 0.5


def test_rows_of_a_concept_hold_every_r_and_the_whole_space() -> None:
    words = concept()
    row = room.rank_row("o", "a", "c", words)
    assert len(row["within"]) == len(row["shuffled"]) == len(ranks_of(12)) == 4
    assert row["within"][-1] == pytest.approx(float(mean_cosine(words[0] - words[1])), abs=1e-5)
    ids = np.array([3, 5, 8, 9])
    pairs = np.array([[3, 5], [8, 9], [5, 9]])
    table = normal(4, 6)
    found = room.table_numbers(table, ids, [TokenPairs("c", 3, pairs, (), ())])
    differences = torch.stack([table[0] - table[1], table[2] - table[3], table[1] - table[3]])
    assert found["within"] == [pytest.approx(float(mean_cosine(differences)), abs=1e-5)]


def test_the_claims_follow_from_the_record() -> None:
    found = {claim.key: claim for claim in room_claims.claims()}
    assert list(found) == ["room-control", "room-components", "room-predictions", "room-pairs", "room-tables"]
    table = room_views.advantage_table()
    assert found["room-predictions"].number == table["more"]["predictions", "trained"]
    least, most = room_views.bounds()
    assert 0 < least < most < 1 / 3
