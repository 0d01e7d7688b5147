"""What the chapter on steering shows of its record: means over concepts with intervals, and paired differences."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from linrep.experiments.layers import words_of
from linrep.experiments.layers_views import chosen
from linrep.experiments.steering import CONTEXT, NAME, concept_rows
from linrep.experiments.steering_split import ground, some_texts
from linrep.experiments.table_views import recorded
from linrep.llm.network import LanguageModel
from linrep.llm.products import covariance
from linrep.llm.steered import changes, least_spread, log_forecast, mean_difference
from linrep.results import require_agreement

DRAWS = 2000
MEASURES = ["length", "target", "leak", "leak of means", "related", "kl", "changed", "success", "next words"]
AFTER = ["before", "after context 1", "next words"]
"""What contexts do without steering: known where a split has a held-out pair to test."""

KEYS = ["concept", "split", "direction", "scale"]


@cache
def _rows() -> pd.DataFrame:
    """The record's rows; numbers that are not known are NaN."""
    rows = recorded(NAME).to_frame()
    return rows.assign(**{name: pd.to_numeric(rows[name]) for name in MEASURES})


def by_concept(direction: str, scale: str) -> pd.DataFrame:
    """Measures of one direction at one scale, means over splits, by concept; selectivity is target over leak."""
    rows = _rows()
    mine = rows[(rows["direction"] == direction) & (rows["scale"] == scale)]
    found = mine.groupby("concept")[MEASURES].mean()
    return found.assign(selectivity=found["target"] / found["leak"])


def contexts() -> pd.DataFrame:
    """What contexts do by themselves, by concept: means over splits that have a held-out pair to test, and counts."""
    rows = pd.DataFrame(recorded(NAME).body["contexts"])
    rows = rows.assign(**{name: pd.to_numeric(rows[name]) for name in AFTER})
    groups = rows.groupby("concept")
    means = groups[["training", "held out", "context effect", *AFTER]].mean()
    return means.assign(contexts=groups["contexts"].sum())


def unscaled() -> int:
    """The splits whose contexts do not raise their training words, so that two scales are not defined."""
    return sum(row["context effect"] <= 0 for row in recorded(NAME).body["contexts"])


def interval(values: Float[np.ndarray, " concepts"]) -> tuple[float, float, float]:
    """Mean over concepts, and the ends of its 95 % interval over draws of concepts."""
    found = stats.bootstrap((values,), np.mean, n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(0))
    low, high = found.confidence_interval
    return float(values.mean()), float(low), float(high)


def table(scale: str, names: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Means over concepts at one scale, a row for each direction; *low* and *high* of the first column."""
    lines = []
    for name in names:
        found = by_concept(name, scale)
        mean, low, high = interval(found[columns[0]].to_numpy(float))
        line = {"direction": name, columns[0]: mean, "low": low, "high": high}
        lines.append(line | {column: found[column].mean() for column in columns[1:]})
    return pd.DataFrame(lines).set_index("direction")


def compared(scale: str, column: str, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """The first direction less the second, concept by concept: mean, interval, in how many concepts it is larger."""
    lines = []
    for first, second in pairs:
        both = by_concept(first, scale)[column] - by_concept(second, scale)[column]
        mean, low, high = interval(both.to_numpy(float))
        line = {"first": first, "second": second, "difference": mean, "low": low, "high": high}
        lines.append(line | {"larger in": int((both > 0).sum()), "concepts": len(both)})
    return pd.DataFrame(lines).set_index(["first", "second"])


def reach(names: Sequence[str]) -> pd.Series:
    """Mean log-odds change in nats over the concepts, at the scale of contexts: what the scale was set by, and reached.

    The training words by context 1, the next words of held-out contexts by context 1, and these by each direction.
    """
    alone = contexts()
    found = {"context 1, training words": alone["context effect"].mean(), "context 1": alone["next words"].mean()}
    return pd.Series(found | {name: by_concept(name, CONTEXT)["next words"].mean() for name in names}, name="nats")


def success(names: Sequence[str]) -> pd.DataFrame:
    """Share of held-out contexts that prefer word 1 at the scale of contexts: without steering, steered, by context 1.

    The last three columns are steered less context 1, with its interval, over the concepts that have such contexts.
    """
    alone = contexts()
    lines = []
    for name in names:
        both = by_concept(name, CONTEXT)[["success"]].join(alone).dropna(subset=["success", "after context 1"])
        line = {"direction": name, "concepts": len(both), "before": both["before"].mean()}
        line |= {"steered": both["success"].mean(), "after context 1": both["after context 1"].mean()}
        gap = interval((both["success"] - both["after context 1"]).to_numpy(float))
        lines.append(line | dict(zip(("difference", "low", "high"), gap, strict=True)))
    return pd.DataFrame(lines).set_index("direction")


def everywhere(model: LanguageModel, name: str, others: str, *, pairs: int = 4) -> pd.DataFrame:
    """One step along the mean Δg of a concept at neutral contexts of another: log-odds of some of the concept's words.

    Returns:
        For each word pair the change that the inner product says, and the smallest and largest change of the
        logarithm of the model's odds over the contexts, in nats.
    """
    words = next(each for each in words_of(model) if each.name == name)
    table = model.unembedding.detach().cpu().double()
    step = mean_difference(table, words.pairs)
    states = model.hidden_states(some_texts(*chosen([others]), parity=0), cache=True).cpu().double()
    moved = log_forecast(states + step, table) - log_forecast(states, table)
    ones, zeros = words.pairs[:pairs].T
    odds = moved[:, ones] - moved[:, zeros]
    said = changes(table, words.pairs[:pairs], step)
    rows = {"said": said, "smallest": odds.min(dim=0).values.numpy(), "largest": odds.max(dim=0).values.numpy()}
    return pd.DataFrame(rows, index=pd.Index([" / ".join(pair) for pair in words.words[:pairs]], name="pair"))


def on_random_pairs(model: LanguageModel, names: Sequence[str]) -> pd.DataFrame:
    """Root mean square change of random pairs of tokens for one nat of a concept's words, by algebra: √(2 dᵀ Cov d).

    Directions are of all words of each concept, scaled to one nat on these; euclidean and causal.
    """
    table = model.unembedding.detach().cpu().double()
    spread, rows = covariance(table), {}
    for words in words_of(model):
        if words.name in names:
            toward = mean_difference(table, words.pairs)
            steps = {"euclidean": toward / (toward @ toward), "causal": least_spread(spread, toward)}
            rows[words.name] = {key: float((2 * step @ spread @ step).sqrt()) for key, step in steps.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("concept")


def require_live(
    model: LanguageModel, names: Sequence[str], directions: Sequence[str], *, tolerance: float
) -> pd.DataFrame:
    """Steer split 0 of some concepts again, along some directions, and hold it to the record; returns the rows.

    Args:
        directions: of euclidean, causal and context, which need no further contexts.

    Raises:
        LinrepError: a number differs from that on record by more than the tolerance.
    """
    concepts = chosen(names)
    given = ground(model, concepts, fisher=False)
    live = pd.DataFrame([row for concept in concepts for row in concept_rows(given, concept, [0], only=directions)[0]])
    columns = ["length", "target", "leak", "leak of means", "kl"]  # not shares, which a last digit can flip
    require_agreement(_rows(), live, on=KEYS, columns=columns, tolerance=tolerance)
    return live
