"""A part of each record on SmolLM2, computed again: what the chapters read agrees with the model."""

import pytest

from linrep.experiments import gemma_views, layers_views, room_views, steering_views
from linrep.llm.cache import fault
from linrep.llm.model import load_model
from linrep.llm.network import LanguageModel
from linrep.llm.registry import SOURCES

NAME = "smollm2-135m"
TOLERANCE = 0.002

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.skipif(
        fault(SOURCES[NAME], deep=False) is not None, reason=f"{NAME} is not converted; run: {SOURCES[NAME].command}"
    ),
]


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load_model(NAME)


def test_two_concepts_at_all_layers(model: LanguageModel) -> None:
    names = ["male-female", "frequent-infrequent"]
    live = layers_views.require_live(model, names, tolerance=TOLERANCE)
    assert set(live["concept"]) == set(names)
    assert live["layer"].nunique() == 31


def test_the_last_layer_is_the_embedding_by_three_ways(model: LanguageModel) -> None:
    same = layers_views.last_layer(model, ["male-female"])
    assert same.sub(same["embedding"], axis=0).abs().to_numpy().max() < 0.001


def test_five_paragraphs_in_four_languages() -> None:
    live = gemma_views.require_live([(1, 1), (4, 1), (13, 2), (16, 3), (24, 1)], tolerance=TOLERANCE)
    assert len(live) == 20


def test_leading_dimensions_squares_and_a_simulated_cell(model: LanguageModel) -> None:
    count = room_views.require_live(
        model,
        concepts=["male-female", "noun-plural", "verb-ving", "country-capital", "adj-comparative"],
        families=["gender, number", "size, comparative"],
        cells=[(3, 8, "0.1")],
        tolerance=TOLERANCE,
    )
    assert count > 100


def test_one_split_of_one_concept_is_steered_again(model: LanguageModel) -> None:
    live = steering_views.require_live(model, ["male-female"], ["euclidean", "causal", "context"], tolerance=TOLERANCE)
    assert set(live["direction"]) == {"euclidean", "causal", "context"}
