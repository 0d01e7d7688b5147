"""Theorem 10 and what a fit leaves of it: projections on the span of contexts that know all neighbours of a concept.

Worlds are random DAGs on m = 4 concepts with the defaults of `Setting`: each edge with probability 0.5, Bernoulli
parameters from 0.3 to 0.7. A concept with three neighbours is next to all others, so that 2^3 bounds nothing there.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.concepts import ConceptGraph
from linrep.errors import LinrepError
from linrep.pilot import Pace, halved
from linrep.population import Population, complete_population
from linrep.setting import Setting
from linrep.simulate import setting_pace, simulate
from linrep.theory import explicit, log_odds, spans
from linrep.theory.explicit import Pair

WORLD = Setting(concepts=4)
SHARPNESS = 10.0
EXPLICIT = ("completed", "penalised", "free")
TRAINED = {"trained, k = 4": WORLD, "trained, k = 16": Setting(concepts=4, dim=16)}

Models = dict[str, list[tuple[Float[np.ndarray, "contexts _"], Float[np.ndarray, "tokens _"]]]]
"""Tables F and G by model, one for each world; the dimension may differ from world to world."""


def paces() -> dict[str, Pace]:
    """Step and steps of the trained models, by the rules of `linrep.pilot`."""
    return {name: setting_pace(setting) for name, setting in TRAINED.items()}


def models(
    at: Mapping[str, Pace] | None = None, *, worlds: range = range(60), trained: range = range(20)
) -> tuple[Population, list[ConceptGraph], Models]:
    """The worlds, their graphs, and the tables of every model: three explicit ones at T = 10, two trained ones.

    Args:
        at: the `paces` of the trained models; None to find them.
        worlds: seeds of the worlds. trained: the first of these, on which models are trained to the clock rule.

    Raises:
        LinrepError: the loss of a trained model rose.
    """
    graphs = [WORLD.world(seed) for seed in worlds]
    population = complete_population(graphs)
    found: Models = {name: [] for name in EXPLICIT}
    for seed, joint in zip(worlds, population.joint, strict=True):
        for name, logits in _logits(joint, population, seed).items():
            found[name].append(explicit.balanced_tables(logits))
    return population, graphs, found | trained_models(paces() if at is None else at, trained)


def trained_models(at: Mapping[str, Pace], seeds: range) -> Models:
    """The tables of the trained models on the worlds of some seeds.

    Raises:
        LinrepError: the loss of a model rose, so that it does not count as gradient descent.
    """
    found: Models = {}
    for name, pace in at.items():
        (run,) = simulate(TRAINED[name], seeds=seeds, pace=pace).runs
        if run.trained.monotone is None or not run.trained.monotone.all():
            raise LinrepError(f"{name}: the loss rose at step size {pace.step_size:g}; a smaller step is needed")
        found[name] = list(zip(run.trained.embedding.numpy(), run.trained.unembedding.numpy(), strict=True))
    return found


def step_effect(
    population: Population, graphs: Sequence[ConceptGraph], table: pd.DataFrame, at: Mapping[str, Pace]
) -> float:
    """The largest change that half the step at the same clock makes to a trained model's row of `measures_table`."""
    seeds = range(int(table.loc[table["model"].isin(TRAINED), "world"].max()) + 1)
    half = trained_models({name: halved(pace) for name, pace in at.items()}, seeds)
    found = measures_table(spans_table(population, graphs, half))
    return float((found - measures_table(table).loc[found.index]).abs().to_numpy().max())


def spans_table(population: Population, graphs: Sequence[ConceptGraph], found: Models) -> pd.DataFrame:
    """What the projections do on Theorem 10's span, for every model, world and concept.

    Returns:
        One row each: model, world, concept, neighbours (their number n), agreeing and contradicting (gaps to the
        log-odds that Theorem 10 asks for, nats), rank (of the projections), outside (share of their square that any
        2^n dimensions leave out), dispersion, and wide_rank and wide_dispersion (the same on Theorem 3's span).
    """
    return pd.DataFrame(
        [
            {"model": name, "world": world, "concept": concept, "neighbours": len(near)}
            | _on_spans(population, world, tables, concept, near)
            for name, each in found.items()
            for world, tables in enumerate(each)
            for concept, near in enumerate(log_odds.moral_neighbours(graphs[world]))
        ]
    )


def rank_table(table: pd.DataFrame) -> pd.DataFrame:
    """Explicit models by number of neighbours n: the largest rank of the projections over the concepts.

    Returns:
        One row for each n: concepts, the bound 2^n, the largest rank of each model on Theorem 10's span, and of the
        completed model on the wider span of Theorem 3.
    """
    by = table[table["model"].isin(EXPLICIT)].groupby(["neighbours", "model"])
    ranks = by["rank"].max().unstack()[list(EXPLICIT)]
    first = table[table["model"] == "completed"].groupby("neighbours")
    left = pd.DataFrame({"concepts": first.size(), "bound 2^n": 2 ** ranks.index.to_numpy()}, index=ranks.index)
    return left.join(ranks).assign(**{"completed, wider span": first["wide_rank"].max()})


def measures_table(table: pd.DataFrame) -> pd.DataFrame:
    """Every model: worlds, concepts, mean gaps and dispersion, and the mean share outside 2^n dimensions (n ≤ 2)."""
    order = [name for name in (*EXPLICIT, *TRAINED) if name in set(table["model"])]
    by = table.groupby("model")
    bounded = table[table["neighbours"] <= 2].groupby("model")["outside"]
    columns = {"worlds": by["world"].nunique()} | {
        name: by[name].mean() for name in ("agreeing", "contradicting", "dispersion")
    }
    return pd.DataFrame(columns | {"outside 2^n": bounded.mean()}).loc[order]


def shared_table(
    population: Population, graphs: Sequence[ConceptGraph], found: Models, *, worlds: int = 10
) -> pd.DataFrame:
    """Two steering vectors v, v' of a concept on the span of the contexts that agree with both tokens (d_i = ⋄).

    Args:
        worlds: how many of the first worlds are looked at; the same for every model.

    Returns:
        One row for each model whose log-odds are only fitted, and for pairs of tokens with equal and with different
        values of the neighbours: how many pairs; mean and largest distance of the projections,
        |P(v − v')|/(|Pv| + |Pv'|); and the root mean square difference of the log-odds in those contexts, nats.
    """
    lines = []
    for name in ("free", *TRAINED):
        tables = list(zip(range(worlds), found[name], graphs, strict=False))
        rows = pd.DataFrame(
            [row for world, pair, graph in tables for row in _pairs(population, pair, log_odds.moral_neighbours(graph))]
        )
        for equal, part in rows.groupby("equal"):
            line = {"model": name, "neighbours": "equal" if equal else "different", "pairs": len(part)}
            nats = float(np.sqrt(part["square"].mean()))
            lines.append(line | {"mean": part["distance"].mean(), "largest": part["distance"].max(), "nats": nats})
    return pd.DataFrame(lines).set_index(["model", "neighbours"])


def _logits(
    joint: Float[np.ndarray, " tokens"], population: Population, seed: int
) -> Mapping[str, Float[np.ndarray, "contexts tokens"]]:
    """The three explicit tables of one world."""
    contexts = population.contexts
    return {
        "completed": explicit.completed_logits(joint, contexts, sharpness=SHARPNESS),
        "penalised": explicit.penalised_logits(joint, contexts, sharpness=SHARPNESS),
        "free": explicit.free_logits(joint, contexts, sharpness=SHARPNESS, seed=seed),
    }


def _on_spans(
    population: Population, world: int, tables: Pair, concept: int, near: tuple[int, ...]
) -> dict[str, float]:
    """The measures of one row of `spans_table`."""
    embedding, unembedding = tables
    pairs, joint = population.token_pairs[concept], population.joint[world]
    rows = log_odds.contexts_with_neighbours(population.contexts, concept, near)
    contexts = population.contexts[rows]
    asked = log_odds.neighbour_log_odds(joint, population.tokens, contexts, concept, near)
    agrees = log_odds.agrees_off(contexts, population.tokens, pairs, concept)
    odds = log_odds.model_log_odds(embedding[rows], unembedding, pairs)
    gap = log_odds.log_odds_gap(odds, asked[:, None], agrees)
    vectors = unembedding[pairs[:, 0]] - unembedding[pairs[:, 1]]
    narrow = spans.project(vectors, spans.span_basis(embedding[rows]))
    every = log_odds.contexts_without(population.contexts, concept)
    wide = spans.project(vectors, spans.span_basis(embedding[every]))
    return {
        "agreeing": gap.agreeing,
        "contradicting": gap.contradicting,
        "rank": spans.subspace_dimension(narrow),
        "outside": spans.outside_share(narrow, 2 ** len(near)),
        "dispersion": spans.dispersion(narrow),
        "wide_rank": spans.subspace_dimension(wide),
        "wide_dispersion": spans.dispersion(wide),
    }


def _pairs(
    population: Population, tables: Pair, neighbours: Sequence[tuple[int, ...]]
) -> Iterator[dict[str, float | bool]]:
    """For each concept and two of its steering vectors: whether the neighbours' values are equal, and the distances."""
    embedding, unembedding = tables
    for concept, near in enumerate(neighbours):
        pairs = population.token_pairs[concept]
        vectors = unembedding[pairs[:, 0]] - unembedding[pairs[:, 1]]
        values = population.tokens[pairs[:, 0]][:, near]
        shared = log_odds.shared_contexts(population.contexts, population.tokens, pairs, concept)
        for a, b in combinations(range(len(pairs)), 2):
            seen = embedding[shared[a, b]]
            one, other = spans.project(vectors[[a, b]], spans.span_basis(seen))
            apart = float(np.linalg.norm(one - other) / (np.linalg.norm(one) + np.linalg.norm(other)))
            square = float(((seen @ (vectors[a] - vectors[b])) ** 2).mean())
            yield {"equal": bool((values[a] == values[b]).all()), "distance": apart, "square": square}
