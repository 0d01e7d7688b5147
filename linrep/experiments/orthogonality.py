"""The chapter on orthogonality: Theorem 7, Corollary 8, and what stands against the latter when concepts interact."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from linrep.claims import Claim
from linrep.contexts import UNKNOWN
from linrep.experiments import orthogonality_claims as made
from linrep.experiments.orthogonality_claims import adjacency
from linrep.experiments.orthogonality_record import ARMS, SEEDS, recorded, recorded_paces
from linrep.experiments.orthogonality_rows import context_points, corollary_rows, starts, tables_of, theorem_rows
from linrep.loss import PopulationLoss
from linrep.pilot import Pace
from linrep.results import Record
from linrep.simulate import Simulation, simulate
from linrep.stats import Comparison, estimate
from linrep.theory import interaction
from linrep.theory.orthogonality import RELATIONS, log_odds_gaps, theorem_cases

Models = dict[str, Simulation]

SCALES = (4.0, 16.0, 64.0, 256.0)
"""The T of the explicit model: its logits' penalty for each entry of the context that a token contradicts."""


def trained(record: Record | None = None, *, seeds: range = SEEDS) -> Models:
    """The four arms of the chapter, trained at the paces that the rules found (they are on record).

    Raises:
        InputError: there is no record.
    """
    paces = recorded_paces(record or recorded())
    return {name: simulate(setting, seeds=seeds, pace=paces[name]) for name, setting in ARMS.items()}


def theorem_table(models: Models) -> pd.DataFrame:
    """Theorem 7 by arm and relation: mean |cosine| and mean gap of the log-odds, with standard errors over seeds."""
    lines = [_means(theorem_rows(model), {"cosine": "|cosine|", "gap": "gap"}, name) for name, model in models.items()]
    return pd.concat(lines).set_index(["arm", "relation"])


def controls_table(model: Simulation) -> pd.DataFrame:
    """Theorem 7 and the same measure with one hypothesis broken, over all pairs of concepts of one arm."""
    early = simulate(model.setting, seeds=range(model.seeds[0], model.seeds[-1] + 1), pace=_tenth(model.pace))
    rows = {
        "the theorem": theorem_rows(model),
        "d contradicts c": theorem_rows(model, "contradicting"),
        "j = i": theorem_rows(model, "own"),
        "a tenth of the clock": theorem_rows(early),
        "untrained": theorem_rows(model, tables=starts(model)),
    }
    over_pairs = {name: table.groupby("seed", as_index=False).mean(numeric_only=True) for name, table in rows.items()}
    columns = {"cosine": "|cosine|", "gap": "gap"}
    lines = [_means(table.assign(relation="all"), columns, name) for name, table in over_pairs.items()]
    return pd.concat(lines).set_index("arm").drop(columns="relation").rename_axis("case")


def equivalence_table(models: Models) -> pd.DataFrame:
    """Adjacent minus not adjacent, of the mean |cosine| of each statement: two one-sided tests, margin .03."""
    lines = []
    for name in ("random", "random, k = 8"):
        for what, rows in (("Theorem 7", theorem_rows(models[name])), ("Corollary 8", corollary_rows(models[name]))):
            lines.append({"arm": name, "statement": what} | _line(adjacency(rows, "cosine")))
    return pd.DataFrame(lines).set_index(["arm", "statement"])


def corollary_table(models: Models) -> pd.DataFrame:
    """Corollary 8 by arm and relation: between steering vectors, between mean directions, and untrained."""
    lines = []
    for name, model in models.items():
        after, before = corollary_rows(model), corollary_rows(model, tables=starts(model))
        both = after.assign(untrained=before["cosine"])
        columns = {"cosine": "|cosine|", "direction": "|mean cosine|", "untrained": "untrained"}
        lines.append(_means(both, columns, name))
    return pd.concat(lines).set_index(["arm", "relation"])


def dependence_table(models: Models) -> pd.DataFrame:
    """What the model knows of the dependence at ⋄...⋄: |ln OR| of the world and of the model, and the part learned."""
    columns = {"true": "world's |ln OR|", "model": "model's", "part": "part learned", "opening": "|□|/S"}
    lines = [_means(corollary_rows(model), columns, name) for name, model in models.items()]
    return pd.concat(lines).set_index(["arm", "relation"])


def known_table(model: Simulation) -> pd.DataFrame:
    """How the dependence of adjacent concepts is learned in contexts that know none, one or more of the other concepts.

    Returns:
        By the number of known concepts: |f(d)|; the |□|/S that exact log-odds need there, mean |ln OR|/(|f(d)| S); the
        part learned, the slope of f(d)·□_ij g(c) on ln OR_ij(c), with its standard error over seeds; and the KL
        divergence over the total correlation, median over seeds.
    """
    points, lines = context_points(model), []
    for known, ratio in missing_by_known(model).items():
        part = points[points["adjacent"] & (points["known"] == known)]
        slope = part.groupby("seed")[["true", "model"]].apply(_regression)
        found = estimate(slope.to_numpy(float))
        lines.append(
            {
                "known": known,
                "|f(d)|": part["norm"].mean(),
                "need |□|/S": part["need"].mean(),
                "part learned": found.mean,
                "part learned ±": found.stderr,
                "KL / TC": ratio,
            }
        )
    return pd.DataFrame(lines).set_index("known")


def missing_by_known(model: Simulation) -> dict[int, float]:
    """Σ p(d) KL(d) over Σ p(d) TC(d) of the contexts with so many known concepts, median over seeds; m − 2 at most."""
    population, (embedding, unembedding) = model.runs[0].batch.population, tables_of(model)
    log_model = torch.log_softmax(embedding @ unembedding.mT, dim=-1).cpu().numpy()
    target = population.target
    log_target = np.log(target, where=target > 0, out=np.zeros_like(target))
    missing = population.weights * (target * (log_target - log_model)).sum(axis=-1)
    tied = population.weights * interaction.total_correlation(population)
    count = (population.contexts != UNKNOWN).sum(axis=1)
    rows = {known: count == known for known in range(population.concepts - 1)}
    return {
        known: float(np.median(missing[:, row].sum(axis=1) / tied[:, row].sum(axis=1))) for known, row in rows.items()
    }


def explicit_table(model: Simulation, scales: Sequence[float] = SCALES) -> pd.DataFrame:
    """The explicit model of the arm's worlds at each T: its fit, Theorem 7's products, and its squares.

    Returns:
        For each T means over seeds of the KL divergence in nats, of the largest |gap| and |product| of Theorem 7, of
        |cos(Δg_i(c), Δg_j(c))|, of |□|/S and of the departure, and the largest ratio of |□|/S to its lower bound.
    """
    batch = model.runs[0].batch
    cases = theorem_cases(batch.population.tokens, batch.population.contexts)
    lines = []
    for scale in scales:
        tables = interaction.explicit_model(batch.population, scale)
        gaps = log_odds_gaps(batch.population, *tables, cases)
        squares = corollary_rows(model, tables=tables)
        lines.append(
            {
                "T": scale,
                "KL": max(0.0, _kl(model, *tables).mean()),  # rounding can go below
                "largest gap": np.abs(gaps).max(),
                "largest product": np.abs(gaps[..., 0] - gaps[..., 1]).max(),
                "|cosine|": squares["cosine"].mean(),
                "|□|/S": squares["opening"].mean(),
                "departure": squares["departure"].mean(),
                "over bound": (squares["opening"] / squares["need"]).max(),
            }
        )
    return pd.DataFrame(lines).set_index("T")


def straight_table(models: Models) -> pd.DataFrame:
    """KL divergence over the product floor, medians over seeds: as trained, and with every square closed.

    Returns:
        For each arm with dependence: the floor, KL / floor, the seeds below it; the same for the straightened g.
    """
    lines = []
    for name, model in models.items():
        population = model.runs[0].batch.population
        floor = interaction.product_floor(population)
        if floor.max() < 1e-9:
            continue  # independent concepts: no floor to stand above
        trained = model.runs[0].trained
        straight = interaction.straightened(trained.unembedding, population.tokens)
        ratios = [_kl(model, trained.embedding, g) / floor for g in (trained.unembedding, straight)]
        lines.append(
            {"arm": name, "floor (nats)": np.median(floor)}
            | {
                f"{word}, KL / floor": np.median(ratio)
                for word, ratio in zip(("trained", "closed"), ratios, strict=True)
            }
            | {
                f"{word}, below": int((ratio < 1).sum())
                for word, ratio in zip(("trained", "closed"), ratios, strict=True)
            }
        )
    return pd.DataFrame(lines).set_index("arm")


def claims(
    models: Models | None = None,
    record: Record | None = None,
    *,
    explicit: pd.DataFrame | None = None,
    straight: pd.DataFrame | None = None,
    known: pd.DataFrame | None = None,
) -> list[Claim]:
    """The chapter's claims; what is not given is computed as the chapter does."""
    record = record or recorded()
    models = models or trained(record)
    explicit = explicit_table(models["fully connected"]) if explicit is None else explicit
    straight = straight_table(models) if straight is None else straight
    known = known_table(models["random"]) if known is None else known
    return [
        made.theorem_7(models),
        made.theorem_7_graph(models),
        made.corollary_8(models, record),
        made.contradiction(models, record),
        made.price(known),
        made.pinned(record, explicit),
        made.product(straight),
        made.rate(record),
    ]


def _means(rows: pd.DataFrame, columns: dict[str, str], arm: str) -> pd.DataFrame:
    """Mean and standard error over seeds of some columns, one line for each relation, in the order of `RELATIONS`."""
    lines = []
    for name in [*(name for name in RELATIONS if name in set(rows["relation"])), "all"]:
        part = rows[rows["relation"] == name]
        if len(part):
            line: dict[str, object] = {"arm": arm, "relation": name, "seeds": len(part)}
            for column, heading in columns.items():
                found = estimate(part[column].to_numpy(float))
                line |= {heading: found.mean, f"{heading} ±": found.stderr}
            lines.append(line)
    return pd.DataFrame(lines)


def _regression(points: pd.DataFrame) -> float:
    """The slope of the model's values on the world's, through the origin."""
    return float((points["true"] * points["model"]).sum() / points["true"].pow(2).sum())


def _line(found: Comparison) -> dict[str, object]:
    """A comparison as cells of a table."""
    cells = {"difference": found.difference, "low": found.low, "high": found.high}
    return cells | {"equivalent": "yes" if found.verdict == "reproduced" else "no"}


def _tenth(pace: Pace) -> Pace:
    """A tenth of the clock at the same step."""
    return Pace(pace.step_size, max(1, pace.steps // 10))


def _kl(model: Simulation, embedding: Tensor, unembedding: Tensor) -> Float[np.ndarray, " seeds"]:
    """KL divergence of each seed, nats, of tables put in place of the trained ones."""
    population = model.runs[0].batch.population
    loss = PopulationLoss.of(population, dtype=embedding.dtype, device=str(embedding.device))
    return np.asarray(loss.value((embedding, unembedding)).cpu().numpy() - population.entropy)
