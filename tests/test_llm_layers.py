"""Alignment by layer: the last layer is that of the embedding chapter, planted courses are found, verdicts can turn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from llm_tiny import network, tokenizer

from linrep.errors import InputError, LinrepError
from linrep.experiments import layers_claims, layers_views
from linrep.llm import embedding
from linrep.llm.contexts import ContextConcept, ContextPair
from linrep.llm.embedding import Sides
from linrep.llm.layers import (
    PRODUCTS,
    VIEWS,
    concept_table,
    courses,
    drawn_means,
    layer_table,
    peak,
    rise,
    signed_cosines,
    through_norm,
)
from linrep.llm.matching import Shifts
from linrep.llm.network import LanguageModel
from linrep.llm.words import TokenPairs

NAMES = ("a", "b", "c")
CONCEPTS = (
    ContextConcept("a", (ContextPair(1, 1, "a king", "a queen"), ContextPair(2, 1, "a boy man", "a ruler"))),
    ContextConcept("b", (ContextPair(1, 1, "a king man", "a queen man"), ContextPair(2, 1, "a boy a", "a girl a"))),
)
WORDS = [
    TokenPairs("a", 2, np.array([[1, 2], [3, 4]]), (("p", "q"), ("r", "s")), ()),
    TokenPairs("b", 2, np.array([[5, 2], [6, 4]]), (("t", "q"), ("u", "s")), ()),
]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LanguageModel:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path))
    tokens = tokenizer()
    llama = network(len(tokens), tied=False)
    weight = llama.get_output_embeddings().weight.detach()
    return LanguageModel(name="tiny", hidden_size=16, unembedding=weight, tokenizer=tokens, network=llama)


def planted(
    signals: tuple[float, ...], *, names: tuple[str, ...] = NAMES, seed: int = 0, noise: float = 1
) -> list[Sides]:
    """Concepts along axes of their own, with a signal for each layer; the noise of every layer is the same."""
    draw = torch.Generator().manual_seed(seed)

    def side(signal: float, noises: torch.Tensor) -> tuple[Shifts, ...]:
        clusters = np.arange(noises.shape[1]) % 10
        axes = torch.eye(noises.shape[2], dtype=torch.float64)
        return tuple(
            Shifts(name, noise * each + signal * axes[number], clusters)
            for number, (name, each) in enumerate(zip(names, noises, strict=True))
        )

    noises = torch.randn(2, len(names), 30, 20, generator=draw, dtype=torch.float64)
    words = side(5.0, noises[1])
    layers = [side(signal, noises[0]) for signal in signals]
    return [Sides(each, words, signed_cosines(each, words)) for each in layers]


def test_the_last_layer_is_the_embedding_under_both_views(model: LanguageModel) -> None:
    found, expected = courses(model, CONCEPTS, WORDS), embedding.sides(model, CONCEPTS, WORDS)
    assert set(found) == {(view, product) for view in VIEWS for product in PRODUCTS}
    for (_, product), course in found.items():
        assert len(course) == 3
        np.testing.assert_allclose(course[-1].cosines, expected[product].cosines, atol=1e-5)
        for shifts, other in zip(course[-1].contexts, expected[product].contexts, strict=True):
            torch.testing.assert_close(shifts.vectors, other.vectors, rtol=0, atol=1e-4)
    lens, raw = (found[view, "euclidean"][1].cosines for view in VIEWS)
    assert np.abs(lens - raw).max() > 1e-3  # below the last layer the norm matters


def test_the_lens_is_the_models_own(model: LanguageModel) -> None:
    texts = ["a king", "a queen man"]
    raw, lens = (model.hidden_states(texts, layers=True, lens=lens) for lens in (False, True))
    torch.testing.assert_close(through_norm(model, raw), lens)


def test_a_concept_without_a_shift_counts_as_zero_and_is_not_matched(model: LanguageModel) -> None:
    """Both contexts of concept b end with the same token, so that layer 0 knows nothing of it."""
    course = courses(model, CONCEPTS, WORDS)["raw", "causal"]
    table = concept_table(course).set_index(["layer", "concept"])
    assert table.loc[(0, "b"), ["own", "others", "nearest", "matched"]].tolist() == [0, 0, "none", False]
    assert table.loc[(1, "b"), "nearest"] != "none"
    assert table.loc[(0, "a"), "own"] != 0
    assert layer_table(course, drawn_means(course, draws=50))["still"].tolist() == [1, 0, 0]
    assert np.isfinite(drawn_means(course, draws=50)).all()


def test_a_planted_course_rises_to_its_peak() -> None:
    course = planted((0.0, 0.3, 1.5, 3.0, 2.0), names=tuple("abcdefgh"))
    drawn = drawn_means(course, draws=300)
    table = layer_table(course, drawn)
    assert table["own"].idxmax() == 3
    assert peak(table["own"].to_numpy(), drawn) == {"peak": 3, "low": 3, "high": 3, "at the end": 0.0}
    assert table["matched"].iloc[3] == 8
    assert abs(table["own"].iloc[0]) < 0.15
    assert table["p"].iloc[3] < 0.005 < table["p"].iloc[0]
    assert (table["low"] < table["high"]).all()
    found = rise(table["own"].to_numpy(), drawn)
    assert found["rise"] == pytest.approx(table["own"].iloc[4] - table["own"].iloc[2])
    assert found["low"] < found["rise"] < found["high"]


def test_own_and_others_are_means_over_the_cosines() -> None:
    course = planted((1.0,))
    cosines = course[0].cosines
    line = layer_table(course, drawn_means(course, draws=50)).iloc[0]
    assert line["own"] == pytest.approx(np.diagonal(cosines).mean())
    assert line["others"] == pytest.approx((np.abs(cosines).sum() - np.abs(np.diagonal(cosines)).sum()) / 6)


def test_one_drawing_serves_all_layers_and_concepts_are_drawn_apart() -> None:
    course = planted((1.0, 1.0, 2.0))
    drawn = drawn_means(course, draws=400)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.allclose(drawn[0], drawn[2])
    same = planted((1.0,), names=tuple("a"))[0]
    copies = Sides(
        tuple(Shifts(name, same.contexts[0].vectors, same.contexts[0].clusters) for name in "abcdefghi"),
        tuple(Shifts(name, same.words[0].vectors, same.words[0].clusters) for name in "abcdefghi"),
        np.ones((9, 9)),
    )
    spread = drawn_means([copies], draws=400).std() / drawn_means([same], draws=400).std()
    assert spread == pytest.approx(1 / 3, abs=0.08)  # nine independent drawings of one concept


def layer_frames(own: list[float], *, width: float = 0.01) -> pd.DataFrame:
    values = np.array(own)
    return pd.DataFrame({"own": values, "low": values - width, "high": values + width, "others": 0.04})


def claim_inputs() -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame], pd.DataFrame, pd.DataFrame]:
    trained = {product: layer_frames([0.0, 0.05, 0.1, 0.2, 0.3]) for product in PRODUCTS}
    untrained = {product: pd.DataFrame({"untrained 0": [0.0, 0.01, 0.0, 0.01, -0.02]}) for product in PRODUCTS}
    rises = pd.DataFrame({"rise": 0.2, "low": 0.15, "high": 0.25}, index=list(PRODUCTS))
    peaks = pd.DataFrame({"peak": 4, "low": 3, "high": 4}, index=list(PRODUCTS))
    return trained, untrained, rises, peaks


def test_the_planted_numbers_give_the_verdicts_and_others_turn_them() -> None:
    trained, untrained, rises, peaks = claim_inputs()
    assert layers_claims.rises(trained, untrained, rises).verdict == "new"
    assert layers_claims.rises(trained, untrained, rises.assign(low=[0.15, 0.02])).verdict == "undecided"
    assert layers_claims.rises(trained, untrained, rises.assign(low=0.0, high=[0.25, 0.02])).verdict == "different"
    jagged = trained | {"causal": layer_frames([0.2, 0.05, 0.1, 0.0, 0.3])}
    assert layers_claims.rises(jagged, untrained, rises).verdict == "undecided"
    assert layers_claims.peaks(trained, untrained, peaks).verdict == "new"
    assert layers_claims.peaks(trained, untrained, peaks.assign(low=[1, 3])).verdict == "undecided"
    assert layers_claims.peaks(trained, untrained, peaks.assign(low=1, high=[4, 1])).verdict == "different"
    assert layers_claims.gap(trained).verdict == "new"
    assert layers_claims.gap(trained | {"causal": layer_frames([0, 0, 0.045, 0.2, 0.3])}).verdict == "undecided"
    assert layers_claims.gap(trained | {"causal": layer_frames([0, 0, 0.0, 0.2, 0.3])}).verdict == "different"
    assert layers_claims.gap(trained | {"causal": layer_frames([0, 0.0, 0.1, 0.2, 0.3])}).verdict == "new"
    assert layers_claims.empty(trained, untrained).verdict == "new"
    assert layers_claims.empty(trained, untrained | {"causal": untrained["causal"] - 0.03}).verdict == "different"
    assert layers_claims.empty(trained | {"causal": layer_frames([0.0] * 5)}, untrained).verdict == "undecided"


def test_a_concept_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="there is no context concept 'colour'"):
        layers_views.chosen(["colour"])


def test_the_record_is_whole() -> None:
    record = layers_views.recorded("layers")
    rows = record.to_frame()
    arms = {"trained", *(f"untrained {seed}" for seed in record.seeds)}
    assert rows.groupby(["arm", "view", "product"]).size().eq(31).all()
    assert set(rows["arm"]) == arms
    assert len(record.body["concepts"]) == 2 * 2 * 31 * 21
    means = pd.DataFrame(record.body["concepts"]).groupby(["view", "product", "layer"])["own"].mean()
    trained = rows[rows["arm"] == "trained"].set_index(["view", "product", "layer"])["own"]
    assert (means - trained).abs().max() < 1e-4


def test_live_numbers_are_held_to_the_record(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    found = courses(model, CONCEPTS, WORDS)
    from linrep.llm.layers import stacked

    rows = stacked({place: concept_table(course) for place, course in found.items()})
    frames = {"concepts": rows.to_dict("records")}
    monkeypatch.setattr(layers_views, "recorded", lambda name: type("Stub", (), {"body": frames}))
    monkeypatch.setattr(layers_views, "chosen", lambda names: [each for each in CONCEPTS if each.name in names])
    monkeypatch.setattr(layers_views, "words_of", lambda given: WORDS)
    assert len(layers_views.require_live(model, ["a"], tolerance=1e-4)) == 4 * 3
    frames["concepts"][0]["own"] += 0.01
    with pytest.raises(LinrepError, match="own is"):
        layers_views.require_live(model, ["a"], tolerance=1e-3)
