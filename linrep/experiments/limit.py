"""The limit of wide training: the margin problem's optimum, its certificates, and the regularised path to it."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy.optimize import brentq

from linrep.concepts import ConceptGraph, all_tokens
from linrep.contexts import agreement, all_contexts
from linrep.geometry import mean_cosine
from linrep.linearity import measure
from linrep.population import Population, complete_population
from linrep.simulate import COSINES
from linrep.steering import steering_vectors
from linrep.theory import cube_margin, hard_margin, regularised_path
from linrep.theory.loss_optima import balanced_factors, linearity_of
from linrep.theory.margin_optima import uniqueness

STRENGTHS = (*(10.0**-power for power in range(1, 13)), 1e-16, 1e-30, 1e-100, 1e-300)
"""λ of the path."""


def coins(concepts: int) -> Population:
    """The world of m fair independent coins, complete, with fair masks."""
    graph = ConceptGraph.from_tables(parents=[[]] * concepts, tables=[0.5] * concepts)
    return complete_population([graph])


def prediction_table(sizes: Sequence[int]) -> pd.DataFrame:
    """For each m: the least nuclear norm, those of two candidates, degrees and rank of the optimum, and its U."""
    rows = []
    for m in sizes:
        found = cube_margin.solve_cube(m)
        linear = candidate_value(cube_margin.counting_margins(m))
        rows.append(
            {
                "m": m,
                "least": found.value,
                "linear": linear,
                "ratio": linear / found.value,
                "agrees or not": candidate_value(cube_margin.agreement_margins(m)),
                "degrees": ", ".join(map(str, found.degrees)),
                "rank": found.rank,
                "of": 2**m - 1,
                "U": found.linearity,
                "gap": found.gap,
                "left open": found.left_open,
            }
        )
    return pd.DataFrame(rows).set_index("m")


def candidate_value(margins: cube_margin.Pattern) -> float:
    """The nuclear norm of logits −h."""
    return cube_margin.nuclear_norm(cube_margin.degree_sizes(margins))


def linearity_by_candidate(sizes: Sequence[int]) -> dict[str, pd.Series]:
    """U by m of the linear logits, the pattern "agrees or not", and the optimum."""
    points = {
        "linear": {m: cube_margin.counting_margins(m) for m in sizes},
        "optimum": {m: cube_margin.solve_cube(m).margins for m in sizes},
        "agrees or not": {m: cube_margin.agreement_margins(m) for m in sizes},
    }
    return {
        name: pd.Series({m: linearity_of(cube_margin.degree_sizes(each).tolist()) for m, each in found.items()})
        for name, found in points.items()
    }


def spectrum_table(sizes: Sequence[int]) -> pd.DataFrame:
    """σ_r/σ_1 of the optimum, by degree r; columns to the largest m."""
    found = {m: cube_margin.solve_cube(m) for m in sizes}
    rows = {m: pd.Series(each.sizes / each.sizes[0], index=range(1, m + 1)) for m, each in found.items()}
    return pd.DataFrame(rows).T.rename_axis(index="m", columns="degree")


def share_table(sizes: Sequence[int]) -> pd.DataFrame:
    """The part of the nuclear norm in degrees 1, 2, 3 and above."""
    rows = {}
    for m in sizes:
        found = cube_margin.solve_cube(m)
        parts = [math.comb(m, r) * size / found.value for r, size in enumerate(found.sizes, start=1)]
        padded = [*parts, 0.0, 0.0]
        rows[m] = {"1": padded[0], "2": padded[1], "3": padded[2], "4 and above": sum(padded[3:])}
    return pd.DataFrame(rows).T.rename_axis("m")


def slack_table(sizes: Sequence[int], degrees: int) -> pd.DataFrame:
    """τ_r of the certificate by degree: where it is below 1, no optimum has that degree; dashes beyond m."""
    found = {m: cube_margin.solve_cube(m) for m in sizes}
    rows = {m: pd.Series(each.slack[:degrees], index=range(1, min(m, degrees) + 1)) for m, each in found.items()}
    return pd.DataFrame(rows).T.rename_axis(index="m", columns="degree")


def large_table(sizes: Sequence[int]) -> pd.DataFrame:
    """Degrees, U and the largest τ_r of a degree that is absent, in larger cubes."""
    rows = []
    for m in sizes:
        found = cube_margin.solve_cube(m)
        absent = [found.slack[r - 1] for r in range(1, m + 1) if r not in found.degrees]
        rows.append(
            {
                "m": m,
                "degrees": ", ".join(map(str, found.degrees)),
                "U": found.linearity,
                "largest absent": max(absent),
                "gap": found.gap,
                "left open": found.left_open,
            }
        )
    return pd.DataFrame(rows).set_index("m")


def full_table(sizes: Sequence[int]) -> pd.DataFrame:
    """The full program, no symmetry assumed, beside the reduced one: values, and the largest entry apart.

    No probability enters either of them, so every complete world of m concepts gives the same.
    """
    rows = []
    for m in sizes:
        population = coins(m)
        full, reduced = hard_margin.solve_margin(population), cube_margin.solve_cube(m)
        hard_margin.require_margins(full.logits, population.consistent, tolerance=1e-9)
        apart = np.abs(full.logits - cube_margin.centred_logits(reduced.margins)).max()
        row = {"m": m, "full": full.value, "reduced": reduced.value, "bound": full.bound, "entries apart": float(apart)}
        rows.append(row | {"U, full": _linearity_of_gram(full.gram, population), "U, reduced": reduced.linearity})
    return pd.DataFrame(rows).set_index("m")


def unique_table(sizes: Sequence[int]) -> pd.DataFrame:
    """Whether the certificate leaves one optimum only: the equations for G Gᵀ and their least eigenvalue.

    "without margins" is that eigenvalue where only the equations of equal logits on the support are used.
    """
    rows = []
    for m in sizes:
        witness = cube_margin.pattern_matrix(cube_margin.solve_cube(m).witness)
        support = agreement(all_contexts(m), all_tokens(m))
        found = uniqueness(witness, support)
        alone = uniqueness(witness, support, margins=False)
        rows.append(
            {
                "m": m,
                "directions": found.kept,
                "next τ": found.next,
                "unknowns": found.unknowns,
                "least eigenvalue": found.least,
                "weakest force": found.weakest,
                "without margins": max(0.0, round(alone.least, 9)),  # zero but for rounding, of either sign
            }
        )
    return pd.DataFrame(rows).set_index("m")


def candidates_table(sizes: Sequence[int]) -> pd.DataFrame:
    """U, E, UE and between of balanced tables, measured on the vectors: the optimum and two other feasible points."""
    rows = []
    for m in sizes:
        points = {
            "optimum": cube_margin.solve_cube(m).margins,
            "agrees or not": cube_margin.agreement_margins(m),
            "counts (linear)": cube_margin.counting_margins(m),
        }
        for name, margins in points.items():
            f, g = balanced_factors(cube_margin.centred_logits(margins), dim=2**m)
            found = measure(coins(m), (torch.from_numpy(f)[None], torch.from_numpy(g)[None])).per_replicate()
            row = {symbol: float(found[long][0]) for long, symbol in COSINES.items()}
            formula = linearity_of(cube_margin.degree_sizes(margins).tolist())
            rows.append({"m": m, "logits": name} | row | {"between": float(found["between"][0]), "U, formula": formula})
    return pd.DataFrame(rows).set_index(["m", "logits"])


def path_rows(sizes: Sequence[int], strengths: Sequence[float] = STRENGTHS) -> pd.DataFrame:
    """One row for each m and λ below the critical one: U, degrees, residual; and U − U* times ln(1/λ)."""
    limits = {m: cube_margin.solve_cube(m).linearity for m in sizes}
    rows = []
    for (m, strength), point in regularised_path.solve_paths(sizes, strengths).items():
        excess = (point.linearity - limits[m]) * math.log(1 / strength)
        rows.append(
            {
                "m": m,
                "strength": strength,
                "U": point.linearity,
                "degrees": ", ".join(map(str, point.degrees)),
                "times log": excess,
                "residual": point.residual,
            }
        )
    return pd.DataFrame(rows)


def path_table(rows: pd.DataFrame) -> pd.DataFrame:
    """U by λ and m, and U − U* times ln(1/λ); empty where the logits are zero (`as_text` makes it a dash)."""
    wide = rows.pivot(index="strength", columns="m", values=["U", "times log"]).iloc[::-1]
    wide.columns = pd.Index([f"{pair[0]}, m = {pair[1]}" for pair in wide.columns])
    return wide.set_axis([_power(value) for value in wide.index]).rename_axis("λ")


def linear_range(sizes: Sequence[int]) -> pd.DataFrame:
    """The λ between which U = 1: below the first degree two comes in, from the second on all logits are zero.

    And what is learned there: KL (nats) at the first, half way on the logarithmic scale, and at the second.
    """
    rows = []
    for m in sizes:
        top = regularised_path.critical_strength(m)

        def second(log_strength: float, m: int = m) -> float:
            point = regularised_path.solve_path(m, math.exp(log_strength), degree=1)
            return float(point.slack[1]) - 1

        low = math.exp(brentq(second, math.log(top / 10), math.log(0.99 * top), xtol=1e-4))
        first, middle = (regularised_path.solve_path(m, each) for each in (low, math.sqrt(low * top)))
        kl = {"KL from": regularised_path.divergence(first), "KL middle": regularised_path.divergence(middle)}
        row = {"m": m, "from": low, "to": top, "U at the middle": middle.linearity}
        rows.append(row | kl | {"KL to": m / 2 * math.log(2)})
    return pd.DataFrame(rows).set_index("m")


def direct_table(strengths: Sequence[float], *, seeds: Sequence[int]) -> pd.DataFrame:
    """m = 2, k = 4: U and the loss by L-BFGS in F and G, the worst over some seeds, beside the convex problem's."""
    population = coins(2)
    rows = []
    for strength in strengths:
        point = regularised_path.solve_path(2, strength)
        expected = regularised_path.decayed_loss(point)
        found = [regularised_path.direct(population, strength, dim=4, seed=seed) for seed in seeds]
        values = [_linearity(torch.from_numpy(table), population) for _, table in found]
        worst = max(values, key=lambda value: abs(value - point.linearity))
        apart = max(abs(value - expected) for value, _ in found)
        rows.append({"λ": _power(strength), "U": point.linearity, "U, direct": worst, "loss apart": apart})
    return pd.DataFrame(rows).set_index("λ")


def worlds_table(concepts: int, strengths: Sequence[float], *, seeds: Sequence[int]) -> pd.DataFrame:
    """U at k = 2^m on worlds of dependent concepts, by L-BFGS in F and G: how far from that of fair coins, by λ."""
    rows = []
    for strength in strengths:
        expected = regularised_path.solve_path(concepts, strength).linearity
        apart = []
        for seed in seeds:
            population = complete_population([ConceptGraph.random(concepts, prob=(0.1, 0.9), seed=seed)])
            _, table = regularised_path.direct(population, strength, dim=2**concepts, seed=seed)
            apart.append(abs(_linearity(torch.from_numpy(table), population) - expected))
        rows.append({"λ": _power(strength), "U, coins": expected, "apart, mean": np.mean(apart), "at most": max(apart)})
    return pd.DataFrame(rows).set_index("λ")


def _linearity(unembedding: torch.Tensor, population: Population) -> float:
    """U of one table, averaged over the concepts."""
    values = [mean_cosine(steering_vectors(unembedding, pairs)) for pairs in population.token_pairs]
    return float(torch.stack(values).mean())


def _linearity_of_gram(gram: np.ndarray, population: Population) -> float:
    """U of vectors with these inner products."""
    values, vectors = np.linalg.eigh(gram)
    return _linearity(torch.from_numpy(vectors * np.sqrt(values.clip(min=0))), population)


def _power(value: float) -> str:
    """A power of ten as text."""
    return f"10^{math.log10(value):.0f}"
