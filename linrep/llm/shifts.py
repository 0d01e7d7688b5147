"""Does a context pair do what it says? The log-odds of its next words in the one context against the other."""

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from linrep.llm.contexts import ContextConcept, ContextPair
from linrep.llm.network import LanguageModel
from linrep.llm.words import WordPairs, tokenise


def log_odds_shifts(
    model: LanguageModel, concept: ContextConcept
) -> tuple[tuple[ContextPair, ...], Float[Tensor, " pairs"]]:
    """ln p(word1)/p(word0) after context 1 less the same after context 0, in nats.

    By the softmax this is the inner product of the pair's embedding difference with the words' unembedding difference:
    no check that is independent of a cosine between the two.

    Returns:
        The pairs whose words are named and each one token of the model, and their shifts. Both may be empty.
    """
    words = {(pair.word0, pair.word1): None for pair in concept.pairs}
    named = tuple((zero, one) for zero, one in words if zero is not None and one is not None)
    tokens = tokenise(WordPairs(concept.name, named), model.tokenizer)
    ids: dict[tuple[str | None, str | None], list[int]] = dict(zip(tokens.words, tokens.pairs.tolist(), strict=True))
    kept = tuple(pair for pair in concept.pairs if (pair.word0, pair.word1) in ids)
    if not kept:
        return (), torch.zeros(0)
    ones, zeros = torch.tensor([ids[pair.word0, pair.word1] for pair in kept]).T
    before, after = pair_states(model, kept)
    moved = after - before
    rows = model.unembedding.detach().cpu().double()
    return kept, (moved * (rows[ones] - rows[zeros])).sum(dim=1)


def shift_table(model: LanguageModel, concepts: Sequence[ContextConcept]) -> pd.DataFrame:
    """A row for each concept of which some pair can be measured.

    Returns:
        Columns pairs (of the concept), measured (their words are single tokens), higher (how many of these have
        a shift above 0) and mean (the mean shift, in nats).
    """
    rows = []
    for concept in concepts:
        kept, shifts = log_odds_shifts(model, concept)
        if kept:
            rows.append((concept.name, len(concept.pairs), len(kept), int((shifts > 0).sum()), float(shifts.mean())))
    return pd.DataFrame(rows, columns=["concept", "pairs", "measured", "higher", "mean"]).set_index("concept")


def pair_states(
    model: LanguageModel, pairs: Sequence[ContextPair], *, batch: int = 16, cache: bool = False
) -> Float[Tensor, "2 pairs dim"]:
    """Hidden states after context 0 and after context 1 of each pair, in float64 on the processor.

    A text that is in several pairs is read once.

    Args:
        batch: texts in one pass.
        cache: look in the cache folder of `linrep.llm.cache` first, and keep them there.
    """
    texts = [text for pair in pairs for text in (pair.context0, pair.context1)]
    place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    found = model.hidden_states(list(place), batch=batch, cache=cache).to(device="cpu", dtype=torch.float64)
    states = found[[place[text] for text in texts]]
    return torch.stack([states[::2], states[1::2]])
