"""Context states d in {0, 1, ⋄}^m, which say what concepts a sentence fixes (paper, section 2); ⋄ is stored as −1."""

import numpy as np
from jaxtyping import Bool, Float, Int

from linrep.memory import require_memory

UNKNOWN = -1


def all_contexts(concepts: int) -> Int[np.ndarray, "contexts concepts"]:
    """All 3^m context states, −1 for unknown; the first concept varies slowest."""
    require_memory(8 * concepts * 3 ** min(concepts, 200), f"a table of 3^{concepts} context states")
    places = 3 ** np.arange(concepts)[::-1]
    return (np.arange(3**concepts)[:, None] // places % 3 - 1).astype(np.int8)


def masked_contexts(
    masks: Int[np.ndarray, "masks concepts"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Int[np.ndarray, "contexts concepts"]:
    """The context states that some mask makes of some token, each once, in the order of `all_contexts`."""
    require_memory(9 * masks.size * len(tokens), f"{len(masks)} masks of {len(tokens)} tokens")
    seen = np.where(masks[:, None, :] == 1, tokens, np.int8(UNKNOWN)).reshape(-1, tokens.shape[1])
    _, first = np.unique(context_keys(seen), return_index=True)
    return seen[first]


def code(state: Int[np.ndarray, " concepts"]) -> str:
    """A state as text, concept by concept: 1⋄0."""
    return "".join("⋄" if value == UNKNOWN else str(value) for value in state.tolist())


def context_keys(contexts: Int[np.ndarray, "*batch concepts"]) -> Int[np.ndarray, "*batch"]:
    """A number for each context state: its place in `all_contexts`."""
    places = 3 ** np.arange(contexts.shape[-1], dtype=np.int64)[::-1]
    return (contexts.astype(np.int64) + 1) @ places


def agreement(
    contexts: Int[np.ndarray, "contexts concepts"], tokens: Int[np.ndarray, "tokens concepts"]
) -> Bool[np.ndarray, "contexts tokens"]:
    """Whether each token agrees with every known entry of each context."""
    require_memory(2 * len(contexts) * len(tokens), f"a table of {len(contexts)} contexts by {len(tokens)} tokens")
    agrees = np.ones((len(contexts), len(tokens)), dtype=bool)
    for known, value in zip(contexts.T, tokens.T, strict=True):
        agrees &= (known[:, None] == UNKNOWN) | (known[:, None] == value[None, :])
    return agrees


def sums_over_agreeing(
    values: Float[np.ndarray, "rows tokens"],
    contexts: Int[np.ndarray, "contexts concepts"],
    tokens: Int[np.ndarray, "tokens concepts"],
) -> Float[np.ndarray, "rows contexts"]:
    """Σ of each row over the tokens that agree with each context: `values @ agreement.T` without that table.

    Contexts of one mask share a partition of the tokens, by their entries under the mask; so memory grows with contexts
    plus tokens, and time with masks times tokens.
    """
    place = 1 << np.arange(contexts.shape[1], dtype=np.int64)
    mask, value, token = (contexts != UNKNOWN) @ place, (contexts == 1) @ place, tokens.astype(np.int64) @ place
    by_mask = np.argsort(mask, kind="stable")
    found = np.zeros((len(values), len(contexts)))
    for here in np.split(by_mask, np.flatnonzero(np.diff(mask[by_mask])) + 1):
        seen = token & mask[here[0]]
        order = np.argsort(seen, kind="stable")
        first = np.flatnonzero(np.diff(seen[order], prepend=-1))
        of_part = np.add.reduceat(values[:, order], first, axis=1)
        part = np.searchsorted(seen[order][first], value[here])
        there = part < len(first)  # a context with which no token agrees has the sum 0
        there[there] = seen[order][first][part[there]] == value[here][there]
        found[:, here[there]] = of_part[:, part[there]]
    return found
