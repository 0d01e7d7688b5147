"""All that `linrep probe` measures of a model: words, contexts where there are some, and the untrained control."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from linrep.errors import InputError
from linrep.llm.alignment import align
from linrep.llm.contexts import ContextConcept
from linrep.llm.matrix import Unembedding
from linrep.llm.network import LanguageModel
from linrep.llm.probe import measure
from linrep.llm.states import SHOW_AFTER
from linrep.llm.words import TokenPairs, WordPairs, tokenise

MOST_SEED = 2**63 - 1
"""The largest that torch takes."""


def full_probe(
    model: Unembedding,
    concepts: Sequence[WordPairs],
    contexts: Sequence[ContextConcept] | None = None,
    *,
    untrained: bool = False,
    shuffles: int = 1000,
    seed: int = 0,
    batch: int = 16,
    progress: bool = False,
) -> dict[str, Any]:
    """Measure a model's concepts, ready for JSON.

    Args:
        model: the unembedding alone is enough for words; contexts and the control need the whole model.
        concepts: as word pairs.
        contexts: as context pairs, or None.
        untrained: measure the same of a model of the same shape with the weights that training starts from.
        shuffles: random partners for the null within each concept.
        seed: of every null, and of the untrained weights.
        batch: contexts in one pass through the network.
        progress: bars with estimates, on a terminal, once the work has taken some seconds.

    Returns:
        `model`, `hidden_size`, and what `linrep.llm.probe.measure` gives; with contexts also `alignment`, what
        `linrep.llm.alignment.align` gives; with the control also `untrained`, all of this for the untrained model.

    Raises:
        InputError: as these do; contexts or the control asked of an unembedding alone; a seed that torch does not take.
    """
    if untrained and seed > MOST_SEED:
        raise InputError(f"seed is {seed}; up to {MOST_SEED} is allowed for random weights")
    words = [tokenise(concept, model.tokenizer) for concept in concepts]

    def of(each: Unembedding) -> dict[str, Any]:
        return _measured(each, words, contexts, shuffles=shuffles, seed=seed, batch=batch, progress=progress)

    found = of(model)
    if untrained:
        found["untrained"] = of(_whole(model).untrained(seed=seed))
    return found


def _measured(
    model: Unembedding,
    words: Sequence[TokenPairs],
    contexts: Sequence[ContextConcept] | None,
    *,
    shuffles: int,
    seed: int,
    batch: int,
    progress: bool,
) -> dict[str, Any]:
    with _bar(model.name, len(words), shown=progress) as report:
        found = measure(model.unembedding, words, shuffles=shuffles, seed=seed, progress=report)
    found = {"model": model.name, "hidden_size": model.hidden_size, **found}
    if contexts is not None:
        found["alignment"] = align(_whole(model), contexts, words, seed=seed, batch=batch)
    return found


def _whole(model: Unembedding) -> LanguageModel:
    if not isinstance(model, LanguageModel):
        raise InputError(f"of {model.name!r} only the unembedding is loaded; contexts and the control need the network")
    return model


@contextmanager
def _bar(label: str, total: int, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal that counts concepts; gives the function that moves it."""
    hidden = None if shown else True  # None: tqdm asks whether stderr is a terminal
    with tqdm(desc=label, total=total, unit="concept", delay=SHOW_AFTER, disable=hidden, leave=False) as bar:

        def moved(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield moved
