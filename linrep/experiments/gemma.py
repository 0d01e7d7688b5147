"""The record on Gemma-3-270M: languages, English concepts, words, Winograd-like pairs (`linrep run gemma`).

Optional: the model has terms of its own, so the record is not among those that `make results` makes. Languages are
measured on SmolLM2 too. Everything has an untrained model of the same shape beside it.
"""

import time
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from linrep.experiments import languages, winograd
from linrep.experiments.catalogue import Size
from linrep.llm.contexts import (
    LANGUAGE_CONCEPTS,
    ContextConcept,
    ContextPair,
    language_contexts,
    read_contexts,
    read_winograd,
)
from linrep.llm.known import origin
from linrep.llm.model import load_model
from linrep.llm.network import LanguageModel
from linrep.llm.words import TokenPairs, WordPairs, read_pairs, tokenise
from linrep.results import Record, json_rows

NAME = "gemma"
MODEL = "gemma-3-270m"
SMALL = winograd.MODEL
UNTRAINED = (0,)
"""The seed of the untrained models."""

Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Inputs:
    """What is measured.

    Attributes:
        languages: language concepts, all paragraphs. english: English context concepts. pairs: Winograd-like pairs.
        words: the word concepts. shuffles: of the null within each of them.
    """

    languages: tuple[ContextConcept, ...]
    english: tuple[ContextConcept, ...]
    pairs: tuple[ContextPair, ...]
    words: tuple[WordPairs, ...]
    shuffles: int


def record(size: Size) -> Record:
    """The record.

    Raises:
        LinrepError: a model is not installed; the message names the command.
    """
    began = time.perf_counter()
    model, small, given = load_model(MODEL), load_model(SMALL), inputs(size)
    body = {"models": [origin(MODEL), origin(SMALL)]} | measure(model, small, given)
    config = {"size": size, "shuffles": given.shuffles}
    return Record(NAME, config, UNTRAINED, "evidence", body, round(time.perf_counter() - began, 3))


def inputs(size: Size) -> Inputs:
    """Everything that comes with linrep; of size smoke a part of it."""
    texts = tuple(language_contexts(name) for name in LANGUAGE_CONCEPTS)
    whole = Inputs(texts, tuple(read_contexts()), read_winograd(), tuple(read_pairs()), shuffles=1000)
    if size == "paper":
        return whole
    few = tuple(replace(text, pairs=text.pairs[:24]) for text in texts)
    return replace(whole, languages=few, english=whole.english[:3], pairs=whole.pairs[: winograd.SMOKE], shuffles=20)


def measure(model: LanguageModel, small: LanguageModel, given: Inputs) -> dict[str, Any]:
    """All tables as rows for JSON: of `model` everything, of `small` the languages; untrained models beside both."""
    rows: Rows = defaultdict(list)
    models, words = list(winograd.arms(model, UNTRAINED)), _tokens(model, given)
    for each in models:
        found = languages.language_tables(each, given.languages, words)
        found |= languages.english_tables(each, given.english, words)
        _add(rows, found | languages.unembedding_tables(each, given.words, shuffles=given.shuffles))
    for each in winograd.arms(small, UNTRAINED):
        _add(rows, languages.language_tables(each, given.languages, _tokens(small, given)))
    return {**rows, winograd.NAME: winograd.measure(models, given.pairs, words)}


def _tokens(model: LanguageModel, given: Inputs) -> list[TokenPairs]:
    return [tokenise(concept, model.tokenizer) for concept in given.words]


def _add(rows: Rows, tables: languages.Tables) -> None:
    for name, table in tables.items():
        rows[name] += json_rows(table)
