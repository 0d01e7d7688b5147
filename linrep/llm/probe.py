"""Are the concepts of a language model linear, and orthogonal? Cosines of its unembedding, beside what chance gives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from linrep import geometry
from linrep.errors import InputError
from linrep.llm.matrix import Unembedding
from linrep.llm.nulls import coinciding, random_between, shuffled_cosines, shuffled_orders, smallest_shuffle_p
from linrep.llm.products import PRODUCTS, transforms
from linrep.llm.usable import too_few, usable_concepts, with_vectors
from linrep.llm.words import TokenPairs, WordPairs, tokenise
from linrep.steering import steering_vectors

Spaces = Mapping[str, Float[Tensor, "words dim"]]
"""The vectors of all kept words, once under each product."""

DRAWS = 200
"""Draws of the random-pairs control."""

TIE = 1e-12
"""A shuffle that is the given order again must count as a tie, whatever its rounding."""


def probe(
    model: Unembedding,
    concepts: Sequence[WordPairs],
    *,
    shuffles: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure concepts in a model's unembedding. See `measure`; `model` and `hidden_size` are added.

    Args:
        model: a language model, or its unembedding alone (`linrep.llm.model.open_unembedding`).
        shuffles, seed, progress: as `measure` takes them.

    Raises:
        InputError: as `measure` does.
    """
    tokens = [tokenise(concept, model.tokenizer) for concept in concepts]
    found = measure(model.unembedding, tokens, shuffles=shuffles, seed=seed, progress=progress)
    return {"model": model.name, "hidden_size": model.hidden_size, **found}


def measure(
    unembedding: Float[Tensor, "vocabulary dim"],
    concepts: Sequence[TokenPairs],
    *,
    shuffles: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Cosines within and between concepts under three inner products, with their nulls; ready for JSON.

    A concept with fewer than two usable pairs is listed with nulls and left out of everything between concepts.

    Args:
        shuffles: random partners for the null within each concept.
        seed: a concept's shuffles depend on it and on the concept's name only.
        progress: called with the number of concepts done and their total.

    Returns:
        A dictionary with these keys.

        - `concepts`: name, read, kept, dropped; note, why there is no number or why it cannot be told from its null,
          else None; within and its delete-one jackknife within_stderr, per product; shuffled (mean over shuffles) and
          p (one-sided, (1 + exceeding)/(1 + shuffles)) of the Euclidean product; null, with shuffled, p and q
          (Benjamini–Hochberg over the concepts) per product; smallest_p, the smallest that any p could have been.
        - `between`: mean absolute cosine between the concepts' directions, per product; None with one concept.
        - `between_random`: mean and standard deviation of the same for random pairs of the kept words.
        - `measured`, `cosines`: names, and per product the mean cosine between steering vectors (paper, Figure 3).
        - `shuffles`, `draws`: the numbers of both.

    Raises:
        InputError: no concept has two usable pairs, one has too many, a singular covariance, a number of shuffles
            below 1.
    """
    _check(concepts, shuffles, seed)
    concepts = [with_vectors(concept, unembedding) for concept in concepts]
    usable = usable_concepts(concepts)
    ids, pairs = _reindex(usable)
    rows = unembedding.detach()[torch.from_numpy(ids).to(unembedding.device)].to(device="cpu", dtype=torch.float64)
    spaces = {product: rows @ matrix for product, matrix in transforms(unembedding).items()}
    measured: dict[str, dict[str, Any]] = {}
    for concept, pair in zip(usable, pairs, strict=True):
        measured[concept.name] = _within(spaces, pair, shuffles, _generator(seed, concept.name))
        if progress is not None:
            progress(len(measured), len(usable))
    _adjust(list(measured.values()))
    return {
        "concepts": [_entry(concept, measured.get(concept.name)) for concept in concepts],
        "measured": list(measured),
        "shuffles": shuffles,
        "draws": DRAWS,
        **_between(spaces, pairs, _generator(seed, "")),
    }


def jackknife(vectors: Float[Tensor, "pairs dim"]) -> float | None:
    """Standard error of the mean cosine by leaving out one vector at a time; None for fewer than three.

    It takes the pairs for independent, which those that share a word are not.
    """
    count = len(vectors)
    if count < 3:
        return None
    units = geometry.unit(vectors)
    rest = (units.sum(dim=0) - units).square().sum(dim=1)  # |Σ without vector i|²
    values = (rest - (count - 1)) / ((count - 1) * (count - 2))
    return float(((count - 1) * values.var(correction=0)).sqrt())


def _within(
    spaces: Spaces, pairs: Int[np.ndarray, "pairs 2"], shuffles: int, generator: np.random.Generator
) -> dict[str, Any]:
    """One concept under every product; all products see the same shuffles."""
    ones, zeros = torch.from_numpy(pairs).unbind(dim=1)
    forbidden = np.zeros((len(pairs), len(pairs)), dtype=bool)
    for rows in spaces.values():
        forbidden |= coinciding(rows[ones], rows[zeros])
    orders = shuffled_orders(forbidden, shuffles, generator=generator)
    within, stderr, null = {}, {}, {}
    for product, rows in spaces.items():
        vectors = steering_vectors(rows, pairs)
        within[product] = float(geometry.mean_cosine(vectors))
        stderr[product] = jackknife(vectors)
        by_chance = shuffled_cosines(rows[ones], rows[zeros], orders)
        exceeding = int((by_chance >= within[product] - TIE).sum())
        null[product] = {"shuffled": float(by_chance.mean()), "p": (1 + exceeding) / (1 + shuffles)}
    floor = smallest_shuffle_p(pairs, orders, restricted=bool(forbidden.any()))
    return {"within": within, "within_stderr": stderr, **null["euclidean"], "null": null, "smallest_p": floor}


def _adjust(reports: Sequence[dict[str, Any]]) -> None:
    """Add q, the p-value adjusted for the number of concepts, to each null."""
    for product in PRODUCTS:
        nulls = [report["null"][product] for report in reports]
        for null, q in zip(nulls, stats.false_discovery_control([null["p"] for null in nulls]), strict=True):
            null["q"] = float(q)


def _between(spaces: Spaces, pairs: Sequence[Int[np.ndarray, "_ 2"]], generator: np.random.Generator) -> dict[str, Any]:
    """Between the concepts, under every product: directions, the random-pairs control, and the matrix of cosines."""
    vectors = {product: [steering_vectors(rows, pair) for pair in pairs] for product, rows in spaces.items()}
    cosines = {product: geometry.cosine_matrix(concepts).tolist() for product, concepts in vectors.items()}
    if len(pairs) < 2:
        return {"between": dict.fromkeys(spaces), "between_random": dict.fromkeys(spaces), "cosines": cosines}
    draws = random_between(spaces, [len(pair) for pair in pairs], draws=DRAWS, generator=generator)
    return {
        "between": {
            product: float(geometry.mean_absolute_between(geometry.directions(concepts)))
            for product, concepts in vectors.items()
        },
        "between_random": {
            product: {"mean": float(values.mean()), "sd": float(values.std(ddof=1))}
            for product, values in draws.items()
        },
        "cosines": cosines,
    }


def _entry(concept: TokenPairs, report: dict[str, Any] | None) -> dict[str, Any]:
    nothing = dict.fromkeys(("within", "within_stderr", "shuffled", "p", "null", "smallest_p"))
    return {
        "name": concept.name,
        "read": concept.read,
        "kept": len(concept.pairs),
        "dropped": [{"pair": list(pair), "reason": reason} for pair, reason in concept.dropped],
        "note": too_few(len(concept.pairs), concept.read, None if report is None else report["smallest_p"]),
        **(nothing if report is None else report),
    }


def _reindex(concepts: Sequence[TokenPairs]) -> tuple[Int[np.ndarray, " words"], list[Int[np.ndarray, "_ 2"]]]:
    """The different tokens of all concepts, and the pairs as positions among them."""
    ids, positions = np.unique(np.concatenate([concept.pairs for concept in concepts]), return_inverse=True)
    ends = np.cumsum([len(concept.pairs) for concept in concepts])[:-1]
    return ids, np.split(positions.reshape(-1, 2), ends)


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(crc32(name.encode()),)))


def _check(concepts: Sequence[TokenPairs], shuffles: int, seed: int) -> None:
    names = [concept.name for concept in concepts]
    if not names or len(set(names)) < len(names):
        raise InputError(f"{len(names)} concept(s) with {len(set(names))} different name(s) given; names must differ")
    if shuffles < 1:
        raise InputError(f"shuffles is {shuffles}; at least 1 is needed")
    if seed < 0:
        raise InputError(f"seed is {seed}; it must not be negative")
