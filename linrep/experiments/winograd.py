"""The record on Winograd-like pairs: SmolLM2 and untrained models of its shape (`linrep run winograd`)."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from linrep.experiments.catalogue import Size
from linrep.llm import winograd
from linrep.llm.contexts import ContextPair, read_winograd
from linrep.llm.embedding import DRAWS, Sides
from linrep.llm.known import origin
from linrep.llm.model import load_model
from linrep.llm.network import LanguageModel
from linrep.llm.winograd import Answers
from linrep.llm.words import TokenPairs, read_pairs, tokenise
from linrep.results import Record, json_rows

NAME = "winograd"
MODEL = "smollm2-135m"
UNTRAINED = range(5)
"""Seeds of the untrained models."""

FURTHER = range(5, 25)
"""Seeds of further untrained models, added after one of the five had been seen to have a p of 0.007: is that luck?"""

SMOKE = 8
"""Pairs of a run of size smoke."""


def record(size: Size) -> Record:
    """The record.

    Raises:
        LinrepError: the model is not installed; the message names the command.
    """
    began = time.perf_counter()
    model = load_model(MODEL)
    pairs, seeds, further = read_winograd(), UNTRAINED, FURTHER
    if size == "smoke":
        pairs, seeds, further = pairs[:SMOKE], seeds[:1], further[:2]
    words = [tokenise(concept, model.tokenizer) for concept in read_pairs()]
    body = {"models": [origin(MODEL)]} | measure(arms(model, seeds), pairs, words)
    body["further"] = json_rows(further_untrained(model, pairs, further))
    config = {"size": size, "draws": DRAWS}
    return Record(NAME, config, tuple(seeds), "pairs", body, round(time.perf_counter() - began, 3))


def measure(
    models: Iterable[LanguageModel], pairs: Sequence[ContextPair], words: Sequence[TokenPairs]
) -> dict[str, Any]:
    """All tables of `linrep.llm.winograd` for each model, as rows for JSON; `arm` is the model's name.

    Args:
        models: one or more, with one tokenizer.
        words: of the word concepts.
    """
    parts: dict[str, list[dict[str, Any]]] = {"pairs": [], "summary": [], "top": [], "largest": []}
    for each in models:
        answers = winograd.read_answers(pairs, each.tokenizer)
        sides, concepts = winograd.answer_sides(each, answers), winograd.concept_sides(each, answers, words)
        for name, table in tables(each, answers, sides, concepts).items():
            parts[name] += json_rows(table.reset_index())
    counts = {"kept": len(answers.contexts), "several tokens": answers.several, "later token": answers.late}
    return parts | {"answers": counts | {"dropped": list(answers.dropped)}}


def further_untrained(model: LanguageModel, pairs: Sequence[ContextPair], seeds: Sequence[int]) -> pd.DataFrame:
    """The Euclidean row of `linrep.llm.winograd.summary` for an untrained model of each seed."""
    answers, lines = winograd.read_answers(pairs, model.tokenizer), []
    for seed in seeds:
        each = model.untrained(seed=seed)
        plain = winograd.concept_sides(each, answers, answers.tokens)
        lines.append(winograd.summary({each.name: {"euclidean": plain}}).reset_index().assign(seed=seed))
    return pd.concat(lines, ignore_index=True)


def arms(model: LanguageModel, untrained: Sequence[int]) -> Iterator[LanguageModel]:
    """The model, then an untrained one for each seed; one of these at a time is in memory."""
    yield model
    for seed in untrained:
        yield model.untrained(seed=seed)


def tables(
    model: LanguageModel, answers: Answers, sides: Mapping[str, Sides], concepts: Sides
) -> dict[str, pd.DataFrame]:
    """The tables of one arm: pairs and top by arm, summary by arm and product, largest by arm and null.

    Args:
        sides: of `linrep.llm.winograd.answer_sides`. concepts: of `concept_sides`.
    """
    return {
        "pairs": winograd.pair_table(sides["euclidean"], answers).assign(arm=model.name),
        "summary": winograd.summary({model.name: sides}),
        "top": winograd.top_matches(concepts, answers).assign(arm=model.name),
        "largest": winograd.largest_table(model, answers, concepts).assign(arm=model.name),
    }
