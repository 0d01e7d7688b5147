"""The measures of the probe, as laws on made-up unembeddings: no model is needed."""

import json
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from llm_tiny import network, tokenizer
from scipy import stats
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import direction, mean_cosine, unit
from linrep.llm.network import LanguageModel
from linrep.llm.nulls import coinciding, random_between, shuffled_cosines, shuffled_orders
from linrep.llm.probe import jackknife, measure, probe
from linrep.llm.products import PRODUCTS, covariance, transforms
from linrep.llm.words import TokenPairs, WordPairs
from linrep.steering import steering_vectors

DIM, PAIRS, CONCEPTS = 24, 20, 4


def concept(pairs: np.ndarray, name: str = "c") -> TokenPairs:
    words = tuple((f"w{zero}", f"w{one}") for one, zero in pairs)
    return TokenPairs(name, len(pairs), np.asarray(pairs, dtype=np.int64), words, ())


def planted(*, noise: float, seed: int = 0, offset: float = 0.0) -> tuple[Tensor, list[TokenPairs], Tensor]:
    """Words in random places, each with a partner one orthonormal concept direction further on."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.linalg.qr(torch.randn(DIM, DIM, dtype=torch.float64, generator=generator)).Q[:CONCEPTS]
    rows, concepts = [], []
    for index in range(CONCEPTS):
        zeros = torch.randn(PAIRS, DIM, dtype=torch.float64, generator=generator)
        shift = truth[index] + noise * torch.randn(PAIRS, DIM, dtype=torch.float64, generator=generator)
        first = 2 * PAIRS * index
        rows += [zeros, zeros + shift]
        both = np.column_stack([np.arange(PAIRS) + first + PAIRS, np.arange(PAIRS) + first])
        concepts.append(concept(both, f"concept {index}"))
    return torch.cat(rows) + offset, concepts, truth


def within(found: dict[str, Any], product: str) -> np.ndarray:
    return np.array([entry["within"][product] for entry in found["concepts"]])


def test_planted_directions_are_recovered() -> None:
    rows, concepts, truth = planted(noise=0.01)
    found = measure(rows, concepts, shuffles=50)
    assert within(found, "euclidean") == pytest.approx(1, abs=0.01)
    assert found["between"]["euclidean"] < 0.02
    for entry, row in zip(concepts, truth, strict=True):
        assert float(direction(steering_vectors(rows, entry.pairs)) @ row) > 0.999
    assert all(entry["p"] == pytest.approx(1 / 51) for entry in found["concepts"])
    assert np.array(found["cosines"]["euclidean"]) == pytest.approx(np.eye(CONCEPTS), abs=0.03)


def test_a_rotation_and_scaling_of_the_space_changes_no_cosine() -> None:
    rows, concepts, _ = planted(noise=0.5)
    turn = torch.linalg.qr(torch.randn(DIM, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).Q
    one, other = (measure(table, concepts, shuffles=50) for table in (rows, 7 * rows @ turn))
    for product in PRODUCTS:
        assert within(one, product) == pytest.approx(within(other, product), abs=1e-10)
        assert one["between"][product] == pytest.approx(other["between"][product], abs=1e-10)
        assert np.array(one["cosines"][product]) == pytest.approx(np.array(other["cosines"][product]), abs=1e-10)


def test_an_invertible_linear_map_of_the_space_changes_no_causal_cosine() -> None:
    rows, concepts, _ = planted(noise=0.5)
    linear = torch.randn(DIM, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    one, other = (measure(table, concepts, shuffles=50) for table in (rows, rows @ linear + 3))
    assert within(one, "causal") == pytest.approx(within(other, "causal"), abs=1e-8)
    assert one["between"]["causal"] == pytest.approx(other["between"]["causal"], abs=1e-8)
    assert one["between_random"]["causal"] == pytest.approx(other["between_random"]["causal"], abs=1e-8)
    assert np.abs(within(one, "euclidean") - within(other, "euclidean")).max() > 0.01


def test_the_first_principal_component_is_removed() -> None:
    rows, concepts, _ = planted(noise=0.1)
    axis = torch.zeros(DIM, dtype=torch.float64)
    axis[0] = 1.0
    stretched = rows + 50 * torch.linspace(-1, 1, len(rows), dtype=torch.float64)[:, None] * axis
    moved = stretched @ transforms(stretched)["pc1_removed"]
    assert float(moved.var(dim=0).sum()) < 0.05 * float(stretched.var(dim=0).sum())
    assert torch.linalg.matrix_rank(moved - moved.mean(dim=0)) == DIM - 1
    found = measure(stretched, concepts, shuffles=20)
    assert found["between"]["euclidean"] > 0.9  # every pair lies PAIRS rows apart on the ramp
    assert found["between"]["pc1_removed"] < 0.3


def test_the_causal_map_whitens() -> None:
    rows, _, _ = planted(noise=0.5, offset=100.0)
    moved = rows @ transforms(rows)["causal"]
    assert torch.allclose(torch.cov(moved.T, correction=0), torch.eye(DIM, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(covariance(rows, rows=7), torch.cov(rows.T, correction=0), atol=1e-9)
    assert torch.allclose(covariance(rows.float()), torch.cov(rows.T, correction=0), atol=1e-3)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (torch.randn(40, 5, generator=torch.Generator().manual_seed(0)).repeat(1, 2), "40 unembedding rows in 10"),
        (torch.randn(10, 10, generator=torch.Generator().manual_seed(0)), "10 unembedding rows in 10 dimensions"),
        (torch.full((40, 3), float("nan")), "not finite"),
    ],
)
def test_a_singular_covariance_is_refused(table: Tensor, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        measure(table, [concept(np.array([[0, 1], [2, 3]]))])


def test_the_jackknife_equals_a_loop() -> None:
    vectors = torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = [float(mean_cosine(torch.cat([vectors[:i], vectors[i + 1 :]]))) for i in range(9)]
    assert jackknife(vectors) == pytest.approx(np.sqrt(8 / 9 * np.square(values - np.mean(values)).sum()))
    assert jackknife(vectors[:2]) is None


def test_shuffled_cosines_equal_a_loop() -> None:
    rows, concepts, _ = planted(noise=0.5)
    ones, zeros = rows[concepts[0].pairs[:, 0]], rows[concepts[0].pairs[:, 1]]
    orders = shuffled_orders(np.zeros((PAIRS, PAIRS), dtype=bool), 10, generator=np.random.default_rng(0))
    expected = [float(mean_cosine(ones - zeros[order])) for order in orders]
    assert shuffled_cosines(ones, zeros, orders) == pytest.approx(np.array(expected), abs=1e-12)


def test_p_is_uniform_when_partners_mean_nothing() -> None:
    generator = np.random.default_rng(0)
    table = torch.from_numpy(generator.standard_normal((600, 8)))
    concepts = [concept(generator.permutation(600)[:24].reshape(12, 2), f"c{i}") for i in range(60)]
    found = measure(table, concepts, shuffles=99)
    for product in PRODUCTS:
        p = np.array([entry["null"][product]["p"] for entry in found["concepts"]])
        q = np.array([entry["null"][product]["q"] for entry in found["concepts"]])
        assert stats.kstest(p, "uniform").pvalue > 0.01
        assert (q >= p - 1e-12).all()
        assert q.min() > 0.05


def allowed(forbidden: np.ndarray) -> set[tuple[int, ...]]:
    size = len(forbidden)
    return {order for order in permutations(range(size)) if not forbidden[np.arange(size), order].any()}


@pytest.mark.parametrize("forbid", [[], [(0, 1), (1, 2), (2, 0)], [(0, 1), (0, 2)]])
def test_shuffles_are_uniform_over_the_allowed_orders(forbid: Sequence[tuple[int, int]]) -> None:
    forbidden = np.zeros((4, 4), dtype=bool)
    for place in forbid:
        forbidden[place] = True
    orders = shuffled_orders(forbidden, 6000, generator=np.random.default_rng(0))
    seen, counts = np.unique(orders, axis=0, return_counts=True)
    assert {tuple(order) for order in seen.tolist()} == allowed(forbidden)
    assert stats.chisquare(counts).pvalue > 0.01


def test_a_word_is_never_paired_with_itself() -> None:
    chain = np.array([[i + 1, i] for i in range(6)])  # word 1 is the second of one pair and the first of the next
    table = torch.randn(60, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    forbidden = coinciding(table[chain[:, 0]], table[chain[:, 1]])
    assert forbidden.sum() == 5
    orders = shuffled_orders(forbidden, 500, generator=np.random.default_rng(0))
    assert not forbidden[np.arange(6), orders].any()
    found = measure(table, [concept(chain)], shuffles=200)
    assert np.isfinite(found["concepts"][0]["shuffled"])


def test_random_pairs_equal_a_loop_and_know_no_concept() -> None:
    rows, _, _ = planted(noise=0.01)
    found = random_between({"euclidean": rows}, [5, 6, 7], draws=300, generator=np.random.default_rng(0))["euclidean"]
    generator = torch.Generator().manual_seed(1)
    expected = []
    for _ in range(300):
        sums = [
            sum(rows[pair[0]] - rows[pair[1]] for pair in torch.randint(len(rows), (n, 2), generator=generator))
            for n in (5, 6, 7)
        ]
        cosines = unit(torch.stack(sums)) @ unit(torch.stack(sums)).T
        expected.append(float((cosines.abs().sum() - 3) / 6))
    assert stats.ttest_ind(found, expected).pvalue > 0.01


def test_a_concept_of_one_pair_is_listed_and_left_out() -> None:
    rows, concepts, _ = planted(noise=0.1)
    lonely = concept(concepts[0].pairs[:1], "lonely")
    found = measure(rows, [lonely, *concepts], shuffles=20)
    entry = found["concepts"][0]
    assert (entry["kept"], entry["within"], entry["p"], entry["null"]) == (1, None, None, None)
    assert found["measured"] == [c.name for c in concepts]
    without = measure(rows, concepts, shuffles=20)
    assert found["concepts"][1:] == without["concepts"]
    assert found["between"] == without["between"]


def test_one_concept_alone_has_nothing_between() -> None:
    rows, concepts, _ = planted(noise=0.1)
    found = measure(rows, concepts[:1], shuffles=20)
    assert found["between"] == found["between_random"] == dict.fromkeys(PRODUCTS)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_pairs_without_a_steering_vector_are_dropped() -> None:
    rows, _, _ = planted(noise=0.1)
    rows[3] = rows[2]
    found = measure(rows, [concept(np.array([[0, 1], [2, 3], [4, 5], [6, len(rows)]]))], shuffles=20)
    assert found["concepts"][0]["kept"] == 2
    assert found["concepts"][0]["dropped"] == [
        {"pair": ["w3", "w2"], "reason": "both words have the same vector"},
        {"pair": [f"w{len(rows)}", "w6"], "reason": "a word has no row in the unembedding"},
    ]


def test_the_seed_decides_and_a_concept_does_not_depend_on_the_others() -> None:
    rows, concepts, _ = planted(noise=2.0)
    one = measure(rows, concepts, shuffles=50, seed=3)
    assert measure(rows, concepts, shuffles=50, seed=3) == one
    assert measure(rows, concepts, shuffles=50, seed=4) != one
    alone = measure(rows, concepts[1:2], shuffles=50, seed=3)["concepts"][0]
    assert alone["shuffled"] == pytest.approx(one["concepts"][1]["shuffled"], abs=1e-12)


@pytest.mark.parametrize(
    ("options", "complaint"), [({"shuffles": 0}, "shuffles is 0"), ({"seed": -1}, "seed is -1; it must not be")]
)
def test_bad_options_are_refused(options: dict[str, int], complaint: str) -> None:
    rows, concepts, _ = planted(noise=0.1)
    with pytest.raises(InputError, match=complaint):
        measure(rows, concepts, **options)
    with pytest.raises(InputError, match="names must differ"):
        measure(rows, [concepts[0], concepts[0]])
    with pytest.raises(InputError, match="0 concept"):
        measure(rows, [])


def tiny_model() -> LanguageModel:
    tokens = tokenizer()
    net = network(len(tokens), tied=True)
    return LanguageModel("tiny", 16, net.get_output_embeddings().weight.detach(), tokens, net)


def test_the_probe_of_a_model_is_ready_for_json() -> None:
    words = [
        WordPairs("male-female", (("king", "queen"), ("man", "woman"), ("boy", "girl"), ("bull", "cow"))),
        WordPairs("other", (("ruler", "uncle"), ("naïve", "actor"))),
    ]
    seen: list[tuple[int, int]] = []
    model = tiny_model()
    found = probe(model, words, shuffles=20, progress=lambda done, total: seen.append((done, total)))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert seen == [(1, 2), (2, 2)]
    assert (found["model"], found["hidden_size"]) == ("tiny", 16)
    first = found["concepts"][0]
    assert (first["name"], first["read"], first["kept"]) == ("male-female", 4, 3)
    assert first["dropped"][0]["pair"] == ["bull", "cow"]
    assert found["concepts"][1]["within_stderr"] == dict.fromkeys(PRODUCTS)  # two pairs have no jackknife
    rows = model.unembedding
    king, queen = (model.tokenizer(f"a {word}").input_ids[-1] for word in ("king", "queen"))
    assert torch.equal(steering_vectors(rows, np.array([[queen, king]]))[0], rows[queen] - rows[king])


def test_when_every_pair_drops_the_first_reasons_are_told() -> None:
    with pytest.raises(InputError, match=r"lost keeps 0 of 1 \('bull' is \d tokens, 'cow' is \d tokens\)") as caught:
        probe(tiny_model(), [WordPairs("lost", (("bull", "cow"),))])
    assert "\n" not in str(caught.value)
