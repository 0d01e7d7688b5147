"""A language as a concept: the same paragraph in two languages, against the directions of words.

The paper's measure (section 5.2, Figures 4 and 8 to 11): for four pairs of languages the mean difference of the hidden
states after one text in two languages against the mean unembedding difference of each of the 27 word concepts, by
absolute cosine. On LLaMA-2 the language's own words are highest, at about 0.16 to 0.35, other pairs of languages are
next, and the rest is near zero.

Rules, fixed before any of these numbers was computed.

- The text is the Universal Declaration of Human Rights, which is not the paper's. As in the paper a pair is dropped
  when one of its texts has fewer than `FEWEST` or more than `MOST` tokens (special tokens not counted). Whole
  paragraphs are the primary arm. Ours: the last word of every one cut off, so that a word of the language is next; the
  same paragraphs.
- Each of the four against all 27 word concepts. Matched: the largest in its row is its own, by absolute cosine as in
  the paper, and by signed cosine as in `linrep.llm.embedding`. Interval: articles and word pairs drawn anew. p: the
  signs of the articles' shifts flipped, Holm over the four; for the mean of the four, the labels permuted, where p is
  at least 1/24.
- Controls: an untrained model; random words, words as frequent, Gaussian rows (`word_nulls`); other content; no change
  of language.
- **Other content.** Dealing out the translations anew among the paragraphs would leave their mean, and so every cosine,
  as it was. So the articles are split in halves, `SPLITS` times at random: one language is read from one half, the
  other from the other half. What is left is the language. *Same content* reads both from one half, *same language*
  one language from both: no language changes.
- **What cannot fail.** Three of the four concepts are differences of three languages: in the contexts French to Spanish
  is French to German and German to Spanish, up to the paragraphs dropped. So that other languages come next is in part
  algebra. And as everywhere the sign of a cosine says that the model knows which language it reads.

Predictions, written before the first number. (A trial with words of its own on Gemma had found 13 of 13 concepts
nearest to their own, four languages among them.) Gemma: four of four matched by absolute cosine, own from 0.1 to 0.4
(lower than with words cut off, since a full stop asks for a new line in any language); the largest cosine apart from
the own one is a language's in at least three rows; other content keeps at least 0.8 of the own cosine; untrained,
nothing. SmolLM2, which keeps few words of other languages than English: fewer than four matched.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import direction, directions, unit
from linrep.llm import embedding
from linrep.llm.contexts import LANGUAGE_CONCEPTS, ContextConcept
from linrep.llm.embedding import Sides
from linrep.llm.network import LanguageModel
from linrep.llm.tokens import context_ids
from linrep.llm.words import TokenPairs

FEWEST, MOST = 20, 150
"""Tokens of a text, as in the paper."""

SPLITS = 200

CONTENT = ("same content", "other content", "same language")


def of_fair_length(
    concept: ContextConcept, tokenizer: Any, *, fewest: int = FEWEST, most: int = MOST
) -> ContextConcept:
    """The pairs both of whose texts have from `fewest` to `most` tokens.

    Raises:
        InputError: fewer than two articles are left, of which no interval can be made.
    """
    lengths = token_counts(concept, tokenizer)
    kept = [
        pair for pair, both in zip(concept.pairs, lengths, strict=True) if fewest <= min(both) and max(both) <= most
    ]
    if len({pair.template for pair in kept}) < 2:
        raise InputError(
            f"{concept.name}: {len(kept)} pair(s) of {len(concept.pairs)} have {fewest} to {most} tokens; "
            "pairs of 2 articles or more are needed"
        )
    return replace(concept, pairs=tuple(kept))


def token_counts(concept: ContextConcept, tokenizer: Any) -> list[tuple[int, int]]:
    """Tokens of the two texts of each pair, without special tokens."""
    sides = [[pair.context0 for pair in concept.pairs], [pair.context1 for pair in concept.pairs]]
    first, second = ([len(ids) for ids in context_ids(tokenizer, texts, special="none")] for texts in sides)
    return list(zip(first, second, strict=True))


def without_last_words(concept: ContextConcept) -> ContextConcept:
    """The same pairs with the last word of each text cut off, and the marks behind it."""
    pairs = [
        replace(pair, context0=pair.context0.rpartition(" ")[0], context1=pair.context1.rpartition(" ")[0])
        for pair in concept.pairs
    ]
    return replace(concept, pairs=tuple(pairs))


def evidence_table(both: Sides, *, seed: int = 0) -> pd.DataFrame:
    """`linrep.llm.embedding.evidence_table` with what the paper says of absolute cosines.

    Returns:
        Its columns, and: "|nearest|" and "|matched|" by absolute cosine; "next", the concept with the largest absolute
        cosine apart from the own one; "languages", the mean absolute cosine with the other language concepts; "rest",
        that with all concepts that are no languages.
    """
    names = np.array([each.name for each in both.words])
    languages = np.isin(names, LANGUAGE_CONCEPTS)
    lines = []
    for row, column in enumerate(both.own):
        size, other = np.abs(both.cosines[row]), np.arange(len(names)) != column
        lines.append(
            {
                "|nearest|": names[size.argmax()],
                "|matched|": bool(size.argmax() == column),
                "next": names[np.where(other, size, -1).argmax()],
                "languages": size[languages & other].mean(),
                "rest": size[~languages].mean(),
            }
        )
    table = embedding.evidence_table(both, seed=seed)
    return table.join(pd.DataFrame(lines, index=table.index))


def content_table(
    model: LanguageModel, concepts: Sequence[ContextConcept], words: Sequence[TokenPairs], *, seed: int = 0
) -> pd.DataFrame:
    """Is it the language, or what the paragraph says? Euclidean.

    Returns:
        A row for each concept and each of `CONTENT`: the mean over the splits of the own cosine, low and high (95 % of
        the splits), "|own|", the mean of its size, and matched, the share of splits in which it is the largest.
    """
    columns = embedding.word_shifts(model, words)
    toward = directions([each.vectors for each in columns])
    names = [each.name for each in columns]
    states = torch.split(embedding.context_states(model, concepts), [len(each.pairs) for each in concepts], dim=1)
    lines = []
    for concept, (before, after) in zip(concepts, states, strict=True):
        inside = halves(np.array([pair.template for pair in concept.pairs]), splits=SPLITS, seed=seed)
        first, second = _means(before, inside), _means(before, ~inside)
        moved = (_means(after, inside) - first, _means(after, ~inside) - first, second - first)
        for name, shift in zip(CONTENT, moved, strict=True):
            cosines = (unit(shift) @ toward.T).numpy()
            lines.append({"concept": concept.name, "arm": name} | _over_splits(cosines, names.index(concept.name)))
    return pd.DataFrame(lines).set_index(["concept", "arm"])


def halves(articles: np.ndarray, *, splits: int, seed: int) -> Bool[np.ndarray, "splits pairs"]:
    """For each split, which pairs belong to the one half of the articles.

    Raises:
        InputError: fewer than two articles.
    """
    numbers, place = np.unique(articles, return_inverse=True)
    if len(numbers) < 2:
        raise InputError(f"{len(numbers)} article(s) given; two halves need 2 or more")
    ranks = np.random.default_rng(seed).permuted(np.tile(np.arange(len(numbers)), (splits, 1)), axis=1)
    found: Bool[np.ndarray, "splits pairs"] = (ranks < len(numbers) // 2)[:, place]
    return found


def paragraph_rows(
    model: LanguageModel, concepts: Sequence[ContextConcept], words: Sequence[TokenPairs]
) -> pd.DataFrame:
    """A row for each pair: concept, article, paragraph, tokens of both texts, and the own cosine of its shift alone.

    Args:
        words: of these concepts, in any order.
    """
    toward = {each.name: direction(each.vectors) for each in embedding.word_shifts(model, words)}
    lines = []
    for concept, shifts in zip(concepts, embedding.context_shifts(model, concepts), strict=True):
        cosines = (unit(shifts.vectors) @ toward[concept.name]).tolist()
        lengths = token_counts(concept, model.tokenizer)
        lines += [
            {"concept": concept.name, "article": pair.template, "paragraph": pair.filler, "own": own}
            | {"tokens 0": tokens[0], "tokens 1": tokens[1]}
            for pair, tokens, own in zip(concept.pairs, lengths, cosines, strict=True)
        ]
    return pd.DataFrame(lines)


def _means(states: Float[Tensor, "pairs dim"], chosen: Bool[np.ndarray, "splits pairs"]) -> Float[Tensor, "splits dim"]:
    """The mean state of the chosen pairs, for each split."""
    weights = torch.from_numpy(chosen / chosen.sum(axis=1, keepdims=True))
    return weights @ states


def _over_splits(cosines: Float[np.ndarray, "splits words"], own: int) -> dict[str, float]:
    """One row of `content_table`, without its names."""
    low, high = np.quantile(cosines[:, own], [0.025, 0.975])
    matched = (np.abs(cosines).argmax(axis=1) == own).mean()
    mean = {"own": cosines[:, own].mean(), "low": low, "high": high}
    return mean | {"|own|": np.abs(cosines[:, own]).mean(), "matched": matched}
