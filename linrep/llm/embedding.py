"""Concepts in the embedding space of a language model, beside the same concepts in its unembedding space.

Rules, fixed before anything was measured. All context concepts that come with linrep are compared with all word
concepts; a concept counts as matched when the largest signed cosine in its row is its own. Of the six inflection
concepts three are differences of the other three (`DERIVED`), so the count is also given without these. The paper's
product is the Euclidean one. Under "causal" words are whitened by Cov(g)^(−1/2) and hidden states by its inverse, so
that the logits stay as they are (Park et al. 2023); "pc1_removed" takes the same projection on both sides.

Nulls: the same on an untrained model; concept labels permuted; for each concept the signs of its templates' shifts
flipped (Holm over concepts); random words, words as frequent, and a Gaussian output matrix (`word_nulls`). Intervals:
the 95 % of 1,000 draws of templates and of word pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.geometry import direction
from linrep.llm import matching
from linrep.llm.contexts import ContextConcept
from linrep.llm.matching import Shifts
from linrep.llm.matrix import Unembedding
from linrep.llm.network import LanguageModel
from linrep.llm.products import PRODUCTS, for_states
from linrep.llm.shifts import pair_states
from linrep.llm.word_nulls import Kind, null_cosines
from linrep.llm.words import TokenPairs
from linrep.steering import steering_vectors

DERIVED = ("3psg-ved", "ving-3psg", "ving-ved")
"""Inflection concepts that are differences of verb-3psg, verb-ving and verb-ved."""

DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Sides:
    """Context concepts and word concepts of one model under one product.

    Attributes:
        contexts, words: steering vectors by concept; the order of `contexts` is that of the rows of `cosines`.
        cosines: of the directions, signed.
    """

    contexts: tuple[Shifts, ...]
    words: tuple[Shifts, ...]
    cosines: Float[np.ndarray, "contexts words"]

    @property
    def own(self) -> list[int]:
        """For each context concept the column of the word concept of its name."""
        names = [each.name for each in self.words]
        return [names.index(each.name) for each in self.contexts]


def sides(model: LanguageModel, concepts: Sequence[ContextConcept], words: Sequence[TokenPairs]) -> dict[str, Sides]:
    """Both sides of a comparison, under each of `PRODUCTS`.

    Args:
        words: as `sides_of` takes them; those of every context concept among them.

    Raises:
        InputError: a text without a token, a singular covariance.
    """
    return sides_of(context_shifts(model, concepts), model, words)


def sides_of(contexts: Sequence[Shifts], model: Unembedding, words: Sequence[TokenPairs]) -> dict[str, Sides]:
    """Both sides of a comparison, under each of `PRODUCTS`, from shifts of hidden states.

    Args:
        contexts: on the CPU, in float64, none of them with a mean of zero.
        words: one or more pairs with a steering vector for each concept, two for an interval.

    Raises:
        InputError: a singular covariance, a concept whose mean is zero.
    """
    differences = word_shifts(model, words)
    return {
        product: _sides(transformed(contexts, for_states(product, to_words)), transformed(differences, to_words))
        for product, to_words in model.transforms.items()
    }


def transformed(concepts: Sequence[Shifts], matrix: Float[Tensor, "dim dim"]) -> tuple[Shifts, ...]:
    """The same concepts with their vectors multiplied by a matrix."""
    return tuple(Shifts(each.name, each.vectors @ matrix, each.clusters) for each in concepts)


def word_shifts(model: Unembedding, words: Sequence[TokenPairs]) -> list[Shifts]:
    """Unembedding of word 1 less that of word 0, for each pair (the paper's Δg); every pair is a cluster by itself."""
    rows = model.unembedding.detach().to(device="cpu", dtype=torch.float64)
    return [Shifts(each.name, steering_vectors(rows, each.pairs), np.arange(len(each.pairs))) for each in words]


def context_states(
    model: LanguageModel, concepts: Sequence[ContextConcept], *, batch: int = 16
) -> Float[Tensor, "2 pairs dim"]:
    """Hidden states after context 0 and after context 1 of all pairs, in the order of the concepts.

    States are kept in the cache folder of `linrep.llm.cache`. `batch`: texts in one pass.
    """
    return pair_states(model, [pair for concept in concepts for pair in concept.pairs], batch=batch, cache=True)


def context_shifts(model: LanguageModel, concepts: Sequence[ContextConcept], *, batch: int = 16) -> list[Shifts]:
    """Hidden state after context 1 less that after context 0, for each pair (the paper's Δf); by template."""
    before, after = context_states(model, concepts, batch=batch)
    return _by_concept(after - before, concepts)


def context_texts(concepts: Sequence[ContextConcept]) -> list[str]:
    """Context 0 and context 1 of each pair in turn, concept by concept."""
    pairs = [pair for concept in concepts for pair in concept.pairs]
    return [text for pair in pairs for text in (pair.context0, pair.context1)]


def shifts_of(states: Float[Tensor, "texts dim"], concepts: Sequence[ContextConcept]) -> list[Shifts]:
    """The shifts of each concept, in float64, from the states of `context_texts`."""
    states = states.to(device="cpu", dtype=torch.float64)
    return _by_concept(states[1::2] - states[::2], concepts)


def _by_concept(moved: Float[Tensor, "pairs dim"], concepts: Sequence[ContextConcept]) -> list[Shifts]:
    """Shifts of all pairs in the order of the concepts, dealt out to them."""
    parts: tuple[Tensor, ...] = torch.split(moved, [len(concept.pairs) for concept in concepts])
    return [
        Shifts(concept.name, part, np.array([pair.template for pair in concept.pairs]))
        for concept, part in zip(concepts, parts, strict=True)
    ]


def _sides(contexts: tuple[Shifts, ...], words: tuple[Shifts, ...]) -> Sides:
    return Sides(contexts, words, matching.matching_cosines(contexts, words))


def evidence_table(both: Sides, *, seed: int = 0) -> pd.DataFrame:
    """A row for each context concept: its own cosine with interval, the others, which is nearest, and p by sign flips.

    Returns:
        own, low, high (95 %), others (mean absolute cosine with the other word concepts, NaN without any), nearest (by
        signed cosine), matched, p, and holm: p adjusted for the number of concepts.
    """
    near = matching.nearest(both.cosines)
    lines, p = [], {}
    for row, (contexts, column) in enumerate(zip(both.contexts, both.own, strict=True)):
        words = both.words[column]
        drawn = matching.bootstrap_cosines(contexts, words, draws=DRAWS, seed=seed)
        low, high = np.quantile(drawn, [0.025, 0.975])
        p[contexts.name] = matching.sign_flip_p(contexts, words, seed=seed)
        line = {"concept": contexts.name, "own": both.cosines[row, column], "low": low, "high": high}
        rest = np.abs(np.delete(both.cosines[row], column))
        line |= {"others": rest.mean() if len(rest) else np.nan}
        lines.append(line | {"nearest": both.words[near[row]].name, "matched": near[row] == column})
    table = pd.DataFrame(lines).set_index("concept")
    return table.assign(p=pd.Series(p), holm=pd.Series(matching.holm(p)))


def summary(arms: Mapping[str, Mapping[str, Sides]], *, seed: int = 0) -> pd.DataFrame:
    """A row for each arm (a model) and product: mean own cosine, that under permuted labels with p, others, matched.

    *Matched* goes by signed cosines, "matched, absolute" by their size, "matched, basic" leaves out `DERIVED`.
    """
    lines = []
    for arm, products in arms.items():
        for product in PRODUCTS:
            both = products[product]
            square = both.cosines[:, both.own]
            by_chance, p = matching.label_p(square, draws=DRAWS, seed=seed)
            near = matching.nearest(both.cosines) == both.own
            far = matching.nearest(both.cosines, signed=False) == both.own
            kept = np.array([each.name not in DERIVED for each in both.contexts])
            count = len(square)
            line = {"arm": arm, "product": product, "own": np.diagonal(square).mean(), "permuted": by_chance, "p": p}
            line |= {"others": np.abs(square[~np.eye(count, dtype=bool)]).mean(), "concepts": count}
            counts = {"matched": int(near.sum()), "matched, absolute": int(far.sum())}
            lines.append(line | counts | {"matched, basic": f"{near[kept].sum()} of {kept.sum()}"})
    return pd.DataFrame(lines).set_index(["arm", "product"])


def held_out(both: Sides) -> pd.DataFrame:
    """Directions from even templates against those from odd ones, and the matches that each half gives by itself."""
    halves = [
        [Shifts(each.name, each.vectors[each.clusters % 2 == part], each.clusters[each.clusters % 2 == part])
         for each in both.contexts]
        for part in (0, 1)
    ]  # fmt: skip
    cosines = [matching.matching_cosines(half, both.words) for half in halves]
    lines = []
    for row, (first, second) in enumerate(zip(*halves, strict=True)):
        between = float(direction(first.vectors) @ direction(second.vectors))
        line = {"concept": first.name, "even with odd": between}
        own = both.own[row]
        lines.append(line | {"even, own": cosines[0][row, own], "odd, own": cosines[1][row, own],
                             "matched": sum(int(each[row].argmax() == own) for each in cosines)})  # fmt: skip
    return pd.DataFrame(lines).set_index("concept")


def word_null_table(model: LanguageModel, both: Sides, words: Sequence[TokenPairs], *, seed: int = 0) -> pd.DataFrame:
    """Euclidean: where each concept's own cosine lies among those with words that have nothing to do with it.

    Returns:
        own, and for each kind of words the 95 % quantile of the absolute cosine ("random words", "as frequent",
        "Gaussian"). The pool is every token that begins a word of letters.
    """
    pool, root = word_tokens(model), torch.linalg.inv(model.transforms["causal"])
    kinds: tuple[Kind, ...] = ("random words", "as frequent", "Gaussian")
    pairs = {each.name: each.pairs for each in words}
    lines = []
    for row, contexts in enumerate(both.contexts):
        toward = direction(contexts.vectors)
        given = (toward, pairs[contexts.name], model.unembedding, root, pool)
        line = {"concept": contexts.name, "own": both.cosines[row, both.own[row]]}
        lines.append(line | {
            kind: np.quantile(np.abs(null_cosines(*given, kind=kind, draws=DRAWS, seed=seed)), 0.95) for kind in kinds
        })  # fmt: skip
    return pd.DataFrame(lines).set_index("concept")


def word_tokens(model: LanguageModel) -> Int[np.ndarray, " words"]:
    """Ids, ascending, of the tokens that are a space and letters: words, or beginnings of words."""
    texts = model.tokenizer.batch_decode([[i] for i in range(len(model.unembedding))])
    return np.array([i for i, text in enumerate(texts) if text[:1] == " " and text[1:].isalpha()])


def cosine_table(both: Sides) -> pd.DataFrame:
    """The cosines with names, the context concepts' own columns first, in the order of the rows."""
    names = [each.name for each in both.words]
    table = pd.DataFrame(both.cosines, index=[each.name for each in both.contexts], columns=names)
    own = [names[column] for column in both.own]
    return table[[*own, *(name for name in names if name not in own)]]
