"""Context concepts that are none: what unrelated contexts have in common with the directions of words.

Fixed before anything was measured. A nonsense concept is `PAIRS` pairs of contexts, as many as most real concepts have;
the two contexts of a pair belong to two different concepts, and either may be of value 0 or 1, all by chance. Of each
of `DRAWS` nonsense concepts we take what "nearest" goes by: the largest signed cosine with the words of any concept,
under the Euclidean product. A real concept passes when its cosine with its *own* words is above what 95 % of nonsense
concepts reach with *any*. Expected: nine of ten real concepts pass.

They did not (13 of 21). Added after that was seen: the same under the other products, and the cosine of nonsense
concepts with the concept's own words, in place of the largest of 27.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linrep.errors import InputError
from linrep.geometry import directions, unit
from linrep.llm.contexts import ContextConcept
from linrep.llm.embedding import Sides, context_states
from linrep.llm.network import LanguageModel
from linrep.llm.products import for_states

PAIRS = 30
DRAWS = 1000


def nonsense_cosines(
    model: LanguageModel, concepts: Sequence[ContextConcept], both: Sides, *, product: str, seed: int = 0
) -> Float[np.ndarray, "draws words"]:
    """Cosines of each nonsense concept with the words of each concept.

    Args:
        concepts: two or more, whose contexts are dealt out; those of `both`.
        both: the real concepts under `product`, one of `linrep.llm.products.PRODUCTS`.

    Raises:
        InputError: fewer than two concepts.
    """
    states = context_states(model, concepts).transpose(0, 1)  # the contexts of a pair, and so of a concept, together
    owners = np.repeat(np.arange(len(concepts)), [2 * len(concept.pairs) for concept in concepts])
    means = nonsense_means(states.flatten(0, 1), owners, draws=DRAWS, seed=seed)
    to_states = for_states(product, model.transforms[product])
    words = directions([each.vectors for each in both.words])
    found: Float[np.ndarray, "draws words"] = (unit(means @ to_states) @ words.mT).numpy()
    return found


def beyond_nonsense(both: Sides, cosines: Float[np.ndarray, "draws words"]) -> pd.DataFrame:
    """For each real concept its own cosine, and what 95 % of nonsense concepts stay below.

    Returns:
        own; "any words", by the largest cosine of each nonsense concept, the rule above; "same words", by its |cosine|
        with the concept's own words, which was added when the first had been seen.
    """
    own = both.cosines[np.arange(len(both.own)), both.own]
    same = np.quantile(np.abs(cosines), 0.95, axis=0)[both.own]
    columns = {"own": own, "any words": np.quantile(cosines.max(axis=1), 0.95), "same words": same}
    return pd.DataFrame(columns, index=pd.Index([each.name for each in both.contexts], name="concept"))


def nearest_words(both: Sides, cosines: Float[np.ndarray, "draws words"]) -> pd.Series:
    """Of how many nonsense concepts, as a share, each concept's words are the nearest; the largest share first."""
    names = [each.name for each in both.words]
    found: pd.Series = pd.Series([names[column] for column in cosines.argmax(axis=1)]).value_counts(normalize=True)
    return found.rename_axis("concept").rename("share")


def nonsense_means(
    states: Float[Tensor, "contexts dim"], owners: Int[np.ndarray, " contexts"], *, draws: int, seed: int
) -> Float[Tensor, "draws dim"]:
    """Mean differences of `PAIRS` random pairs of states, the two of a pair from different concepts.

    Args:
        owners: the concept of each context, as numbers 0, 1, 2, ... in ascending order.

    Raises:
        InputError: fewer than two concepts.
    """
    sizes = np.bincount(owners)
    if len(sizes) < 2:
        raise InputError(f"{len(sizes)} concept(s) given; a pair of unrelated contexts needs 2 or more")
    generator = np.random.default_rng(seed)
    shape = (draws, PAIRS)
    first = generator.integers(len(sizes), size=shape)
    second = (first + generator.integers(1, len(sizes), size=shape)) % len(sizes)
    starts = np.cumsum(sizes) - sizes
    ones, zeros = (starts[each] + generator.integers(sizes[each]) for each in (first, second))
    pairs = zip(torch.from_numpy(ones), torch.from_numpy(zeros), strict=True)
    return torch.stack([(states[one] - states[zero]).mean(dim=0) for one, zero in pairs])
