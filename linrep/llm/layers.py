"""Concepts layer by layer: do contexts turn along the directions of their words before the last layer?

Past the paper, whose embeddings are the last layer's. Rules, fixed before anything was measured.

Measure: for each layer 0 (the token embeddings) to L (after the final norm) the own cosine of a context concept: the
signed cosine of its mean shift, state after context 1 less state after context 0, with the mean unembedding
difference of its words. Beside it the mean absolute cosine with all other word concepts, and whether the largest
signed cosine is the own one. Two views: "lens", every layer through the final norm (the logit lens), and "raw", every
layer as it is. At layer L both are the same, for that layer comes after the norm: the last step of "raw" holds the
norm as well, so verdicts are those of "lens". Two products: "euclidean" and "causal" (`linrep.llm.products`). Where
the two contexts of every pair end with the same token layer 0 has no shift at all: such a concept has no direction
there, its cosines count as 0, and it is not matched.

Intervals: 95 % of 1,000 draws of templates and of word pairs; one drawing serves all layers, so that layers may be
compared draw by draw. Resampled vectors repeat, which lowers a cosine, the more the weaker it is: so each layer's
draws are moved to have its measured value as their mean (added before the first number, after a planted case in a
test whose plain interval missed its own value). The peak is the layer with the largest mean own cosine, its interval
that of the draws' peaks. Nulls: labels of the concepts permuted, at every layer (1,000 times, one-sided); three
untrained models of the same shape.

Verdicts, under "lens" and for both products; "undecided" where neither case holds.

- rises: "new" if the interval of own(L) less own(L/2) lies above 0.03 and Spearman's correlation of the mean own
  cosine with the layer is 0.9 or more; "different" if for a product the whole interval lies below 0.03.
- peak: "new" if the interval of the peak lies within the last three layers, L − 2 to L; "different" if for a
  product it lies wholly before them.
- gap: "new" if at every layer from L/2 on the lower end of the own cosine is above the mean absolute cosine with
  others; "different" if at some layer the upper end is below it.
- untrained: "new" if no untrained model has at any layer a mean own cosine beyond ±0.03, and the trained one has
  more at layer L; "different" if one has.

Predictions, written before the first number: all four come out "new". Own cosines rise through the network; at the
middle they are under half of the last layer's. Permuted labels are beaten (p at most 0.05 over the number of layers)
first between layers 5 and 15, and from there on. Seventeen matched, as at the last layer, are reached in its last
quarter only. Under "raw" the course is the same, but lower.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from linrep.llm.contexts import ContextConcept
from linrep.llm.embedding import DRAWS, Sides, context_texts, shifts_of, transformed, word_shifts
from linrep.llm.head import final_norm
from linrep.llm.matching import Shifts, cluster_weights, label_p, nearest
from linrep.llm.network import HEAD_TEXT, LanguageModel
from linrep.llm.products import for_states
from linrep.llm.states import input_device
from linrep.llm.tokens import context_ids
from linrep.llm.words import TokenPairs

VIEWS = ("lens", "raw")
PRODUCTS = ("euclidean", "causal")

Course = list[Sides]
"""Contexts and words of one model under one view and product, for each layer from 0 to L."""

NONE = "none"
"""The nearest word concept of a concept that has no direction in a layer."""


def courses(
    model: LanguageModel, concepts: Sequence[ContextConcept], words: Sequence[TokenPairs]
) -> dict[tuple[str, str], Course]:
    """The course of all concepts through the layers, for each of `VIEWS` with each of `PRODUCTS`.

    Args:
        words: two or more usable pairs for each concept; those of every context concept among them.

    Raises:
        InputError: a text without a token, a singular covariance.
        LinrepError: a model without a final norm.
    """
    views, differences, maps = layered_shifts(model, concepts), word_shifts(model, words), model.transforms
    found = {}
    for product in PRODUCTS:
        columns, to_states = transformed(differences, maps[product]), for_states(product, maps[product])
        for view, layers in views.items():
            moved = [transformed(layer, to_states) for layer in layers]
            found[view, product] = [Sides(each, columns, signed_cosines(each, columns)) for each in moved]
    return found


def layered_shifts(model: LanguageModel, concepts: Sequence[ContextConcept]) -> dict[str, list[list[Shifts]]]:
    """For each of `VIEWS` and each layer the shifts of each concept, from one pass through the model."""
    raw = model.hidden_states(context_texts(concepts), layers=True)
    states = {"lens": through_norm(model, raw), "raw": raw}
    return {view: [shifts_of(layer, concepts) for layer in states[view]] for view in VIEWS}


@torch.inference_mode()
def through_norm(model: LanguageModel, states: Float[Tensor, "layers texts dim"]) -> Float[Tensor, "layers texts dim"]:
    """The logit lens: all layers but the last through the final norm, which the last has behind it.

    Raises:
        LinrepError: a model without a final norm.
    """
    ids = torch.tensor(context_ids(model.tokenizer, [HEAD_TEXT]), device=input_device(model.network))
    norm = final_norm(model.network, ids)
    return torch.stack([*(norm(layer) for layer in states[:-1]), states[-1]])


def signed_cosines(contexts: Sequence[Shifts], words: Sequence[Shifts]) -> Float[np.ndarray, "contexts words"]:
    """Signed cosines of the mean vectors; 0 where a mean is zero, and so has no direction."""
    rows, columns = (torch.stack([each.vectors.mean(dim=0) for each in side]) for side in (contexts, words))
    found: Float[np.ndarray, "contexts words"] = (normalize(rows, dim=1) @ normalize(columns, dim=1).mT).numpy()
    return found


def concept_table(course: Course) -> pd.DataFrame:
    """A row for each layer and concept: own cosine, mean absolute one with others, the nearest words, matched."""
    lines = []
    for layer, both in enumerate(course):
        near = nearest(both.cosines)
        for row, (contexts, column) in enumerate(zip(both.contexts, both.own, strict=True)):
            moves = bool(contexts.vectors.mean(dim=0).any())
            line = {"layer": layer, "concept": contexts.name, "own": both.cosines[row, column]}
            line |= {"others": np.abs(np.delete(both.cosines[row], column)).mean()}
            line |= {"nearest": both.words[near[row]].name if moves else NONE}
            lines.append(line | {"matched": moves and bool(near[row] == column)})
    return pd.DataFrame(lines)


def layer_table(course: Course, drawn: Float[np.ndarray, "layers draws"], *, seed: int = 0) -> pd.DataFrame:
    """A row for each layer: means over the concepts, with the interval of `drawn`, and permuted labels.

    Returns:
        layer, own, low, high (95 %), others, permuted (mean), p, matched, still (concepts without a direction).
    """
    table = concept_table(course)
    groups = table.groupby("layer")
    found = groups[["own", "others"]].mean().assign(matched=groups["matched"].sum())
    found["still"] = table["nearest"].eq(NONE).groupby(table["layer"]).sum()
    found["low"], found["high"] = np.quantile(drawn, [0.025, 0.975], axis=1)
    nulls = [label_p(both.cosines[:, both.own], draws=DRAWS, seed=seed) for both in course]
    found["permuted"], found["p"] = np.array(nulls).T
    return found.reset_index()


def drawn_means(course: Course, *, draws: int = DRAWS, seed: int = 0) -> Float[np.ndarray, "layers draws"]:
    """Mean own cosine over the concepts when templates, and word pairs, are drawn with replacement.

    One drawing of a concept serves all its layers; different concepts are drawn independently of each other. The draws
    of a layer are moved to have the measured mean as theirs.
    """
    total = np.zeros((len(course), draws))
    for row, column in enumerate(course[0].own):
        generator = np.random.default_rng([seed, row])
        words = course[0].words[column]
        weights = cluster_weights(course[0].contexts[row], draws, generator)
        toward = normalize(cluster_weights(words, draws, generator) @ words.vectors, dim=1)
        for layer, both in enumerate(course):
            means = normalize(weights @ both.contexts[row].vectors, dim=1)
            total[layer] += (means * toward).sum(dim=1).numpy()
    found = total / len(course[0].own)
    measured = np.array([np.diagonal(both.cosines[:, both.own]).mean() for both in course])
    centred: Float[np.ndarray, "layers draws"] = found + (measured - found.mean(axis=1))[:, None]
    return centred


def peak(own: Float[np.ndarray, " layers"], drawn: Float[np.ndarray, "layers draws"]) -> dict[str, float]:
    """The layer with the largest mean own cosine, the 95 % interval of the draws' peaks, and how many are at L."""
    peaks = drawn.argmax(axis=0)
    low, high = np.quantile(peaks, [0.025, 0.975], method="nearest")
    at_end = float((peaks == len(own) - 1).mean())
    return {"peak": int(own.argmax()), "low": int(low), "high": int(high), "at the end": at_end}


def rise(own: Float[np.ndarray, " layers"], drawn: Float[np.ndarray, "layers draws"]) -> dict[str, float]:
    """Mean own cosine at L less that at L/2, rounded down, with its 95 % interval."""
    middle = (len(own) - 1) // 2
    low, high = np.quantile(drawn[-1] - drawn[middle], [0.025, 0.975])
    return {"rise": float(own[-1] - own[middle]), "low": float(low), "high": float(high)}


def stacked(tables: Mapping[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """Tables by view and product as one table with these two as columns."""
    parts = [table.assign(view=view, product=product) for (view, product), table in tables.items()]
    return pd.concat(parts, ignore_index=True)
