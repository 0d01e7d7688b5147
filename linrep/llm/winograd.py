"""Winograd-like pairs: one word decides which of two things the next word names.

The paper's measure (section 5.2): the difference of the hidden states after a pair's two contexts against the
difference of the unembeddings of the two answers, at the first token in which these differ; all cosines, pair by pair.
It prints a mean of 0.042 and a maximum of 0.161 for a pair with its own answers, 0.011 and 0.081 with those of others,
and does not say whether these are signed. Its Table 8 has the largest cosines of such a difference with the directions
of the 27 word concepts: 0.311, 0.309 and 0.303.

Rules, fixed before any of these numbers was computed on the pairs of this project.

- All pairs that come with linrep are used. An answer of several tokens is used; a pair of which one answer begins the
  other has no token that tells them apart, and is dropped and counted.
- Signed and absolute cosines, under each of `PRODUCTS`; the paper's is the Euclidean one. Own is a pair with its
  answers, others is a pair with the answers of another.
- Null of the mean: the answers dealt out anew among the pairs. Interval: the pairs drawn with replacement. Control: an
  untrained model. How often is a pair's largest signed cosine its own? By chance in one of the number of pairs.
- **What cannot fail.** The sign of an own cosine is that of the change of the answers' log-odds (where the answers
  differ in their first token). So the share of positive ones, and with it much of the signed mean, says whether the
  model understands the pairs. The absolute cosines do not have that part.
- Nulls of the largest of all cosines with the 27 directions: context 1 of a pair less context 0 of another one, so
  that much more than one word differs; normal vectors; an untrained model.

Prediction, written before the first number. (A trial with other pairs had seen an own mean of 0.029, others of 0.029 in
absolute value, and 10 to 17 % of the pairs nearest to their own answers.) SmolLM2, Euclidean: own mean from 0.02 to
0.05, p below 0.01 for signed and for absolute cosines; absolute own at most twice the others; 10 to 20 % nearest; the
largest cosine with a concept between 0.2 and 0.4, and not above what unrelated contexts give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import directions, unit
from linrep.llm import embedding, matching
from linrep.llm.contexts import ContextConcept, ContextPair
from linrep.llm.embedding import DRAWS, Sides
from linrep.llm.network import LanguageModel
from linrep.llm.words import TokenPairs, following_ids
from linrep.nulls import p_value


@dataclass(frozen=True, eq=False)
class Answers:
    """Pairs whose answers a tokenizer tells apart, with the tokens that do.

    Attributes:
        contexts: for each pair a concept of its own, named by its number.
        tokens: for each pair the first tokens in which its answers differ.
        several: how many pairs have an answer of several tokens. late: how many differ first after their first token.
        dropped: numbers of the pairs of which one answer begins the other.
    """

    contexts: tuple[ContextConcept, ...]
    tokens: tuple[TokenPairs, ...]
    several: int
    late: int
    dropped: tuple[int, ...]

    @property
    def pairs(self) -> list[ContextPair]:
        """The pairs, in order."""
        return [concept.pairs[0] for concept in self.contexts]


def read_answers(pairs: Sequence[ContextPair], tokenizer: Any) -> Answers:
    """The tokens of the answers.

    Args:
        tokenizer: of transformers.

    Raises:
        InputError: a pair without answers, or fewer than two pairs that can be used.
    """
    contexts, tokens, dropped = [], [], []
    several, late = 0, 0
    for pair in pairs:
        ids = [_answer_ids(pair, word, tokenizer) for word in (pair.word1, pair.word0)]
        differing = ((place, found) for place, found in enumerate(zip_longest(*ids)) if found[0] != found[1])
        place, parted = next(differing, (0, (None, None)))
        if None in parted:
            dropped.append(pair.template)
            continue
        name = str(pair.template)
        contexts.append(ContextConcept(name, (pair,)))
        tokens.append(
            TokenPairs(name, 1, np.array([parted], dtype=np.int64), ((str(pair.word0), str(pair.word1)),), ())
        )
        several += max(map(len, ids)) > 1
        late += place > 0
    if len(contexts) < 2:
        raise InputError(f"{len(contexts)} pair(s) with answers that differ; permuting them needs 2 or more")
    return Answers(tuple(contexts), tuple(tokens), several, late, tuple(dropped))


def answer_sides(model: LanguageModel, answers: Answers) -> dict[str, Sides]:
    """Each pair's shift beside each pair's answers, under each of `linrep.llm.products.PRODUCTS`.

    Raises:
        InputError: as `linrep.llm.embedding.sides` does.
    """
    return embedding.sides(model, answers.contexts, answers.tokens)


def concept_sides(model: LanguageModel, answers: Answers, words: Sequence[TokenPairs]) -> Sides:
    """Each pair's shift beside the direction of each word concept, Euclidean (the paper's Table 8)."""
    contexts, columns = embedding.context_shifts(model, answers.contexts), embedding.word_shifts(model, words)
    return Sides(tuple(contexts), tuple(columns), matching.matching_cosines(contexts, columns))


def summary(arms: Mapping[str, Mapping[str, Sides]], *, seed: int = 0) -> pd.DataFrame:
    """A row for each arm (a model) and product.

    Returns:
        own, with low and high (95 %, pairs drawn anew), others and p, of signed cosines; the same with "|own|" and
        "|others|", of absolute ones; the largest absolute one of each, "largest own" and "largest other"; nearest, the
        share of pairs nearest to their own answers, with its p; right, the share of positive own cosines.
    """
    lines = [
        {"arm": arm, "product": product} | _summary(both.cosines, seed)
        for arm, products in arms.items()
        for product, both in products.items()
    ]
    return pd.DataFrame(lines).set_index(["arm", "product"])


def pair_table(both: Sides, answers: Answers) -> pd.DataFrame:
    """A row for each pair: its answers, own cosine, the mean absolute one with others, and which pair's is nearest."""
    near = matching.nearest(both.cosines)
    lines = [
        {
            "pair": pair.template,
            "answer 0": pair.word0,
            "answer 1": pair.word1,
            "own": both.cosines[row, row],
            "|others|": np.abs(np.delete(both.cosines[row], row)).mean(),
            "nearest": answers.pairs[near[row]].template,
        }
        for row, pair in enumerate(answers.pairs)
    ]
    return pd.DataFrame(lines).set_index("pair")


def top_matches(both: Sides, answers: Answers, *, count: int = 3) -> pd.DataFrame:
    """The largest absolute cosines of pairs with word concepts, and the words in which the pair's contexts differ."""
    order = np.argsort(-np.abs(both.cosines), axis=None)[:count]
    lines = []
    places = zip(*np.unravel_index(order, both.cosines.shape), strict=True)
    for rank, (row, column) in enumerate(places, start=1):
        pair = answers.pairs[row]
        line = {
            "rank": rank,
            "pair": pair.template,
            "from, to": " – ".join(special_words(pair)),
            "concept": both.words[column].name,
        }
        lines.append(line | {"cosine": both.cosines[row, column]})
    return pd.DataFrame(lines).set_index("rank")


def special_words(pair: ContextPair) -> tuple[str, str]:
    """The words in which the two contexts differ, place by place, without the marks around them."""
    places = zip(pair.context0.split(), pair.context1.split(), strict=True)
    different = [(zero.strip(".,;"), one.strip(".,;")) for zero, one in places if zero != one]
    return " ".join(zero for zero, _ in different), " ".join(one for _, one in different)


def largest_table(model: LanguageModel, answers: Answers, both: Sides, *, seed: int = 0) -> pd.DataFrame:
    """The largest absolute cosine with a word concept, beside what `DRAWS` draws of each null have.

    Args:
        both: of `concept_sides`.

    Returns:
        A row for each null: largest (of the pairs, the same in every row), mean and "95 %" of the null, p.
    """
    observed = float(np.abs(both.cosines).max())
    toward = directions([each.vectors for each in both.words])
    before, after = embedding.context_states(model, answers.contexts)
    nulls = {
        "unrelated contexts": unrelated_largest(before, after, toward, draws=DRAWS, seed=seed),
        "normal vectors": normal_largest(toward, count=len(before), draws=DRAWS, seed=seed),
    }
    lines = [
        {"null": name, "largest": observed, "mean": values.mean(), "95 %": np.quantile(values, 0.95)}
        | {"p": p_value(values, observed)}
        for name, values in nulls.items()
    ]
    return pd.DataFrame(lines).set_index("null")


def unrelated_largest(
    before: Float[Tensor, "pairs dim"],
    after: Float[Tensor, "pairs dim"],
    toward: Float[Tensor, "concepts dim"],
    *,
    draws: int,
    seed: int,
) -> Float[np.ndarray, " draws"]:
    """The largest |cosine| with a direction, of as many differences of contexts that are no pair.

    A draw takes for each pair's context 0 the context 1 of another pair, each of them once.

    Args:
        before, after: states of contexts 0 and 1. toward: unit vectors.
    """
    apart = unit(after[:, None] - before[None])  # (pairs of context 1, pairs of context 0, dim)
    largest = (apart @ toward.T).abs().amax(dim=-1).numpy()
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(len(before)), (draws, 1)), axis=1)
    found: Float[np.ndarray, " draws"] = largest[np.roll(orders, 1, axis=1), orders].max(axis=1)
    return found


def normal_largest(
    toward: Float[Tensor, "concepts dim"], *, count: int, draws: int, seed: int
) -> Float[np.ndarray, " draws"]:
    """The largest |cosine| with a direction, of `count` normal vectors."""
    generator = np.random.default_rng(seed)
    found = [
        float((unit(torch.from_numpy(generator.standard_normal((count, toward.shape[1])))) @ toward.T).abs().max())
        for _ in range(draws)
    ]
    return np.array(found)


def _answer_ids(pair: ContextPair, word: str | None, tokenizer: Any) -> list[int]:
    ids = None if word is None else following_ids(word, tokenizer)
    if not ids:
        raise InputError(f"pair {pair.template}: the answer {word!r} has no tokens; each pair needs two answers")
    return ids


def _summary(cosines: Float[np.ndarray, "pairs pairs"], seed: int) -> dict[str, float]:
    """One row of `summary`, without its names."""
    nearest = np.eye(len(cosines))[matching.nearest(cosines)]  # a 1 in each row
    signed, size = _against_others(cosines, seed), _against_others(np.abs(cosines), seed)
    return {
        **signed,
        **{f"|{name}|": value for name, value in size.items()},
        "largest own": float(np.abs(np.diagonal(cosines)).max()),
        "largest other": float(np.abs(cosines[~np.eye(len(cosines), dtype=bool)]).max()),
        "nearest": float(np.diagonal(nearest).mean()),
        "p, nearest": matching.label_p(nearest, draws=DRAWS, seed=seed)[1],
        "right": float((np.diagonal(cosines) > 0).mean()),
    }


def _against_others(cosines: Float[np.ndarray, "pairs pairs"], seed: int) -> dict[str, float]:
    """Mean of the diagonal with its interval, mean of the rest, and p by permutation."""
    own = np.diagonal(cosines)
    drawn = stats.bootstrap(
        (own,), np.mean, n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(seed)
    ).confidence_interval
    others = float(cosines[~np.eye(len(cosines), dtype=bool)].mean())
    p = matching.label_p(cosines, draws=DRAWS, seed=seed)[1]
    return {"own": float(own.mean()), "low": float(drawn.low), "high": float(drawn.high), "others": others, "p": p}
