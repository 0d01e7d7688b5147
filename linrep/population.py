"""The exact population of contexts, masks and tokens that next-token prediction is trained on (paper, section 2).

A token is a concept vector c. Training sees (d, c): c from p(c), and the context d is c with a random subset of its
entries hidden. What a population holds grows with contexts plus tokens; the tables of contexts by tokens are made on
request, for small worlds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from linrep.concepts import ConceptGraph, all_tokens
from linrep.contexts import UNKNOWN, agreement, all_contexts, code, masked_contexts, sums_over_agreeing
from linrep.errors import InputError
from linrep.masks import MaskLaw, check_mask_law, check_mask_probability, mask_probability
from linrep.memory import require_memory
from linrep.seeds import stream
from linrep.steering import counterfactual_pairs

SMALLEST = 1e-290
"""The least p(c) that is trained on: below it a division would leave the normal numbers."""


@dataclass(frozen=True, eq=False)
class Population:
    """The exact distribution over (context, token) for a batch of worlds that share contexts and tokens.

    Attributes:
        contexts: context states d, entries −1 (unknown), 0, 1.
        tokens: concept vectors c, entries 0, 1.
        masks: the masks that hide entries, 1 where the entry stays known.
        joint: p(c) of each replicate, renormalised over the tokens kept.
        mask_probability: the probability that each mask is drawn; None for equally likely masks.

    Raises:
        InputError: mask probabilities that are no distribution over the masks.
    """

    contexts: Int[np.ndarray, "contexts concepts"]
    tokens: Int[np.ndarray, "tokens concepts"]
    masks: Int[np.ndarray, "masks concepts"]
    joint: Float[np.ndarray, "replicates tokens"]
    mask_probability: Float[np.ndarray, " masks"] | None = None

    def __post_init__(self) -> None:
        """Refuse mask probabilities that are none."""
        if self.mask_probability is not None:
            check_mask_probability(self.mask_probability, len(self.masks))

    @property
    def concepts(self) -> int:
        """m, the number of concepts."""
        return int(self.tokens.shape[1])

    @property
    def replicates(self) -> int:
        """How many worlds the batch holds."""
        return len(self.joint)

    def rows(self, codes: Sequence[str]) -> list[int]:
        """The places of context states written as in `code`, such as 1⋄0.

        Raises:
            InputError: a state that is not in the set.
        """
        place = {code(state): row for row, state in enumerate(self.contexts)}
        missing = [text for text in codes if text not in place]
        if missing:
            raise InputError(f"no context {missing[0]!r}; contexts are written like {code(self.contexts[0])!r}")
        return [place[text] for text in codes]

    @property
    def consistent(self) -> Bool[np.ndarray, "contexts tokens"]:
        """Whether c agrees with every known entry of d; p(c given d) is zero where it does not."""
        return agreement(self.contexts, self.tokens)

    @cached_property
    def weights(self) -> Float[np.ndarray, "replicates contexts"]:
        """p(d): the probability of d's mask times the probability of its known values. Rows sum to 1."""
        return np.asarray(self._known * self.mask_share)

    @property
    def pair_probability(self) -> Float[np.ndarray, "replicates contexts tokens"]:
        """p(d, c) = p(mask) p(c) where c agrees with d, else 0.

        Raises:
            TooLargeError: the table would not fit in memory.
        """
        contexts, tokens = len(self.contexts), len(self.tokens)
        what = f"p(d, c) of {self.replicates} replicate(s) of {contexts} contexts by {tokens} tokens"
        require_memory(2 * 8 * self.replicates * contexts * tokens, what)
        return np.asarray(self.joint[:, None, :] * self.consistent * self.mask_share[:, None])

    @cached_property
    def mask_share(self) -> Float[np.ndarray, " contexts"]:
        """The probability of each context's mask, which is its known entries."""
        if self.mask_probability is None:
            return np.full(len(self.contexts), 1 / len(self.masks))
        by_mask = dict(zip(map(bytes, self.masks.astype(np.int8)), self.mask_probability.tolist(), strict=True))
        known = list(map(bytes, (self.contexts != UNKNOWN).astype(np.int8)))
        if stray := set(known) - by_mask.keys():
            raise InputError(f"the contexts have {len(stray)} mask(s) that are not among the {len(self.masks)} masks")
        return np.array([by_mask[mask] for mask in known])

    @property
    def target(self) -> Float[np.ndarray, "replicates contexts tokens"]:
        """p(c given d); each row sums to 1."""
        return np.asarray(self.pair_probability / self.weights[:, :, None])

    @cached_property
    def entropy(self) -> Float[np.ndarray, " replicates"]:
        """Σ_d p(d) H(p(· given d)) in nats: the floor of the loss, reached by p̂ = p only."""
        surprise = sums_over_agreeing(self.joint * np.log(self.joint), self.contexts, self.tokens)
        return np.asarray((self.mask_share * (self._known * np.log(self._known) - surprise)).sum(axis=1))

    @cached_property
    def _known(self) -> Float[np.ndarray, "replicates contexts"]:
        """The probability that a token agrees with d."""
        return sums_over_agreeing(self.joint, self.contexts, self.tokens)

    @cached_property
    def context_pairs(self) -> list[Int[np.ndarray, "_ 2"]]:
        """For each concept i the pairs of contexts d(i→1), d(i→0): 3^(m−1) of them on the complete set."""
        return counterfactual_pairs(self.contexts)

    @cached_property
    def token_pairs(self) -> list[Int[np.ndarray, "_ 2"]]:
        """For each concept i the pairs of tokens c(i→1), c(i→0): 2^(m−1) of them on the complete set."""
        return counterfactual_pairs(self.tokens)


def complete_population(graphs: Sequence[ConceptGraph], mask_law: MaskLaw = "fair") -> Population:
    """All 3^m contexts and all 2^m tokens, masks by a law (our choice: the paper states none).

    Raises:
        InputError: no graph, graphs of different size, or a mask law of another name.
        TooLargeError: the tables would not fit in memory.
    """
    m = _one_size(graphs)
    require_complete(len(graphs), m)
    tokens = all_tokens(m)
    joint = np.stack([_positive(graph.joint()) for graph in graphs])
    chances = None if mask_law == "fair" else mask_probability(tokens, mask_law)
    return Population(all_contexts(m), tokens, tokens, joint, chances)


def masked_population(graphs: Sequence[ConceptGraph], masks: Int[np.ndarray, "masks concepts"]) -> Population:
    """All tokens, and the contexts that some masks leave of them, each as often (paper, Figure 2).

    Args:
        masks: 1 where the entry of a token stays known, else 0; rows differ.

    Raises:
        InputError: no graph, graphs of different size, masks of another width or entries, a mask twice.
        TooLargeError: the tables would not fit in memory.
    """
    m = _one_size(graphs)
    if masks.ndim != 2 or masks.shape[1] != m or not len(masks) or not np.isin(masks, (0, 1)).all():
        raise InputError(f"masks of shape {masks.shape} given; need one or more rows of {m} entries, each 0 or 1")
    if len(np.unique(masks, axis=0)) < len(masks):
        raise InputError(f"{len(masks)} masks given, some of them twice; each may be there once")
    tokens = all_tokens(m)
    contexts = masked_contexts(masks, tokens)
    _require(len(graphs), m, len(contexts), len(tokens), f"{len(contexts)} contexts and {len(tokens)} tokens")
    joint = np.stack([_positive(graph.joint()) for graph in graphs])
    return Population(contexts, tokens, masks.astype(np.int8), joint)


def incomplete_population(
    graph: ConceptGraph,
    *,
    masks: int | None = None,
    tokens: int | None = None,
    mask_law: MaskLaw = "fair",
    seed: int,
) -> Population:
    """One world on a random subset of masks, of tokens, or both (paper, Tables 3 and 4).

    Masks and tokens are drawn without replacement, masks by their law and tokens uniformly; p(c) is conditioned on the
    tokens kept; contexts are the states that a kept mask makes of a kept token. All three are our reading: the paper
    does not state them.

    Args:
        masks, tokens: how many are kept; None for all.
        mask_law: how the kept masks are drawn, each of which training then draws as often; without a number of masks,
            how training draws them.

    Raises:
        InputError: a number of masks or tokens that the world does not have, or a mask law of another name.
        TooLargeError: the tables would not fit in memory.
    """
    check_mask_law(mask_law)
    every = all_tokens(graph.concepts)
    rng = stream(seed, "sampling", part=1)
    law = None if mask_law == "fair" else mask_probability(every, mask_law)
    kept_masks = _draw(every, masks, rng, "masks", law)
    kept = _draw(np.arange(len(every))[:, None], tokens, rng, "tokens")[:, 0]
    contexts = masked_contexts(kept_masks, every[kept])
    _require(1, graph.concepts, len(contexts), len(kept), f"{len(contexts)} contexts and {len(kept)} tokens")
    joint = _positive(graph.joint())[kept]
    return Population(contexts, every[kept], kept_masks, (joint / joint.sum())[None], None if masks else law)


def require_complete(replicates: int, concepts: int) -> None:
    """Refuse complete sets that do not fit in memory, before anything is made."""
    contexts, tokens = 3 ** min(concepts, 200), 2 ** min(concepts, 200)
    _require(replicates, concepts, contexts, tokens, f"3^{concepts} contexts and 2^{concepts} tokens")


def _require(replicates: int, concepts: int, contexts: int, tokens: int, what: str) -> None:
    """Refuse sets too large to hold with their counterfactual pairs and, for each replicate, p(c) and p(d)."""
    states = 24 * concepts * (contexts + tokens)
    require_memory(states + 8 * replicates * (3 * contexts + 3 * tokens), f"{replicates} replicate(s) of {what}")


def _one_size(graphs: Sequence[ConceptGraph]) -> int:
    """The number of concepts that all graphs have."""
    sizes = sorted({graph.concepts for graph in graphs})
    if len(sizes) != 1:
        raise InputError(f"graphs of {sizes} concepts in one batch; one size is needed")
    return sizes[0]


def _positive(joint: Float[np.ndarray, " tokens"]) -> Float[np.ndarray, " tokens"]:
    """The joint, refused where a p(c) is too small for double precision to divide by."""
    if joint.min() < SMALLEST:
        raise InputError(f"the smallest p(c) is {joint.min():.3g}; allowed are {SMALLEST:g} or more")
    return joint


def _draw(
    rows: Int[np.ndarray, "rows width"],
    count: int | None,
    rng: np.random.Generator,
    what: str,
    p: Float[np.ndarray, " rows"] | None = None,
) -> Int[np.ndarray, "kept width"]:
    """`count` rows without replacement, in their own order, by probabilities or uniformly; all of them for None."""
    if count is None:
        return rows
    if not 1 <= count <= len(rows):
        raise InputError(f"{what} is {count}; allowed are 1 to {len(rows)}, or all")
    return rows[np.sort(rng.choice(len(rows), size=count, replace=False, p=p))]
