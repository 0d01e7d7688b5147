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
