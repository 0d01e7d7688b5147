"""The record of alignment by layer: SmolLM2-135M and untrained models of its shape. Rules: `linrep.llm.layers`."""

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd

from linrep.experiments.catalogue import Size
from linrep.llm.contexts import ContextConcept, read_contexts
from linrep.llm.layers import concept_table, courses, drawn_means, layer_table, peak, rise, stacked
from linrep.llm.model import load_model
from linrep.llm.network import LanguageModel
from linrep.llm.registry import source_of
from linrep.llm.words import TokenPairs, read_pairs, tokenise
from linrep.results import Record, json_rows

NAME = "layers"
MODEL = "smollm2-135m"
TRAINED = "trained"
UNTRAINED_SEEDS = (0, 1, 2)
SMOKE = 3
"""Concepts of a smoke run, with one untrained model."""


def record(size: Size) -> Record:
    """Every layer, view and product.

    Body: layers, a row for each arm, view, product and layer; concepts, the same by concept for the trained model;
    peaks and rises, a row for each arm, view and product. Cosines; intervals are of 1,000 draws.
    """
    began = time.perf_counter()
    seeds = UNTRAINED_SEEDS if size == "paper" else UNTRAINED_SEEDS[:1]
    concepts = read_contexts() if size == "paper" else read_contexts()[:SMOKE]
    model = load_model(MODEL)
    words = words_of(model)
    body = arm(model, TRAINED, concepts, words, by_concept=True)
    for seed in seeds:
        rows = arm(model.untrained(seed=seed), f"untrained {seed}", concepts, words)
        body = {part: [*lines, *rows[part]] for part, lines in body.items()}
    config = {"model": MODEL, "weights sha256": source_of(MODEL).sha256, "size": size}
    return Record(NAME, config, seeds, "layers", body, round(time.perf_counter() - began, 3))


def words_of(model: LanguageModel) -> list[TokenPairs]:
    """The word concepts of linrep as tokens of a model."""
    return [tokenise(concept, model.tokenizer) for concept in read_pairs()]


def arm(
    model: LanguageModel,
    name: str,
    concepts: Sequence[ContextConcept],
    words: Sequence[TokenPairs],
    *,
    by_concept: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """The rows of one model for each part of the record's body; those by concept only when they are asked for."""
    found = courses(model, concepts, words)
    draws = {place: drawn_means(course) for place, course in found.items()}
    layers = {place: layer_table(course, draws[place]) for place, course in found.items()}
    parts = {
        "layers": stacked(layers),
        "peaks": stacked({at: pd.DataFrame([peak(layers[at]["own"].to_numpy(), draws[at])]) for at in found}),
        "rises": stacked({at: pd.DataFrame([rise(layers[at]["own"].to_numpy(), draws[at])]) for at in found}),
    }
    body = {part: json_rows(table.assign(arm=name)) for part, table in parts.items()}
    concept_rows = stacked({at: concept_table(course) for at, course in found.items()}) if by_concept else None
    return body | {"concepts": [] if concept_rows is None else json_rows(concept_rows)}
