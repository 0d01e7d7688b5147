"""What steering steers with: the states it needs, halves of words and templates, directions and controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import InputError
from linrep.experiments.layers import words_of
from linrep.llm.contexts import ContextConcept, ContextPair, read_contexts
from linrep.llm.embedding import DERIVED, word_tokens
from linrep.llm.network import LanguageModel
from linrep.llm.products import covariance
from linrep.llm.steered import forecast_covariance, halves, least_spread, linked_halves, log_forecast, mean_difference
from linrep.llm.word_nulls import drawn_places
from linrep.llm.words import TokenPairs
from linrep.steering import steering_vectors

INFLECTION = (*DERIVED, "verb-3psg", "verb-ved", "verb-ving")
"""Six concepts of which three are differences of the other three: they are related by algebra."""

FEW = 5
"""Contexts of each concept among the neutral ones, and among those of the Fisher information."""


@dataclass(frozen=True, eq=False)
class Ground:
    """What all concepts and splits share.

    Attributes:
        unembedding: W in float64.
        words: the usable word pairs of each of the 27 concepts.
        pool: tokens that begin words of letters, ascending.
        covariance: of the rows of W. fisher: the same under the model's forecast; None when it was not asked for.
        states: of each text, float64. neutral: the neutral texts of each context concept.
    """

    unembedding: Float[Tensor, "vocabulary dim"]
    words: Mapping[str, TokenPairs]
    pool: Int[np.ndarray, " pool"]
    covariance: Float[Tensor, "dim dim"]
    fisher: Float[Tensor, "dim dim"] | None
    states: Mapping[str, Float[Tensor, " dim"]]
    neutral: Mapping[str, Sequence[str]]

    def neutral_states(self, target: str) -> Float[Tensor, "contexts dim"]:
        """States at the neutral contexts of all concepts but the target."""
        return self.at([text for name, texts in self.neutral.items() if name != target for text in texts])

    def at(self, texts: Sequence[str]) -> Float[Tensor, "texts dim"]:
        """The states of some texts."""
        return torch.stack([self.states[text] for text in texts])

    def generator(self, target: str, split: int, part: int) -> np.random.Generator:
        """The randomness of one concept's split: part 0 for the halves, 1 for the controls."""
        return np.random.default_rng([split, list(self.words).index(target), part])


@dataclass(frozen=True, eq=False)
class Split:
    """Halves of one concept's words and templates.

    Attributes:
        concept, number: which split it is.
        training, held: token pairs, value 1 first; no token is in both.
        toward, shift: mean Δg of the training pairs and mean Δf of the training templates.
        states: after context 0 and context 1 of held-out templates whose next words are a held-out pair.
        differences: Δg of these next words.
    """

    concept: str
    number: int
    training: Int[np.ndarray, "training 2"]
    held: Int[np.ndarray, "held 2"]
    toward: Float[Tensor, " dim"]
    shift: Float[Tensor, " dim"]
    states: Float[Tensor, "2 contexts dim"]
    differences: Float[Tensor, "contexts dim"]

    @property
    def context_effect(self) -> float:
        """By how much the training contexts raise the training words' log-odds on average, in nats."""
        return float(self.shift @ self.toward)

    def held_odds(self, step: Float[Tensor, " dim"] | None, *, value: int = 0) -> Float[np.ndarray, " contexts"]:
        """Log-odds of word 1 against word 0 after the held-out contexts of a value, after a step, in nats."""
        states = self.states[value] if step is None else self.states[value] + step
        found: Float[np.ndarray, " contexts"] = (states * self.differences).sum(dim=1).numpy()
        return found


def ground(model: LanguageModel, targets: Sequence[ContextConcept], *, fisher: bool) -> Ground:
    """What the given targets need; states are those of their contexts and of the neutral ones of all 21 concepts.

    Raises:
        InputError: a head that is not plainly h Wᵀ.
        LinrepError: states that are not finite.
    """
    head = model.head
    if head.bias or head.softcap is not None or head.scale != 1:
        raise InputError(f"the head of {model.name} is {head}; steering is measured where logits are h Wᵀ alone")
    neutral = {concept.name: some_texts(concept, parity=0) for concept in read_contexts()}
    informed = [text for concept in read_contexts() for text in some_texts(concept, parity=1)] if fisher else []
    own = [text for concept in targets for pair in concept.pairs for text in (pair.context0, pair.context1)]
    texts = list(dict.fromkeys([*own, *(text for each in neutral.values() for text in each), *informed]))
    found = model.hidden_states(texts, cache=True).cpu().double()
    states = dict(zip(texts, found, strict=True))
    table = model.unembedding.detach().cpu().double()
    log_p = log_forecast(torch.stack([states[text] for text in informed]), table) if fisher else None
    return Ground(
        unembedding=table,
        words={each.name: each for each in words_of(model)},
        pool=word_tokens(model),
        covariance=covariance(table),
        fisher=None if log_p is None else forecast_covariance(log_p, table),
        states=states,
        neutral=neutral,
    )


def some_texts(concept: ContextConcept, *, parity: int) -> list[str]:
    """One context of each of the first `FEW` templates with even (0) or odd (1) numbers: context 0 and 1 in turn."""
    firsts: dict[int, ContextPair] = {}
    for pair in concept.pairs:
        if pair.template % 2 == parity:
            firsts.setdefault(pair.template, pair)
    chosen = [firsts[template] for template in sorted(firsts)[:FEW]]
    return [pair.context1 if number % 2 else pair.context0 for number, pair in enumerate(chosen)]


def split_of(given: Ground, concept: ContextConcept, number: int) -> Split:
    """One split of a concept.

    Raises:
        InputError: words or templates that cannot be halved.
    """
    generator = given.generator(concept.name, number, 0)
    words = given.words[concept.name]
    first, second = linked_halves(words.pairs, generator=generator)
    training_templates, _ = halves([pair.template for pair in concept.pairs], generator=generator)
    place = {words.words[held]: held for held in second.tolist()}
    trained = [pair for pair in concept.pairs if pair.template in training_templates]
    tested = [
        pair for pair in concept.pairs if pair.template not in training_templates and (pair.word0, pair.word1) in place
    ]
    next_words = words.pairs[[place[pair.word0, pair.word1] for pair in tested]].reshape(-1, 2)
    sides = [given.at([pair.context0 for pair in trained]), given.at([pair.context1 for pair in trained])]
    dim = given.unembedding.shape[1]
    tested_texts = [[pair.context0 for pair in tested], [pair.context1 for pair in tested]]
    return Split(
        concept=concept.name,
        number=number,
        training=words.pairs[first],
        held=words.pairs[second],
        toward=mean_difference(given.unembedding, words.pairs[first]),
        shift=(sides[1] - sides[0]).mean(dim=0),
        states=torch.stack([given.at(texts) if texts else torch.zeros(0, dim).double() for texts in tested_texts]),
        differences=steering_vectors(given.unembedding, next_words),
    )


def directions(given: Ground, split: Split) -> dict[str, Float[Tensor, " dim"]]:
    """The directions of a split by name; fisher only where the ground has its covariance."""
    found = {"euclidean": split.toward, "causal": least_spread(given.covariance, split.toward), "context": split.shift}
    return found if given.fisher is None else found | {"fisher": least_spread(given.fisher, split.toward)}


def controls(given: Ground, split: Split) -> dict[str, Float[Tensor, " dim"]]:
    """Directions that have nothing to do with the concept, drawn for the split."""
    generator = given.generator(split.concept, split.number, 1)
    names = [name for name in given.words if name != split.concept and not related(name, split.concept)]
    other = mean_difference(given.unembedding, given.words[names[generator.integers(len(names))]].pairs)
    places = drawn_places(split.training, given.pool, "as frequent", 1, generator)
    frequent = mean_difference(given.unembedding, given.pool[places[0].T])
    return {
        "random": torch.from_numpy(generator.standard_normal(given.unembedding.shape[1])),
        "other": other,
        "other, causal": least_spread(given.covariance, other),
        "as frequent": frequent,
        "as frequent, causal": least_spread(given.covariance, frequent),
    }


def off_target(given: Ground, target: str) -> tuple[list[Int[np.ndarray, "_ 2"]], list[Int[np.ndarray, "_ 2"]]]:
    """Word pairs of each other concept that share no token with the target's: of unrelated, and of related concepts.

    A concept that has no such pair is left out.
    """
    taken = given.words[target].pairs
    sides: tuple[list[Int[np.ndarray, "_ 2"]], list[Int[np.ndarray, "_ 2"]]] = ([], [])
    for name, words in given.words.items():
        free = words.pairs[~np.isin(words.pairs, taken).any(axis=1)]
        if name != target and len(free):
            sides[related(name, target)].append(free)
    return sides


def related(first: str, second: str) -> bool:
    """Whether two concepts are both inflections, so that one is a sum or difference of others."""
    return first in INFLECTION and second in INFLECTION
