"""Optima of other losses, predicted without training, beside what training finds; and the rates of one logit."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from linrep.concepts import all_tokens
from linrep.contexts import all_contexts
from linrep.experiments.loss_runs import COSINES, batch_of
from linrep.geometry import mean_cosine, mean_cross_cosine
from linrep.linearity import concept_vectors, measure
from linrep.loss import Loss
from linrep.pilot import Batch, Pace
from linrep.population import Population
from linrep.setting import Setting
from linrep.simulate import make_batches
from linrep.steering import counterfactual_pairs
from linrep.theory import one_logit
from linrep.theory.explicit import Pair, balanced_tables, mismatches
from linrep.theory.loss_optima import (
    ProductOptimum,
    agreement_cosines,
    agreement_pattern,
    balanced_factors,
    fair_smoothed_linearity,
    product_optimum,
    smoothed_logits,
)
from linrep.theory.other_losses import ProductLoss, label_smoothing
from linrep.train import TrainConfig, Trained, train

FAIR = (0.5, 0.5)
RANGES = (FAIR, (0.45, 0.55), (0.4, 0.6), (0.3, 0.7))
"""Ranges of the Bernoulli parameters, from fair coins to the paper's."""

MEASURES = {"U": "unembedding", "E": "embedding", "UE": "matched", "between": "between"}
"""Short names of the measures of `Linearity`."""

SMALL = 0.01
"""The scale S of a start from N(0, S²) that is balanced for all practical purposes."""


def cosines_of(population: Population, tables: Sequence[Pair]) -> pd.DataFrame:
    """U, E, UE and between of one model for each world."""
    embedding, unembedding = (torch.from_numpy(np.stack(part)) for part in zip(*tables, strict=True))
    found = measure(population, (embedding, unembedding)).per_replicate()
    return pd.DataFrame({short: found[name] for short, name in MEASURES.items()})


def agreement_table(sizes: Sequence[int]) -> pd.DataFrame:
    """Balanced factors of two tables of logits: agreement ("agrees or not"), and minus the number of contradictions.

    Returns:
        By m: U, E and UE of the first in closed form; svd moves, the largest difference to the factors themselves; U of
        the second ("counting").
    """
    rows = []
    for m in sizes:
        closed = agreement_cosines(m)
        formula = np.array([closed.unembedding, closed.embedding, closed.matched])
        found = _shape(m, balanced_tables(agreement_pattern(m)))
        count = _shape(m, balanced_tables(-mismatches(all_contexts(m), all_tokens(m)).astype(float)))
        line = dict(zip(COSINES, formula.tolist(), strict=True))
        rows.append({"m": m} | line | {"svd moves": float(np.abs(found - formula).max()), "counting": float(count[0])})
    return pd.DataFrame(rows).set_index("m")


def smoothed_optima(epsilons: Sequence[float], *, seeds: Sequence[int] = range(20)) -> pd.DataFrame:
    """The geometry of balanced factors at the optimum of label smoothing, on the worlds of the chapter.

    Returns:
        One row for each ε and seed: epsilon, seed, U, E, UE, between.
    """
    population = batch_of(2**3, seeds).population
    parts = []
    for epsilon in epsilons:
        tables = [balanced_tables(smoothed_logits(target, epsilon)) for target in population.target]
        parts.append(cosines_of(population, tables).assign(epsilon=epsilon, seed=list(seeds)))
    return pd.concat(parts, ignore_index=True)


def fair_table(sizes: Sequence[int], epsilons: Sequence[float], *, seeds: range, pace: Pace) -> pd.DataFrame:
    """Worlds of m fair coins under label smoothing, k = 2^m, from the linear start: U in closed form and trained.

    Returns:
        One row for each m and ε: formula, trained (mean over seeds), gap (the largest over seeds), excess (the largest
        loss above the optimum's, nats), monotone.
    """
    rows = []
    for m in sizes:
        (batch,) = make_batches(Setting(concepts=m, dim=2**m, prob=FAIR), seeds)
        for epsilon in epsilons:
            loss = label_smoothing(batch.population, epsilon=epsilon)
            trained = _descend(batch, loss, pace)
            found = measure(batch.population, (trained.embedding, trained.unembedding)).per_replicate()["unembedding"]
            formula = fair_smoothed_linearity(m, epsilon)
            line = {"formula": formula, "trained": found.mean(), "gap": np.abs(found - formula).max()}
            pair = loss.pair.numpy()
            best = -(pair * np.log(pair / loss.weights.numpy()[:, :, None])).sum(axis=(1, 2))
            excess = (trained.loss.numpy() - best).max()
            rows.append({"m": m, "ε": epsilon} | line | {"excess": excess, "monotone": _monotone(trained)})
    return pd.DataFrame(rows).set_index(["m", "ε"])


def product_rows(
    dims: Sequence[int], *, prob: tuple[float, float], init_scale: float | None, pace: Pace, seeds: range
) -> pd.DataFrame:
    """Squared error of the products: the optimum by singular values, and what training finds.

    Returns:
        One row for each k and seed: U, E, UE, between as predicted; the same trained (name trained); excess, the loss
        above the least one; ratio, which must be below 1 for a prediction; monotone.
    """
    parts = []
    for dim in dims:
        (batch,) = make_batches(Setting(concepts=3, dim=dim, prob=prob, init_scale=init_scale), seeds)
        trained = _descend(batch, ProductLoss.of(batch.population), pace)
        found = measure(batch.population, (trained.embedding, trained.unembedding)).per_replicate()
        optima = product_optima(batch.population, dim)
        part = cosines_of(batch.population, [balanced_factors(each.products, dim=dim) for each in optima])
        for short, name in MEASURES.items():
            part[f"{short} trained"] = found[name]
        part["excess"] = trained.loss.numpy() - [each.loss for each in optima]
        part["ratio"] = [each.ratio for each in optima]
        assert trained.monotone is not None  # gradient descent always says
        parts.append(part.assign(k=dim, seed=list(seeds), monotone=trained.monotone.numpy()))
    return pd.concat(parts, ignore_index=True)


def product_optima(population: Population, dim: int) -> list[ProductOptimum]:
    """The optimum of squared error of the products in each world."""
    both = zip(population.weights, population.target, strict=True)
    return [product_optimum(weights, target, dim=dim) for weights, target in both]


def product_table(rows: pd.DataFrame) -> pd.DataFrame:
    """By k: means of U, E, UE and between, predicted and trained; gap, the largest of a seed in U."""
    columns = [name + end for name in (*COSINES, "between") for end in ("", " trained")]
    gap = (rows["U"] - rows["U trained"]).abs().groupby(rows["k"]).max()
    return rows.groupby("k")[columns].mean().assign(gap=gap)


def coins_table(*, pace: Pace, seeds: range) -> pd.DataFrame:
    """How far from fair the coins may be: the median U, by range of the Bernoulli parameters.

    Of squared error of the products at k = m and m + 1 (its balanced optimum; NaN where that is not unique), and of
    cross-entropy at k = m (trained).
    """
    rows = []
    for prob in RANGES:
        (batch,) = make_batches(Setting(concepts=3, prob=prob), seeds)
        line: dict[str, object] = {"Bernoulli parameters": f"{prob[0]:g} to {prob[1]:g}"}
        for dim in (3, 4):
            optima = product_optima(batch.population, dim)
            found = cosines_of(batch.population, [balanced_factors(each.products, dim=dim) for each in optima])["U"]
            line[f"products, k = {dim}"] = found.median() if optima[0].ratio < 1 - 1e-9 else float("nan")
        trained = _descend(batch, None, pace)
        linear = measure(batch.population, (trained.embedding, trained.unembedding)).per_replicate()["unembedding"]
        rows.append(line | {"cross-entropy, k = 3": np.median(linear), "monotone": _monotone(trained)})
    return pd.DataFrame(rows).set_index("Bernoulli parameters")


def rate_table(gaps: Sequence[float], *, kappa: float = 1.0) -> pd.DataFrame:
    """One logit under two losses, from y = 0: by y, the decimal logarithm of the time, and the slope −d ln δ/d ln t."""
    levels = np.array([0.0, *gaps])
    table = pd.DataFrame({"y": gaps, "δ": 1 / (1 + np.exp(levels[1:]))})
    for kind in ("cross-entropy", "probabilities"):
        time = one_logit.times(levels, kind, kappa=kappa)[1:]
        speed = one_logit.pull(levels[1:], kind) * np.sqrt(4 * levels[1:] ** 2 + kappa)
        table[f"{kind}: log10 t"] = np.log10(time)
        table[f"{kind}: slope"] = (1 - table["δ"]) * time * speed
    return table.set_index("y")


def _descend(batch: Batch, loss: Loss | None, pace: Pace) -> Trained:
    """A batch trained to the end of a pace."""
    config = TrainConfig(pace.step_size, pace.steps)
    return train(batch.population, batch.start, config, seeds=batch.seeds, loss=loss, warn=False)


def _monotone(trained: Trained) -> int:
    """How many replicates fell monotonically."""
    assert trained.monotone is not None  # gradient descent always says
    return int(trained.monotone.sum())


def _shape(concepts: int, tables: Pair) -> Float[np.ndarray, "3"]:
    """U, E and UE of tables on the complete sets, whatever the world."""
    means = []
    sets = (all_tokens(concepts), all_contexts(concepts))
    of_contexts, of_tokens = (
        concept_vectors(torch.from_numpy(table), counterfactual_pairs(states))
        for table, states in zip(tables, sets[::-1], strict=True)
    )
    for first, second in zip(of_tokens, of_contexts, strict=True):
        means.append([float(x) for x in (mean_cosine(first), mean_cosine(second), mean_cross_cosine(first, second))])
    return np.asarray(np.mean(means, axis=0))
