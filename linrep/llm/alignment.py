"""Contexts against words as plain data: what `linrep probe --contexts` reports.

Measures, nulls and intervals are those of `linrep.llm.embedding`, with the concepts of anybody's files. A context
concept is held to the word concept of its name. One that has none, or whose word concept has fewer than two usable
pairs, has no own cosine and says why; its cosines with the other word concepts are in the matrix all the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linrep.errors import InputError
from linrep.llm.contexts import ContextConcept, ContextPair
from linrep.llm.embedding import DRAWS, Sides, context_shifts, evidence_table, sides_of
from linrep.llm.matching import label_p, nearest, smallest_flip_p
from linrep.llm.network import LanguageModel
from linrep.llm.tokens import context_ids
from linrep.llm.tsv import quoted
from linrep.llm.usable import usable_concepts, with_vectors
from linrep.llm.words import TokenPairs
from linrep.results import finite_or_none
from linrep.stats import LEVEL

SAME_TOKENS = "both contexts are the same tokens"


@dataclass(frozen=True)
class Told:
    """A context concept, and which of its pairs a model can tell apart.

    Attributes:
        pairs: whose two contexts differ in their tokens. lost: the others.
    """

    concept: ContextConcept
    pairs: tuple[ContextPair, ...]
    lost: tuple[ContextPair, ...]

    @property
    def templates(self) -> int:
        """Independent parts: pairs of one template are not."""
        return len({pair.template for pair in self.pairs})


def align(
    model: LanguageModel,
    contexts: Sequence[ContextConcept],
    words: Sequence[TokenPairs],
    *,
    seed: int = 0,
    batch: int = 16,
) -> dict[str, Any]:
    """Directions of contexts against directions of words, with their nulls; ready for JSON.

    Args:
        words: the tokens of the word concepts; those with fewer than two usable pairs are no columns.
        seed: of bootstrap, sign flips and permutations.
        batch: contexts in one pass through the network.

    Returns:
        A dictionary with these keys.

        - `rows`, `columns`: names of the context concepts that could be measured and of the word concepts.
        - `concepts`: for every context concept name, read (its pairs), repeated, kept, dropped (pairs with reasons),
          templates (kept; pairs of one are not independent), words (usable pairs of its word concept, None without
          one), smallest_p (the smallest that p could have been), note (why a number is missing or cannot tell).
        - `products`: for each product `concepts`, in the order of `rows`: name, own (cosine with the word concept of
          the same name), interval (95 %, templates and word pairs drawn anew), others (mean absolute cosine with the
          other word concepts), nearest, matched (nearest is own), p (sign flips of templates), holm. And `cosines`, a
          line for each row; own, others, matched: means and number over the `of` concepts with an own cosine; permuted
          and p: the mean own cosine when labels are dealt out anew, and whether the real one is larger.
          smallest_p: the smallest that this last p could have been, 1 of 2 with two concepts, 1 of 6 with three.
        - `draws`: of bootstrap and permutations.

    Raises:
        InputError: no context concept has a word concept of its name, a batch below 1, a text that the model cannot
            read, a singular covariance.
    """
    if batch < 1:
        raise InputError(f"batch is {batch}; at least 1 is needed")
    columns = usable_concepts([with_vectors(each, model.unembedding) for each in words])
    require_shared([each.name for each in contexts], [each.name for each in columns])
    told = [_told(concept, model.tokenizer) for concept in contexts]
    measured = [ContextConcept(each.concept.name, each.pairs) for each in told if len(each.pairs) > 1]
    require_shared([each.name for each in measured], [each.name for each in columns])
    rows = context_shifts(model, measured, batch=batch)
    products = sides_of(rows, model, columns)
    kept = {each.name: len(each.pairs) for each in columns}
    return {
        "rows": [each.name for each in rows],
        "columns": list(kept),
        "concepts": [_concept(each, kept.get(each.concept.name)) for each in told],
        "products": {product: _product(both, seed) for product, both in products.items()},
        "draws": DRAWS,
    }


def require_shared(contexts: Sequence[str], words: Sequence[str]) -> None:
    """Refuse contexts and words that have no concept in common.

    Raises:
        InputError: names some of both.
    """
    if not set(contexts) & set(words):
        some = [", ".join([*map(quoted, names[:3]), *["..."][: len(names[3:])]]) for names in (contexts, words)]
        raise InputError(
            f"no context concept ({some[0] or 'none can be measured'}) has a word concept of its name with 2 usable "
            f"pairs ({some[1]}); name them alike"
        )


def _told(concept: ContextConcept, tokenizer: Any) -> Told:
    """Leave out the pairs whose contexts are the same to the model: what they differ in, its tokenizer drops."""
    sides = [[pair.context0 for pair in concept.pairs], [pair.context1 for pair in concept.pairs]]
    ids = zip(*(context_ids(tokenizer, side) for side in sides), strict=True)
    apart = [zero != one for zero, one in ids]
    pairs = tuple(pair for pair, differs in zip(concept.pairs, apart, strict=True) if differs)
    return Told(concept, pairs, tuple(pair for pair, differs in zip(concept.pairs, apart, strict=True) if not differs))


def _concept(told: Told, words: int | None) -> dict[str, Any]:
    """What became of a context concept's pairs."""
    floor = None if words is None or len(told.pairs) < 2 else smallest_flip_p(told.templates)
    return {
        "name": told.concept.name,
        "read": len(told.concept.pairs) + told.concept.repeated,
        "repeated": told.concept.repeated,
        "kept": len(told.pairs),
        "dropped": [{"pair": [pair.context0, pair.context1], "reason": SAME_TOKENS} for pair in told.lost],
        "templates": told.templates,
        "words": words,
        "smallest_p": floor,
        "note": _note(told, words, floor),
    }


def _note(told: Told, words: int | None, floor: float | None) -> str | None:
    if len(told.pairs) < 2:
        return f"too few pairs for a number: the model tells {len(told.pairs)} apart, and 2 are needed"
    if words is None:
        return "no word concept of this name has 2 usable pairs"
    if floor is not None and floor > LEVEL:
        return (
            f"too few pairs to tell: with {told.templates} template(s) no p can be below {floor:.3f}, and the level is "
            f"{LEVEL}; each pair of a file of yours is a template"
        )
    return None


def _product(both: Sides, seed: int) -> dict[str, Any]:
    """One product: a line for each row, the matrix, and what labels dealt out anew would give."""
    names = [each.name for each in both.words]
    matched = [row for row, each in enumerate(both.contexts) if each.name in names]
    part = Sides(tuple(both.contexts[row] for row in matched), both.words, both.cosines[matched])
    table = evidence_table(part, seed=seed)
    near = nearest(both.cosines)
    evidence = dict(zip(table.index, table.to_dict("records"), strict=True))
    lines = []
    for row, contexts in enumerate(both.contexts):
        line: dict[str, Any] = {
            "name": contexts.name,
            **dict.fromkeys(("own", "interval", "others", "nearest", "matched", "p", "holm")),
        }
        line |= {"nearest": names[near[row]], "others": float(np.abs(both.cosines[row]).mean())}
        if contexts.name in evidence:
            found = evidence[contexts.name]
            line |= {key: float(found[key]) for key in ("own", "p", "holm")}
            line |= {"interval": [float(found["low"]), float(found["high"])], "matched": bool(found["matched"])}
            line |= {"others": finite_or_none(float(found["others"]))}
        lines.append(line)
    square = part.cosines[:, part.own]
    permuted, p = label_p(square, draws=DRAWS, seed=seed) if len(matched) > 1 else (None, None)
    return {
        "concepts": lines,
        "cosines": both.cosines.tolist(),
        "own": float(table["own"].mean()),
        "others": finite_or_none(float(table["others"].mean())),
        "matched": int(table["matched"].sum()),
        "of": len(table),
        "permuted": permuted,
        "p": p,
        "smallest_p": None if p is None else max(1 / math.factorial(len(matched)), 1 / (1 + DRAWS)),
    }
