"""Proposition 11 along training, on contradicting tokens, and on a counterexample to the printed "any c"."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from linrep.claims import Claim, Word
from linrep.concepts import ConceptGraph
from linrep.pilot import Pace, halved
from linrep.population import Population, complete_population
from linrep.setting import Setting
from linrep.simulate import make_batches, setting_pace
from linrep.start import Tables
from linrep.theory.closeness import Products, concept_products, errors
from linrep.train import TrainConfig, train


def along_training(
    setting: Setting | None = None, *, seeds: range = range(20), points: int = 24, pace: Pace | None = None
) -> pd.DataFrame:
    """Both sides of Proposition 11 along the training of a setting, m = k = 3 and its defaults unless told otherwise.

    Args:
        points: record times between the first step and the last, even in the logarithm; the start is one more.
        pace: the step and the steps; None for those that the rules find on the pilots.

    Returns:
        One row for each seed and time, over all concepts, context pairs and token pairs. clock, epsilon. Of tokens that
        agree with the context: entries (their number), slack (the smallest, ε everywhere; +∞ without a bound), sharp
        (the same with ε over four entries), bounded and promised (shares with a bound, and with a positive one),
        sharp_bounded, sharp_promised, positive (share of positive products), monotone. Of contradicting tokens: other
        (the smallest product), negative (the share of products at most 0).
    """
    setting = setting or Setting(concepts=3)
    pace = pace or setting_pace(setting)
    marks = sorted({0, *(math.ceil(mark) for mark in np.geomspace(1, pace.steps, points))})
    frames = []
    for batch in make_batches(setting, seeds):
        rows: list[pd.DataFrame] = []

        def observe(
            step: int, tables: Tables, loss: Float[Tensor, " replicates"], rows: list[pd.DataFrame] = rows,
            population: Population = batch.population, names: Sequence[int] = batch.seeds,
        ) -> None:  # fmt: skip
            found = {"seed": list(names), "clock": step * pace.step_size} | _measures(population, tables)
            rows.append(pd.DataFrame(found))

        config = TrainConfig(pace.step_size, pace.steps)
        trained = train(
            batch.population, batch.start, config, seeds=batch.seeds, record_at=marks, observe=observe, warn=False
        )
        flags = [] if trained.monotone is None else trained.monotone.tolist()
        frames += [part.assign(monotone=flags) for part in rows]
    return pd.concat(frames, ignore_index=True)


def training_table(training: pd.DataFrame, clocks: int = 7) -> pd.DataFrame:
    """Some record times: means over the seeds, and the smallest slack of all of them ("-" where there is no bound)."""
    times = training["clock"].unique()
    chosen = times[np.unique(np.linspace(0, len(times) - 1, clocks).round().astype(int))]
    grouped = training[training["clock"].isin(chosen)].groupby("clock")
    return pd.DataFrame(
        {
            "mean ε": grouped["epsilon"].mean(),
            "bounded": grouped["bounded"].mean(),
            "bound > 0": grouped["promised"].mean(),
            "bounded, sharp": grouped["sharp_bounded"].mean(),
            "bound > 0, sharp": grouped["sharp_promised"].mean(),
            "product > 0": grouped["positive"].mean(),
            "least slack": grouped["slack"].min(),
        }
    )


def contradicting_table(dims: Sequence[int] = (3, 8), *, seeds: range = range(20), halve: bool = False) -> pd.DataFrame:
    """Products with contradicting tokens at the end of training for m = 3 in some dimensions: one row for each k.

    Args:
        halve: take half the step at the same clock, which must not change the table.
    """
    rows = []
    for dim in dims:
        setting = Setting(concepts=3, dim=dim)
        pace = setting_pace(setting)
        found = along_training(setting, seeds=seeds, points=2, pace=halved(pace) if halve else pace)
        last = found[found["clock"] == found["clock"].max()]
        rows.append(
            {
                "k": dim,
                "clock": round(last["clock"].iloc[0]),
                "monotone": int(last["monotone"].sum()),
                "mean ε": last["epsilon"].mean(),
                "seeds with a product ≤ 0": int((last["negative"] > 0).sum()),
                "share of products ≤ 0": last["negative"].mean(),
                "least product": last["other"].min(),
                "agreeing: product > 0": last["positive"].mean(),
            }
        )
    return pd.DataFrame(rows).set_index("k")


def counterexample(*, floor: float = 12.0, graph: ConceptGraph | None = None) -> tuple[Population, Tables]:
    """A model close to the truth everywhere, with Δg_0(c)·Δf_0(d) = −4·floor for a token that contradicts the context.

    Logits are ln p(c given d) where c agrees with d, else −floor; d has concept 0 and 1 known, c disagrees in concept
    1. Of its four logits, all of impossible pairs, the two that the product adds are set to −3·floor. The logits are
    then factorised with k = 2^m by the singular value decomposition.

    Args:
        graph: the world; None for two independent fair concepts.
    """
    fair = ConceptGraph.from_tables([[], []], [0.5, 0.5])
    population = complete_population([graph or fair])
    target = population.target[0]
    logits = np.where(target > 0, np.log(np.where(target > 0, target, 1.0)), -floor)
    contexts, tokens = contradicting_pairs(population)
    logits[contexts[0], tokens[0]] = logits[contexts[1], tokens[1]] = -3 * floor
    left, size, right = np.linalg.svd(logits, full_matrices=False)
    tables = (left * np.sqrt(size), right.T * np.sqrt(size))
    first, second = (torch.from_numpy(np.ascontiguousarray(table))[None] for table in tables)
    return population, (first, second)


def contradicting_pairs(population: Population) -> tuple[list[int], list[int]]:
    """The context pair and the token pair of `counterexample`: (d(0→1), d(0→0)) and (c(0→1), c(0→0))."""
    state, token = population.contexts, population.tokens
    rest = (state[:, 1] == 1) & (state[:, 2:] == -1).all(axis=1)
    last = (token[:, 1] == 0) & (token[:, 2:] == 0).all(axis=1)
    contexts = [int(np.flatnonzero(rest & (state[:, 0] == value))[0]) for value in (1, 0)]
    tokens = [int(np.flatnonzero(last & (token[:, 0] == value))[0]) for value in (1, 0)]
    return contexts, tokens


def counterexample_table(floors: Sequence[float] = (4, 8, 12)) -> pd.DataFrame:
    """The counterexample at some depths: its ε, the product that the printed form calls positive, the least slack."""
    rows = []
    for floor in floors:
        population, tables = counterexample(floor=floor)
        found = [concept_products(population, *tables, concept) for concept in range(population.concepts)]
        other = min(float(part.inner[:, ~part.agrees].min()) for part in found)
        rows.append(
            {
                "floor": floor,
                "log10 ε": float(np.log10(errors(population, *tables).max())),
                "product with contradicting token": other,
                "least slack, agreeing tokens": min(float(part.slack.min()) for part in found),
            }
        )
    return pd.DataFrame(rows).set_index("floor")


def claims(training: pd.DataFrame | None = None, example: pd.DataFrame | None = None) -> list[Claim]:
    """Proposition 11, and its printed reach."""
    training = along_training() if training is None else training
    example = counterexample_table() if example is None else example
    return [_bound_claim(training), _any_token_claim(example)]


def _bound_claim(training: pd.DataFrame) -> Claim:
    """The corrected proposition along training."""
    number, control = float(training["slack"].min()), float(training["other"].min())
    holds = number >= 0 and training["sharp"].min() >= 0 and control < 0
    verdict: Word = "holds in range" if holds else "different"
    return Claim(
        key="proposition-11",
        statement="a small error forces a large Δg_i(c)·Δf_i(d), for every token that agrees with the context off i",
        source="paper, Proposition 11 (corrected)",
        hypotheses="|p̂ − p| ≤ ε < min(p1, p0); c agrees with d off i",
        verdict=verdict,
        measured="least slack of the bound, m = k = 3, 20 seeds, all concepts, contexts, tokens and times",
        number=number,
        broken="tokens that contradict the context, for which the formula would say ≥ 0: least product",
        control=control,
        where="alignment:prop-closeness",
    )


def _any_token_claim(example: pd.DataFrame) -> Claim:
    """The proposition as printed, for any token."""
    last = example.iloc[-1]
    number, control = float(last["product with contradicting token"]), float(last["least slack, agreeing tokens"])
    verdict: Word = "different" if number < 0 <= control else "reproduced"
    return Claim(
        key="proposition-11-any-token",
        statement="the same for any token",
        source="paper, Proposition 11 (as printed)",
        hypotheses="|p̂ − p| ≤ ε",
        verdict=verdict,
        measured="Δg_i(c)·Δf_i(d) of a contradicting token in a model with ε below 10⁻⁴",
        number=number,
        broken="nothing: least slack over the agreeing tokens of the same model",
        control=control,
        where="alignment:prop-closeness",
    )


def _measures(population: Population, tables: Tables) -> dict[str, Float[np.ndarray, " replicates"]]:
    """The columns of `along_training` for one moment, by replicate."""
    concepts = range(population.concepts)
    wide = [concept_products(population, *tables, concept) for concept in concepts]
    sharp = [concept_products(population, *tables, concept, scope="four entries") for concept in concepts]
    agreeing = np.concatenate([part.inner[:, part.agrees] for part in wide], axis=1)
    other = np.concatenate([part.inner[:, ~part.agrees] for part in wide], axis=1)
    return {
        "epsilon": errors(population, *tables).max(axis=(1, 2)),
        **_bounds(wide, ("slack", "bounded", "promised")),
        **_bounds(sharp, ("sharp", "sharp_bounded", "sharp_promised")),
        "positive": (agreeing > 0).mean(axis=1),
        "other": other.min(axis=1),
        "negative": (other <= 0).mean(axis=1),
    }


def _bounds(parts: Sequence[Products], names: tuple[str, str, str]) -> dict[str, Float[np.ndarray, " replicates"]]:
    """Least slack, share with a bound, and share with a positive bound, over the agreeing entries of all concepts."""
    inner, lower = (
        np.concatenate([getattr(part, side)[:, part.agrees] for part in parts], axis=1) for side in ("inner", "lower")
    )
    values = ((inner - lower).min(axis=1), np.isfinite(lower).mean(axis=1), (lower > 0).mean(axis=1))
    return dict(zip(names, values, strict=True))
