"""The record of the chapter on room: three askings of a real model, by the rules of `room_rules`."""

import time
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.experiments import room_simulated, room_squares, room_tables
from linrep.experiments.catalogue import Size
from linrep.experiments.room_rules import DIMS, SHUFFLES, ranks_of
from linrep.llm import leading
from linrep.llm.contexts import read_contexts, read_parallel
from linrep.llm.leading import Corners
from linrep.llm.matrix import Unembedding
from linrep.llm.model import load_model
from linrep.llm.network import LanguageModel
from linrep.llm.registry import SOURCES
from linrep.llm.words import TokenPairs, read_pairs, tokenise
from linrep.results import Record, short

NAME = "room"
MODEL = "smollm2-135m"
ROTATIONS = 5
"""Random orders of the dimensions, whose means are recorded."""

FIT_STEPS = 500
"""Steps of the fits at the step size of the rule; chosen by time."""

FIT_SEEDS = (0,)


def record(size: Size) -> Record:
    """All of it ("smoke": the words alone, two dimensions of our own tables and three steps)."""
    began = time.perf_counter()
    whole = size == "paper"
    dims, steps = (DIMS, FIT_STEPS) if whole else ({0.1: (8, 16)}, 3)
    model = load_model(MODEL)
    control = model.untrained(seed=0)
    concepts, families = word_concepts(model), room_squares.word_families(model)
    texts = concept_contexts()
    contexts = {"predictions": texts, "predictions, other texts": other_texts()}
    orders = {"components": leading.component_order(model.unembedding)[0]}
    orders |= {order: predictions(model, given) for order, given in contexts.items()}
    body = {
        "leading": leading_rows(model, control, contexts, concepts),
        "squares": room_squares.square_rows(model, families)
        + room_squares.square_rows(control, families, arm="untrained"),
        "shares by r": room_squares.share_rows(model, orders, families),
        "simulated": room_simulated.all_cells(concepts=(3, 4) if whole else (3,)),
        "concepts": [concept.name for concept in concepts],
        "ranks": ranks_of(model.hidden_size),
        "tables": fit_rows(model, texts, concepts, dims=dims, steps=steps),
    }
    config = {"model": MODEL, "sha256": SOURCES[MODEL].sha256, "contexts": len(texts), "shuffles": SHUFFLES}
    return Record(NAME, config, (), "leading", body, round(time.perf_counter() - began, 3))


def concept_contexts() -> list[str]:
    """The contexts of linrep's context concepts, both of each pair, in the order of the chapter on contexts."""
    return [text for concept in read_contexts() for pair in concept.pairs for text in (pair.context0, pair.context1)]


def other_texts() -> list[str]:
    """Contexts that were not written to flip a concept: every beginning, of three words or more, of the English
    paragraphs of the Declaration of Human Rights."""
    paragraphs = [text.en.split() for text in read_parallel()]
    return [" ".join(words[:count]) for words in paragraphs for count in range(3, len(words) + 1)]


def word_concepts(model: Unembedding) -> list[TokenPairs]:
    """The concepts of the word files as tokens, in alphabetical order."""
    return [tokenise(concept, model.tokenizer) for concept in read_pairs()]


def leading_rows(
    model: LanguageModel, control: LanguageModel, texts: Mapping[str, Sequence[str]], concepts: Sequence[TokenPairs]
) -> list[dict[str, Any]]:
    """Asking 1: for each order, arm and concept the mean cosine within the concept and that of its null, by r.

    Args:
        texts: by order of predictions, the contexts whose states give it.
    """
    rows = []
    axes, spread = leading.component_order(model.unembedding)
    orders = {"components": (axes, spread, leading.component_order(control.unembedding)[0])}
    for order, contexts in texts.items():
        matrix, other = (predictions(each, contexts) for each in (model, control))
        orders[order] = (matrix, torch.ones(model.hidden_size, dtype=torch.float64), other)
    for order, (matrix, scale, other) in orders.items():
        rows += concept_rows(order, "trained", model.unembedding, matrix, concepts)
        rows += concept_rows(order, "untrained", control.unembedding, other, concepts)
        draw = torch.Generator().manual_seed(0)
        normal = torch.randn(len(model.unembedding), model.hidden_size, generator=draw) * scale.float()
        rows += concept_rows(
            order, "Gaussian rows", normal, torch.eye(model.hidden_size, dtype=torch.float64), concepts
        )
        rows += random_rows(order, model.unembedding, matrix, concepts)
        rows += placed_rows(order, scale, rows, concepts)
    return rows


def predictions(model: LanguageModel, texts: Sequence[str]) -> Float[Tensor, "dim rank"]:
    """The order of the directions in which a model's logits vary most over some contexts."""
    return leading.prediction_order(model.unembedding, model.hidden_states(texts, cache=True))


def concept_rows(
    order: str,
    arm: str,
    table: Float[Tensor, "rows dim"],
    matrix: Float[Tensor, "dim rank"],
    concepts: Sequence[TokenPairs],
) -> list[dict[str, Any]]:
    """The rows of one arm."""
    return [rank_row(order, arm, concept.name, leading.corners(table, concept.pairs, matrix)) for concept in concepts]


def rank_row(order: str, arm: str, concept: str, words: Corners) -> dict[str, Any]:
    """One concept: order, arm, concept, and within and shuffled at every r of `ranks_of`."""
    dealt = leading.dealt_orders(words, SHUFFLES, generator=np.random.default_rng(0))
    within, shuffled = leading.by_rank(words, ranks_of(words.shape[-1]), dealt).T
    numbers = {"within": list(map(short, within)), "shuffled": list(map(short, shuffled))}
    return {"order": order, "arm": arm, "concept": concept} | numbers


def random_rows(
    order: str, table: Float[Tensor, "rows dim"], matrix: Float[Tensor, "dim rank"], concepts: Sequence[TokenPairs]
) -> list[dict[str, Any]]:
    """The control of random dimensions: means over some rotations of the space."""
    draw = torch.Generator().manual_seed(1)
    turned = [leading.random_order(matrix, generator=draw) for _ in range(ROTATIONS)]
    parts = [concept_rows(order, "random dimensions", table, each, concepts) for each in turned]
    return [same[0] | {key: means(same, key) for key in ("within", "shuffled")} for same in zip(*parts, strict=True)]


def means(rows: Sequence[dict[str, Any]], key: str) -> list[float]:
    """The mean over rows, place by place, of a column of lists."""
    return list(map(short, np.mean([row[key] for row in rows], axis=0)))


def placed_rows(
    order: str, scale: Float[Tensor, " dim"], rows: Sequence[dict[str, Any]], concepts: Sequence[TokenPairs]
) -> list[dict[str, Any]]:
    """The control of placed concepts, as many pairs and as large a cosine as each real one has in the full space."""
    draw = torch.Generator().manual_seed(2)
    full = {row["concept"]: row["within"][-1] for row in rows if (row["order"], row["arm"]) == (order, "trained")}
    found = []
    for concept in concepts:
        words = leading.placed(scale, len(concept.pairs), max(full[concept.name], 0.0), generator=draw)
        found.append(rank_row(order, "placed", concept.name, words))
    return found


def fit_rows(
    model: LanguageModel, texts: Sequence[str], concepts: Sequence[TokenPairs], *, dims: Mapping[float, Sequence[int]],
    steps: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Asking 3: for each start, seed, k and clock how it was fitted, and the concepts' cosines, in their order."""
    ids = np.unique(np.concatenate([concept.pairs for concept in concepts]))
    target = room_tables.word_predictions(model, model.hidden_states(texts, cache=True), ids)
    first = next(iter(dims))
    step_size = room_tables.shared_step(target, (dims[first][0], dims[first][-1]), scale=first)
    marks = sorted({max(1, steps // 10), max(1, steps // 3), steps})
    rows = []
    for scale, seed, dim in ((start, *run) for start, widths in dims.items() for run in product(FIT_SEEDS, widths)):
        fitted = room_tables.fit(target, dim, scale=scale, step_size=step_size, steps=steps, marks=marks, seed=seed)
        how = {"scale": scale, "seed": seed, "k": dim, "step_size": fitted.step_size, "monotone": fitted.monotone}
        for mark, kl, table in zip(marks, fitted.kl, fitted.tables, strict=True):
            rows.append(how | {"clock": step_size * mark, "kl": short(kl)} | table_numbers(table, ids, concepts))
    return rows


def table_numbers(
    table: Float[Tensor, "words dim"], ids: Int[np.ndarray, " words"], concepts: Sequence[TokenPairs]
) -> dict[str, list[float]]:
    """Each concept's mean cosine, and that of its null, in a table with a row for each of some words."""
    identity = torch.eye(table.shape[1], dtype=torch.float64)
    found = []
    for concept in concepts:
        words = leading.corners(table, np.searchsorted(ids, concept.pairs), identity)
        dealt = leading.dealt_orders(words, SHUFFLES, generator=np.random.default_rng(0))
        found.append(leading.by_rank(words, [table.shape[1]], dealt)[0])
    within, shuffled = np.transpose(found)
    return {"within": list(map(short, within)), "shuffled": list(map(short, shuffled))}
