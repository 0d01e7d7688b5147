"""Steering: a direction added to the last hidden state; what it does to words of the concept, to others, and its cost.

Past the paper. Rules, fixed before anything was measured. The vector α d is added to h, the state after the final
norm. Logits are linear in h, so that the log-odds of word 1 against word 0 change by α d·(g1 − g0), exactly and
whatever the context. What can fail is that a direction from some words moves *other* words of the concept, and leaves
the rest alone.

Splits: the 21 concepts that have contexts, four seeded splits of each. Word pairs are halved by groups that share a
word, so that no held-out pair shares a word with a training pair; templates are halved. Directions, from the training
halves only:

- "euclidean": the mean Δg of the words.
- "causal": Cov(g)⁻¹ times it. Of all directions with a given training effect it has the least mean squared
  effect on random pairs of tokens: that is algebra (`linrep.llm.steered.least_spread`), and no finding.
- "fisher": the same with the covariance of g under the model's own forecast, averaged over 105 contexts, five of
  each concept, from odd templates. It has the least KL divergence, to second order, at those contexts.
- "context": the mean Δf of the training templates.

Controls: "random", a normal vector; "other" and "other, causal", from all words of one other concept, not related,
drawn for each split; "as frequent" and "as frequent, causal", from random pairs of words about as frequent as the
training words.

Scales: "1 nat", α such that the training words' mean log-odds rise by 1; "as context", such that they rise as much
as from context 0 to context 1 of the training templates, on average; "KL 0.1", such that the mean KL divergence at
the neutral contexts is 0.1 nats. Controls, whose training effect may be zero, have the last scale only. Where the
training effect of a direction is not positive, the split has no rows of the first two scales for any direction, and
is counted.

Measures:

- target: the mean log-odds change of the held-out pairs, in nats.
- leak: the mean |change| of the word pairs of other concepts, without pairs that share a word with any pair of the
  target: a mean for each of the other 26 concepts, then over them. Where the target is one of the six inflection
  concepts the other five are left out, and reported apart as "related".
- leak of means: the mean over the same concepts of |mean change|.
- kl: KL(steered ‖ plain), in nats, mean over 100 neutral contexts: five of each of the other 20 concepts, even
  templates.
- changed: the share of the neutral contexts whose likeliest token is another one.
- next words (added after success had been seen, to explain it): the mean log-odds change of the words that success
  looks at, by the step, and by context 1.
- success: of the pairs of held-out templates whose next words are a held-out pair, the share that prefers word 1
  after context 0 with steering; beside it the share after context 0 without, and after context 1.

Selectivity is target over leak, for each concept after averaging over splits. Means are over concepts, intervals 95 %
of 2,000 draws of concepts (`scipy.stats.bootstrap`); comparisons are paired by concept.

Verdicts: "new" as said, "different" if an interval lies wholly on the other side, else "undecided".

- leak: at "1 nat", selectivity is larger for causal than for context, and for context than for euclidean.
- cost: target at KL 0.1 is larger for fisher than for causal, for causal than for context, and for context than for
  euclidean.
- controls: at KL 0.1 the upper end of each control's target is below a fifth of the lowest lower end of the four
  directions.
- success: at "as context" the success of causal is not below the share after context 1 itself by 0.1 or more.

Predictions, written before the first number: leak, controls and success "new". Cost is not: fisher's covariance may
be near enough to singular to fail on words that were not used. Euclidean has less than half of causal's selectivity.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from linrep.errors import InputError
from linrep.experiments.catalogue import Size
from linrep.experiments.steering_split import Ground, Split, controls, directions, ground, off_target, split_of
from linrep.llm.contexts import ContextConcept, read_contexts
from linrep.llm.model import load_model
from linrep.llm.registry import source_of
from linrep.llm.steered import alpha_at, changes, cost, log_forecast, logit_shift
from linrep.results import Record, short

NAME = "steering"
MODEL = "smollm2-135m"
SPLITS = 4
COST = 0.1
"""The KL divergence, in nats, at which directions are compared."""

NAT, CONTEXT, KL = "1 nat", "as context", f"KL {COST}"
DIRECTIONS = ("euclidean", "causal", "fisher", "context")
CONTROLS = ("random", "other", "other, causal", "as frequent", "as frequent, causal")

SMOKE = 2
"""Concepts of a smoke run, with one split."""

Row = dict[str, Any]


def record(size: Size) -> Record:
    """Every concept, split, direction and scale.

    Body: effects, the measures, nats and shares; contexts, for each concept and split how many pairs of words and of
    contexts there are, and what contexts do without steering.
    """
    began = time.perf_counter()
    concepts = read_contexts() if size == "paper" else read_contexts()[:SMOKE]
    splits = SPLITS if size == "paper" else 1
    model = load_model(MODEL)
    given = ground(model, concepts, fisher=True)
    found = [concept_rows(given, concept, range(splits)) for concept in concepts]
    body = {
        "effects": [row for rows, _ in found for row in rows],
        "contexts": [row for _, contexts in found for row in contexts],
    }
    config = {"model": MODEL, "weights sha256": source_of(MODEL).sha256, "size": size, "kl": COST}
    return Record(NAME, config, range(splits), "effects", body, round(time.perf_counter() - began, 3))


def concept_rows(
    given: Ground, concept: ContextConcept, splits: Sequence[int], *, only: Sequence[str] | None = None
) -> tuple[list[Row], list[Row]]:
    """The rows of one concept, and those of its contexts.

    Args:
        only: the directions to measure; without it all that the ground allows, controls among them.

    Raises:
        InputError: a direction that is not there.
    """
    log_p = log_forecast(given.neutral_states(concept.name).float(), given.unembedding.float())
    rows, contexts = [], []
    for number in splits:
        split = split_of(given, concept, number)
        every = directions(given, split) | (controls(given, split) if only is None else {})
        if unknown := [name for name in only or () if name not in every]:
            raise InputError(f"there is no direction {unknown[0]!r}; there are {', '.join(every)}")
        place = {"concept": concept.name, "split": number}
        contexts.append(place | context_line(split))
        for name in every if only is None else only:
            moved = logit_shift(given.unembedding, every[name]).float()
            for scale, alpha in scales(split, every[name], name, alpha_at(log_p, moved, kl=COST)).items():
                kl, changed = cost(log_p, moved, alpha=alpha)
                line = {"kl": short(kl), "changed": short(changed)} | effects(given, split, alpha * every[name])
                rows.append(place | {"direction": name, "scale": scale} | line)
    return rows, contexts


def scales(split: Split, direction: Any, name: str, at_cost: float) -> dict[str, float]:
    """α for each scale that the direction has: see the rules."""
    found = {KL: at_cost}
    if name in DIRECTIONS and split.context_effect > 0:
        effect = float(direction @ split.toward)
        found |= {NAT: 1 / effect, CONTEXT: split.context_effect / effect}
    return found


def effects(given: Ground, split: Split, step: Any) -> Row:
    """What one step, in full length, does to words: target, leak, leak of means, related, success, and its length."""
    leak, related = (
        [changes(given.unembedding, pairs, step) for pairs in side] for side in off_target(given, split.concept)
    )
    after = split.held_odds(step)
    return {
        "length": short(float(step.norm())),
        "target": short(float(changes(given.unembedding, split.held, step).mean())),
        "leak": short(float(np.mean([np.abs(each).mean() for each in leak]))),
        "leak of means": short(float(np.mean([abs(each.mean()) for each in leak]))),
        "related": short(float(np.mean([np.abs(each).mean() for each in related]))) if related else None,
        "success": short(float((after > 0).mean())) if len(after) else None,
        "next words": short(float((after - split.held_odds(None)).mean())) if len(after) else None,
    }


def context_line(split: Split) -> Row:
    """How many pairs a split has, what contexts do to its training words in nats, and whom they make preferred."""
    before, after = split.held_odds(None), split.held_odds(None, value=1)
    tested = len(before)
    return {
        "training": len(split.training),
        "held out": len(split.held),
        "contexts": tested,
        "context effect": short(split.context_effect),
        "before": short(float((before > 0).mean())) if tested else None,
        "after context 1": short(float((after > 0).mean())) if tested else None,
        "next words": short(float((after - before).mean())) if tested else None,
    }
