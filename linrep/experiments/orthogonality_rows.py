"""What Theorem 7 and Corollary 8 speak of, in each seed's model, by the relation of two concepts in the moral graph."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from linrep.contexts import UNKNOWN
from linrep.pilot import Batch
from linrep.setting import Setting
from linrep.simulate import Simulation
from linrep.start import Tables
from linrep.theory import interaction
from linrep.theory.orthogonality import Kind, log_odds_gaps, relation, theorem_cases, theorem_cosines


def tables_of(simulation: Simulation) -> Tables:
    """F and G of all seeds after training."""
    trained = simulation.runs[0].trained
    return trained.embedding, trained.unembedding


def starts(simulation: Simulation) -> Tables:
    """F and G of all seeds before training."""
    return simulation.runs[0].batch.start


def relations(setting: Setting, seeds: Sequence[int]) -> dict[tuple[int, int], list[str]]:
    """For each ordered pair of concepts the relation in each seed's world; "own" for a concept and itself."""
    worlds, m = [setting.world(seed) for seed in seeds], setting.concepts
    return {
        (i, j): [relation(world, i, j) if i != j else "own" for world in worlds] for i in range(m) for j in range(m)
    }


def theorem_rows(simulation: Simulation, kind: Kind = "theorem", *, tables: Tables | None = None) -> pd.DataFrame:
    """Theorem 7 in each seed's model: seed, relation, cosine, gap and product, means of absolute values over the cases.

    Args:
        kind: the theorem's cases or a control. tables: F and G in place of the trained ones.
    """
    batch = simulation.runs[0].batch
    return theorem_batch_rows(simulation.setting, batch, tables or tables_of(simulation), kind)


def theorem_batch_rows(setting: Setting, batch: Batch, tables: Tables, kind: Kind = "theorem") -> pd.DataFrame:
    cases = theorem_cases(batch.population.tokens, batch.population.contexts, kind)
    gaps = log_odds_gaps(batch.population, *tables, cases)
    values = {
        "cosine": np.abs(theorem_cosines(*tables, cases)),
        "gap": np.abs(gaps).mean(axis=-1),
        "product": np.abs(gaps[..., 0] - gaps[..., 1]),
    }
    return _by_relation(setting, batch.seeds, np.column_stack([cases.concept, cases.other]), values)


def corollary_rows(simulation: Simulation, *, tables: Tables | None = None) -> pd.DataFrame:
    """Corollary 8 and the squares of each seed's model, means over the squares: see `square_rows`."""
    return square_rows(simulation.setting, simulation.runs[0].batch, tables or tables_of(simulation))


def context_points(simulation: Simulation) -> pd.DataFrame:
    """Every square of every seed in every context that knows neither of its concepts and agrees with it elsewhere.

    Returns:
        seed, adjacent; known, how many concepts the context knows; true, ln OR_ij(c); model, f(d)·□_ij g(c); norm,
        |f(d)|; need, |ln OR_ij(c)|/(|f(d)| S).
    """
    batch, m = simulation.runs[0].batch, simulation.setting.concepts
    embedding, unembedding = tables_of(simulation)
    contexts, kinds, parts = batch.population.contexts, relations(simulation.setting, batch.seeds), []
    agrees, known = batch.population.consistent, (contexts != UNKNOWN).sum(axis=1)
    for i in range(m):
        for j in range(i):
            squares = interaction.token_squares(batch.population.tokens, i, j)
            silent = (contexts[:, i] == UNKNOWN) & (contexts[:, j] == UNKNOWN)
            row, column = np.nonzero(agrees[:, squares[:, 0, 0]] & silent[:, None])
            at = embedding[:, row]  # (replicates, points, dim)
            side = interaction.longest_side(unembedding, squares)[:, column].cpu().numpy()
            true = interaction.log_odds_ratio(batch.population.joint, squares)[:, column]
            model = (at * interaction.second_difference(unembedding, squares)[:, column]).sum(dim=-1).cpu().numpy()
            norm = at.norm(dim=-1).cpu().numpy()
            values = {"true": true, "model": model, "norm": norm, "need": np.abs(true) / (norm * side)}
            index = {
                "seed": np.repeat(np.array(batch.seeds), len(row)),
                "adjacent": np.repeat(np.array(kinds[i, j]) == "adjacent", len(row)),
                "known": np.tile(known[row], len(batch.seeds)),
            }
            parts.append(pd.DataFrame(index | {name: value.ravel() for name, value in values.items()}))
    return pd.concat(parts, ignore_index=True)


def dependence_points(simulation: Simulation) -> pd.DataFrame:
    """The rows of `context_points` in the context that knows nothing."""
    points = context_points(simulation)
    return points[points["known"] == 0]


def square_rows(setting: Setting, batch: Batch, tables: Tables) -> pd.DataFrame:
    """One row for each seed and relation, means over the pairs of concepts and over their squares.

    Returns:
        seed, relation; cosine, the mean |cos(Δg_i(c), Δg_j(c))|; direction, |mean cosine| of the two concepts; true and
        model, |ln OR_ij(c)| of the world and |f(⋄...⋄)·□_ij g(c)|; part, the regression of the model's signed value on
        the world's (0 where the latter is 0); opening, |□|/S; departure; need, |ln OR|/(|f(⋄...⋄)| S); norm,
        |f(⋄...⋄)|; side, S; at k = m also pinned, what exact log-odds at ⋄...⋄ need.
    """
    population, m = batch.population, setting.concepts
    blank = tables[0][:, population.rows(["⋄" * m])[0]]
    index, found = [], []
    for i in range(m):
        for j in range(i):
            squares = interaction.token_squares(population.tokens, i, j)
            index += [(i, j)] * len(squares)
            found.append(_squares(batch, tables[1], blank, squares, pinned=tables[1].shape[-1] == m))
    values = {name: np.concatenate([part[name] for part in found], axis=1) for name in found[0]}
    table = _by_relation(setting, batch.seeds, np.array(index), values)
    table["part"] = np.where(table["power"] > 1e-12, table.pop("along") / table.pop("power").clip(lower=1e-12), 0.0)
    return table


def _squares(
    batch: Batch,
    unembedding: torch.Tensor,
    blank: torch.Tensor,
    squares: Int[np.ndarray, "squares 2 2"],
    *,
    pinned: bool,
) -> dict[str, Float[np.ndarray, "replicates squares"]]:
    """What `square_rows` averages, for the squares of one pair of concepts."""
    joint = batch.population.joint
    ratio = interaction.log_odds_ratio(joint, squares)
    opened = interaction.second_difference(unembedding, squares)
    side = interaction.longest_side(unembedding, squares).cpu().numpy()
    cosines = interaction.crossing_cosines(unembedding, squares).cpu().numpy()
    model = (opened * blank[:, None]).sum(dim=-1).cpu().numpy()
    norm = blank.norm(dim=-1)[:, None].cpu().numpy()
    found = {
        "cosine": np.abs(cosines[..., (0, 0, 1, 1), (0, 1, 0, 1)]).mean(axis=-1),
        "direction": np.abs(cosines.mean(axis=(1, 2, 3)))[:, None] + 0 * ratio,
        "true": np.abs(ratio),
        "model": np.abs(model),
        "along": ratio * model,
        "power": ratio**2,
        "opening": opened.norm(dim=-1).cpu().numpy() / side,
        "departure": interaction.departure(unembedding, squares).cpu().numpy(),
        "need": np.abs(ratio) / (norm * side),
        "norm": norm + 0 * ratio,
        "side": side,
    }
    if pinned:
        tokens = batch.population.tokens
        found["pinned"] = interaction.opening_at_full_rank(unembedding, np.log(joint), tokens, squares)
    return found


def _by_relation(
    setting: Setting,
    seeds: Sequence[int],
    concepts: Int[np.ndarray, "cases 2"],
    values: Mapping[str, Float[np.ndarray, "seeds cases"]],
) -> pd.DataFrame:
    """Means over the cases of each relation, one row for each seed and relation."""
    kinds, rows = relations(setting, seeds), []
    for place, seed in enumerate(seeds):
        of_case = np.array([kinds[i, j][place] for i, j in concepts.tolist()])
        for name in dict.fromkeys(of_case):
            means = {key: float(value[place, of_case == name].mean()) for key, value in values.items()}
            rows.append({"seed": seed, "relation": name} | means)
    return pd.DataFrame(rows)
