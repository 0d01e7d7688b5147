"""Steering: least directions, costs against independent formulas, halves that share nothing, verdicts that turn."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from llm_tiny import network, tokenizer
from torch.autograd.functional import hessian

from linrep.errors import InputError, LinrepError
from linrep.experiments import steering, steering_claims, steering_views
from linrep.experiments.steering import CONTEXT, CONTROLS, COST, DIRECTIONS, KL, NAT, concept_rows
from linrep.experiments.steering_split import (
    FEW,
    Ground,
    controls,
    directions,
    ground,
    off_target,
    related,
    some_texts,
    split_of,
)
from linrep.llm.contexts import ContextConcept, ContextPair, read_contexts
from linrep.llm.network import LanguageModel
from linrep.llm.products import covariance
from linrep.llm.steered import (
    alpha_at,
    changes,
    cost,
    forecast_covariance,
    halves,
    least_spread,
    linked_halves,
    log_forecast,
    logit_shift,
)
from linrep.llm.words import TokenPairs

DIM, VOCABULARY = 6, 80
CONCEPT = ContextConcept(
    "male-female",
    tuple(
        ContextPair(template, filler, f"t{template} {filler} he", f"t{template} {filler} she", f"w{word}", f"v{word}")
        for template, (filler, word) in product(range(1, 7), ((1, 0), (2, 5)))
    ),
)


@pytest.fixture
def table() -> torch.Tensor:
    return torch.randn(VOCABULARY, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def token_pairs(name: str, pairs: list[tuple[int, int]]) -> TokenPairs:
    words = tuple((f"w{number}", f"v{number}") for number in range(len(pairs)))
    return TokenPairs(name, len(pairs), np.array(pairs), words, ())


@pytest.fixture
def given(table: torch.Tensor) -> Ground:
    words = [
        token_pairs("male-female", [(2 * i + 1, 2 * i) for i in range(8)]),
        token_pairs("verb-ving", [(21, 20), (23, 22), (1, 24)]),  # the last shares token 1
        token_pairs("verb-ved", [(31, 30), (33, 32)]),
        token_pairs("noun-plural", [(41, 40), (0, 1)]),
    ]
    texts = [text for pair in CONCEPT.pairs for text in (pair.context0, pair.context1)]
    neutral = {"male-female": ["own"], "verb-ving": ["n1", "n2", "n3"], "verb-ved": ["n4", "n5"]}
    texts += [text for each in neutral.values() for text in each]
    states = torch.randn(len(texts), DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    states[1 : 2 * len(CONCEPT.pairs) : 2] += 0.5 * (table[1:16:2] - table[0:16:2]).mean(dim=0)
    return Ground(
        unembedding=table,
        words={each.name: each for each in words},
        pool=np.arange(50, 80),
        covariance=covariance(table),
        fisher=forecast_covariance(log_forecast(states[-5:], table), table),
        states=dict(zip(texts, states, strict=True)),
        neutral=neutral,
    )


def test_halves_share_no_token_and_lose_no_pair() -> None:
    pairs = np.array([(0, 1), (2, 3), (2, 4), (5, 6), (7, 6), (8, 9), (10, 11), (12, 13), (14, 15)])
    drawn = set()
    for seed in range(20):
        first, second = linked_halves(pairs, generator=np.random.default_rng(seed))
        assert sorted([*first, *second]) == list(range(9))
        assert not set(pairs[first].ravel()) & set(pairs[second].ravel())
        assert abs(len(first) - len(second)) == 1
        drawn.add(tuple(first))
    assert len(drawn) > 10
    assert {len(first) for first in drawn} == {4, 5}  # either half may have one more
    with pytest.raises(InputError, match="all 2 pairs are linked by tokens they share"):
        linked_halves(np.array([(0, 1), (2, 1)]), generator=np.random.default_rng(0))


def test_templates_are_halved() -> None:
    first, second = halves([3, 1, 3, 2, 5, 1, 9], generator=np.random.default_rng(0))
    assert (len(first), len(second), first | second) == (2, 3, {1, 2, 3, 5, 9})
    with pytest.raises(InputError, match=r"1 template\(s\) given; halves need 2 or more"):
        halves([4, 4], generator=np.random.default_rng(0))


def test_the_least_direction_beats_all_others_on_random_pairs(table: torch.Tensor) -> None:
    """The proposition of the chapter: mean squared change of all pairs of tokens, at one change of the target."""
    toward = table[1] - table[0]
    best = least_spread(covariance(table), toward)
    assert float(best @ toward) == pytest.approx(1)

    def spread(d: torch.Tensor) -> float:
        moved = table @ d
        return float((moved[:, None] - moved[None, :]).square().mean())

    least = 2 / float(toward @ torch.linalg.solve(covariance(table), toward))
    assert spread(best) == pytest.approx(least)
    for seed in range(50):
        other = torch.randn(DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        near = best + 0.01 * (other - (other @ toward) / (toward @ toward) * toward)
        assert spread(near) > least
        assert spread(other / (other @ toward)) > least
    with pytest.raises(InputError, match="is singular"):
        least_spread(torch.zeros(DIM, DIM, dtype=torch.float64), toward)
    with pytest.raises(InputError, match="the mean difference is zero"):
        least_spread(covariance(table), 0 * toward)


def test_the_forecasts_covariance_is_the_second_derivative_of_the_log_partition(table: torch.Tensor) -> None:
    states = torch.randn(3, DIM, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = torch.stack([hessian(lambda h: (table @ h).logsumexp(dim=0), state) for state in states]).mean(dim=0)
    found = forecast_covariance(log_forecast(states, table), table, rows=7)
    torch.testing.assert_close(found, expected)


def test_the_cost_is_the_divergence_of_the_two_forecasts(table: torch.Tensor) -> None:
    states = torch.randn(4, DIM, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    d = torch.randn(DIM, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    plain, moved = log_forecast(states, table), logit_shift(table, d)
    for alpha in (0.01, 0.3, 2.0):
        steered = log_forecast(states + alpha * d, table)
        kl = torch.nn.functional.kl_div(plain, steered, log_target=True, reduction="batchmean")
        share = (steered.argmax(dim=1) != plain.argmax(dim=1)).double().mean()
        assert cost(plain, moved, alpha=alpha) == pytest.approx((float(kl), float(share)))
        assert cost(plain, moved, alpha=alpha_at(plain, moved, kl=float(kl)))[0] == pytest.approx(float(kl), rel=1e-4)
    quadratic = 0.5 * 1e-4 * float(d @ forecast_covariance(plain, table) @ d)
    assert cost(plain, moved, alpha=0.01)[0] == pytest.approx(quadratic, rel=0.05)
    small = 1e-9 * moved
    assert cost(plain, small, alpha=alpha_at(plain, small, kl=0.1))[0] == pytest.approx(0.1, rel=1e-4)


def test_no_step_costs_more_than_the_forecast_allows(table: torch.Tensor) -> None:
    states = torch.randn(4, DIM, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    moved = logit_shift(table, table[0])
    with pytest.raises(LinrepError, match=r"no step along the direction costs 1000\.0 nats"):
        alpha_at(log_forecast(states, table), moved, kl=1000.0)


def test_log_odds_change_by_the_same_number_in_every_context(table: torch.Tensor) -> None:
    states = torch.randn(5, DIM, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    d = torch.randn(DIM, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    before, after = log_forecast(states, table), log_forecast(states + d, table)
    moved = (after[:, 3] - after[:, 8]) - (before[:, 3] - before[:, 8])
    expected = changes(table, np.array([(3, 8)]), d)
    np.testing.assert_allclose(moved.numpy(), np.repeat(expected, 5))


def test_a_split_holds_out_words_and_templates(given: Ground) -> None:
    split = split_of(given, CONCEPT, 0)
    assert not set(split.training.ravel()) & set(split.held.ravel())
    assert len(split.training) + len(split.held) == 8
    held = {tuple(pair) for pair in split.held.tolist()}
    male_female = given.words["male-female"]
    words = dict(zip(male_female.words, male_female.pairs.tolist(), strict=True))
    expected = sum(tuple(words[f"w{word}", f"v{word}"]) in held for word in (0, 5)) * 3  # three held-out templates
    assert split.states.shape == (2, expected, DIM)
    assert split.context_effect == pytest.approx(float(split.shift @ split.toward))
    step = torch.ones(DIM, dtype=torch.float64)
    np.testing.assert_allclose(split.held_odds(step) - split.held_odds(None), (split.differences @ step).numpy())
    again, other = split_of(given, CONCEPT, 0), split_of(given, CONCEPT, 1)
    assert torch.equal(again.toward, split.toward)
    assert not torch.equal(other.toward, split.toward)


def test_the_context_direction_knows_training_templates_alone(given: Ground) -> None:
    split = split_of(given, CONCEPT, 0)
    shifts = {
        template: torch.stack(
            [given.states[p.context1] - given.states[p.context0] for p in CONCEPT.pairs if p.template == template]
        )
        for template in range(1, 7)
    }
    sums = torch.stack([each.sum(dim=0) for each in shifts.values()])
    fits = [
        chosen
        for chosen in product((0, 1), repeat=6)
        if sum(chosen) == 3 and torch.allclose(torch.tensor(chosen).double() @ sums / 6, split.shift)
    ]
    assert len(fits) == 1


def test_off_target_pairs_share_no_token_with_the_target(given: Ground) -> None:
    unrelated, kin = off_target(given, "male-female")
    assert [each.tolist() for each in unrelated] == [[[21, 20], [23, 22]], [[31, 30], [33, 32]], [[41, 40]]]
    assert kin == []
    unrelated, kin = off_target(given, "verb-ved")
    assert len(unrelated) == 2
    assert [len(each) for each in kin] == [3]
    assert related("verb-ved", "ving-3psg")
    assert not related("verb-ved", "verb-er")


def test_the_rows_are_what_they_say(given: Ground) -> None:
    rows, (line, *rest) = concept_rows(given, CONCEPT, [0])
    assert rest == []
    frame = pd.DataFrame(rows).set_index(["direction", "scale"])
    assert set(frame.index) == {*product(DIRECTIONS, (NAT, CONTEXT, KL)), *product(CONTROLS, (KL,))}
    np.testing.assert_allclose(frame.xs(KL, level="scale")["kl"], COST, rtol=1e-3)
    split, every = split_of(given, CONCEPT, 0), {}
    every = directions(given, split) | controls(given, split)
    for name in DIRECTIONS:
        unit = every[name] / float(every[name] @ split.toward)
        assert changes(given.unembedding, split.training, unit).mean() == pytest.approx(1)
        assert frame.loc[(name, NAT), "target"] == pytest.approx(
            changes(given.unembedding, split.held, unit).mean(), rel=1e-4
        )
        leaks = [np.abs(changes(given.unembedding, np.array(pairs), unit)).mean()
                 for pairs in ([(21, 20), (23, 22)], [(31, 30), (33, 32)], [(41, 40)])]  # fmt: skip
        assert frame.loc[(name, NAT), "leak"] == pytest.approx(np.mean(leaks), rel=1e-4)
        ratio = frame.loc[(name, CONTEXT), "target"] / frame.loc[(name, NAT), "target"]
        assert ratio == pytest.approx(split.context_effect, rel=1e-4)
    assert frame.loc[("context", CONTEXT), "length"] == pytest.approx(float(split.shift.norm()), rel=1e-4)
    assert frame["related"].isna().all()
    assert line["contexts"] == len(split.differences)
    own = (split.states[1] - split.states[0]).mul(split.differences).sum(dim=1).mean()
    assert line["next words"] == pytest.approx(float(own), rel=1e-4)
    step = every["causal"] * split.context_effect / float(every["causal"] @ split.toward)
    steered = float((split.differences @ step).mean())
    assert frame.loc[("causal", CONTEXT), "next words"] == pytest.approx(steered, rel=1e-4)
    assert line["context effect"] == pytest.approx(split.context_effect, rel=1e-4)
    with pytest.raises(InputError, match="there is no direction 'south'"):
        concept_rows(given, CONCEPT, [0], only=["south"])


def test_contexts_that_do_not_raise_their_words_leave_two_scales_out(given: Ground) -> None:
    pairs = tuple(replace(pair, context0=pair.context1, context1=pair.context0) for pair in CONCEPT.pairs)
    rows, (line,) = concept_rows(given, replace(CONCEPT, pairs=pairs), [0])
    assert line["context effect"] < 0
    assert {row["scale"] for row in rows} == {KL}


def test_neutral_contexts_are_of_other_concepts(given: Ground) -> None:
    assert len(given.neutral_states("male-female")) == 5
    assert len(given.neutral_states("verb-ved")) == 4
    even, odd = ([some_texts(concept, parity=parity) for concept in read_contexts()] for parity in (0, 1))
    assert {len(texts) for texts in (*even, *odd)} == {FEW}
    assert not {text for texts in even for text in texts} & {text for texts in odd for text in texts}
    first = read_contexts()[0]
    by_template = {pair.template: pair for pair in reversed(first.pairs)}
    assert even[0][:2] == [by_template[2].context0, by_template[4].context1]


def test_a_head_that_bends_logits_is_refused() -> None:
    tokens = tokenizer()
    gemma = network(len(tokens), tied=True, architecture="gemma2", final_logit_softcapping=5.0)
    weight = gemma.get_output_embeddings().weight.detach()
    model = LanguageModel(name="tiny", hidden_size=16, unembedding=weight, tokenizer=tokens, network=gemma)
    with pytest.raises(InputError, match=r"the head of tiny is Head\(.*softcap=5.0"):
        ground(model, [CONCEPT], fisher=False)


def compared(*lows: float, high: float | None = None) -> pd.DataFrame:
    return pd.DataFrame({"low": lows, "high": [low + 1 if high is None else high for low in lows]})


def test_the_verdicts_can_turn() -> None:
    means = pd.DataFrame({"selectivity": 2.0, "target": 1.0, "low": 0.9, "high": 1.1}, index=list(DIRECTIONS))
    others = pd.DataFrame({"target": 0.0, "low": -0.1, "high": 0.1}, index=list(CONTROLS))
    for claim in (steering_claims.leak, steering_claims.cost):
        assert claim(compared(0.1, 0.2), means).verdict == "new"
        assert claim(compared(0.1, -0.2), means).verdict == "undecided"
        assert claim(compared(0.1, -2, high=-1), means).verdict == "different"
    assert steering_claims.controls(means, others).verdict == "new"
    assert steering_claims.controls(means, others.assign(high=[0.1, 0.1, 0.3, 0.1, 0.1])).verdict == "undecided"
    assert steering_claims.controls(means, others.assign(low=0.2, high=0.3)).verdict == "different"
    row = pd.DataFrame({"before": 0.1, "steered": 0.9, "low": -0.05, "high": 0.05}, index=["causal"])
    assert steering_claims.success(row).verdict == "new"
    assert steering_claims.success(row.assign(low=-0.2)).verdict == "undecided"
    assert steering_claims.success(row.assign(low=-0.3, high=-0.2)).verdict == "different"


def test_views_average_over_splits_and_pair_by_concept(monkeypatch: pytest.MonkeyPatch) -> None:
    line = dict.fromkeys(steering_views.MEASURES, 1.0)
    rows = pd.DataFrame(
        line
        | {"concept": concept, "split": split, "direction": name, "scale": NAT}
        | {"target": target + split, "leak": 1.0 + 2 * split}
        for concept, name, target in (("a", "x", 1), ("b", "x", 5), ("a", "y", 0), ("b", "y", 1))
        for split in (0, 1)
    )
    monkeypatch.setattr(steering_views, "_rows", lambda: rows)
    assert steering_views.by_concept("x", NAT)["selectivity"].tolist() == [0.75, 2.75]
    found = steering_views.compared(NAT, "selectivity", [("x", "y")]).iloc[0]
    assert found["difference"] == pytest.approx((0.5 + 2.0) / 2)
    assert (found["low"], found["high"], found["larger in"]) == (0.5, 2.0, 2)
    assert steering_views.table(NAT, ["x", "y"], ["target", "leak"]).loc["y", "target"] == 1.0


def test_one_step_moves_log_odds_alike_at_every_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path))
    tokens = tokenizer()
    llama = network(len(tokens), tied=True)
    weight = llama.get_output_embeddings().weight.detach()
    model = LanguageModel(name="tiny", hidden_size=16, unembedding=weight, tokenizer=tokens, network=llama)
    pairs = tuple(ContextPair(number, 1, "a king " * number, "a boy " * number) for number in range(1, 12))
    monkeypatch.setattr(steering_views, "chosen", lambda names: [ContextConcept(name, pairs) for name in names])
    monkeypatch.setattr(steering_views, "words_of", lambda given: [token_pairs("c", [(3, 4), (5, 6)])])
    found = steering_views.everywhere(model, "c", "d")
    assert list(found.index) == ["w0 / v0", "w1 / v1"]
    np.testing.assert_allclose(found["smallest"], found["said"], atol=1e-6)
    np.testing.assert_allclose(found["largest"], found["said"], atol=1e-6)
    step = (weight[[3, 5]] - weight[[4, 6]]).double().mean(dim=0)
    assert found["said"].iloc[0] == pytest.approx(float((weight[3] - weight[4]).double() @ step))


def test_random_pairs_move_as_the_covariance_says(table: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [token_pairs("a", [(3, 4), (5, 6)]), token_pairs("b", [(7, 8), (9, 10)]), token_pairs("c", [(1, 2)])]
    monkeypatch.setattr(steering_views, "words_of", lambda given: words)
    model = LanguageModel(name="tiny", hidden_size=DIM, unembedding=table, tokenizer=None, network=None)
    found = steering_views.on_random_pairs(model, ["a", "b"])
    assert list(found.index) == ["a", "b"]
    toward = (table[[3, 5]] - table[[4, 6]]).mean(dim=0)
    moved = table @ toward / (toward @ toward)
    square = (moved[:, None] - moved[None, :]).square().mean()
    assert found["euclidean"]["a"] == pytest.approx(float(square.sqrt()))
    assert (found["causal"] < found["euclidean"]).all()


def test_the_record_is_whole() -> None:
    record = steering_views.recorded("steering")
    rows = record.to_frame()
    scales = {name: (NAT, CONTEXT, KL) if name in DIRECTIONS else (KL,) for name in (*DIRECTIONS, *CONTROLS)}
    wanted = {(name, scale) for name, each in scales.items() for scale in each}
    sizes = rows.groupby(["concept", "split"]).size()
    assert len(sizes) == 21 * steering.SPLITS == len(record.body["contexts"])
    assert (sizes == len(wanted)).sum() == len(sizes) - steering_views.unscaled()
    assert set(zip(rows["direction"], rows["scale"], strict=True)) == wanted
    assert rows[rows["scale"] == KL]["kl"].sub(COST).abs().max() < 1e-3
