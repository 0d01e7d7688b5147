"""Theorem 3: gaps of the log-odds, and projections on the span of the contexts that leave a concept unknown.

The worlds have m = 3 concepts with Bernoulli parameters from 0.2 to 0.4, so that no log-odds are near zero, and either
no edge (independent concepts, the theorem's case) or every edge (the control).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.experiments.log_odds_explicit import divergence, unembedding_cosine
from linrep.experiments.log_odds_time import PROB
from linrep.pilot import Pace, halved
from linrep.population import Population, complete_population
from linrep.setting import Setting
from linrep.simulate import setting_pace, simulate
from linrep.stats import estimate
from linrep.theory import explicit, log_odds, spans
from linrep.theory.explicit import Pair

INDEPENDENT = Setting(concepts=3, edges=0, prob=PROB)
DEPENDENT = Setting(concepts=3, edges=1, prob=PROB)

TRAINED = {
    "trained, independent, k = 3": INDEPENDENT,
    "trained, independent, k = 8": Setting(concepts=3, dim=8, edges=0, prob=PROB),
    "trained, dependent, k = 3": DEPENDENT,
}
COLUMNS = {
    "kl": "KL",
    "agreeing": "agreeing",
    "contradicting": "contradicting",
    "dispersion": "dispersion",
    "cosine": "projected",
    "unembedding": "U",
}
"""Columns of the per-seed tables to their headings in the chapter."""

SHARPNESS = 10.0


def paces() -> dict[str, Pace]:
    """Step and steps of every trained arm, by the rules of `linrep.pilot`."""
    return {arm: setting_pace(setting) for arm, setting in TRAINED.items()}


def theorem3_arms(found: Mapping[str, Pace] | None = None, *, seeds: range = range(20)) -> dict[str, pd.DataFrame]:
    """Every arm of Theorem 3's experiment, one row per seed, averaged over the concepts.

    Explicit arms are the penalised logits with five unseen dimensions, the free arm has arbitrary logits wherever
    token and context contradict each other, both at T = 10; trained arms end at the clock rule.

    Args:
        found: the `paces` of the trained arms; None to find them.

    Returns:
        Columns seed, kl, agreeing, contradicting (gaps to Theorem 3's ℓ_i, nats), dispersion and cosine (of the
        projections on S_i), unembedding (U, nothing projected); of trained arms also fitted and monotone.
    """
    arms = {
        "explicit, independent": _rows(*_made(INDEPENDENT, seeds, _unseen), seeds),
        "explicit, dependent": _rows(*_made(DEPENDENT, seeds, _unseen), seeds),
        "free, independent": _rows(*_made(INDEPENDENT, seeds, _free), seeds),
    }
    return arms | _trained_arms(paces() if found is None else found, seeds)


def step_effect(arms: Mapping[str, pd.DataFrame], found: Mapping[str, Pace], *, seeds: range = range(20)) -> float:
    """The largest change that half the step at the same clock makes to a mean of a trained arm, gaps and cosines."""
    halves = _trained_arms({arm: halved(pace) for arm, pace in found.items()}, seeds)
    names = [name for name in COLUMNS if name != "kl"]
    return float(max((arms[arm][names].mean() - half[names].mean()).abs().max() for arm, half in halves.items()))


def _trained_arms(found: Mapping[str, Pace], seeds: range) -> dict[str, pd.DataFrame]:
    """The trained arms of `theorem3_arms` at given paces."""
    arms = {}
    for arm, pace in found.items():
        population, tables, flags = _trained(TRAINED[arm], seeds, pace)
        arms[arm] = _rows(population, tables, seeds).assign(**flags)
    return arms


def fair_table(*, seeds: range = range(20), prob: Sequence[float] = (0.3, 0.5)) -> pd.DataFrame:
    """How much the contexts of S_i see of the steering vectors, when all concepts are independent of one probability.

    Returns:
        One row for each probability: the mean of `spans.seen_share` over the seeds for explicit models, and with its
        standard error over the fitted seeds, which are counted, for trained ones (m = k = 3, clock rule).
    """
    lines = []
    for p in prob:
        setting = Setting(concepts=3, edges=0, prob=(p, p))
        made = _shares(*_made(setting, seeds, _unseen))
        population, tables, flags = _trained(setting, seeds)
        trained = estimate(_shares(population, tables)[flags["fitted"].to_numpy(bool)])
        line = {"p": p, "explicit": float(made.mean()), "trained": trained.mean, "±": trained.stderr}
        lines.append(line | {"fitted": trained.count})
    return pd.DataFrame(lines).set_index("p")


def _unseen(joint: Float[np.ndarray, " tokens"], population: Population, seed: int) -> Pair:
    """The penalised model with five dimensions of its unembeddings that no embedding sees."""
    tables = explicit.explicit_tables(joint, population.contexts, sharpness=SHARPNESS, scale=1.0)
    return explicit.with_unseen_dimensions(tables, dimensions=5, size=1.0, seed=seed)


def _free(joint: Float[np.ndarray, " tokens"], population: Population, seed: int) -> Pair:
    """The free logits, with balanced factors; all of 2^m − 1 dimensions."""
    return explicit.balanced_tables(explicit.free_logits(joint, population.contexts, sharpness=SHARPNESS, seed=seed))


def _made(
    setting: Setting, seeds: range, model: Callable[[Float[np.ndarray, " tokens"], Population, int], Pair]
) -> tuple[Population, list[Pair]]:
    """The worlds of a setting, and an explicit model for each."""
    population = complete_population([setting.world(seed) for seed in seeds])
    pairs = zip(population.joint, seeds, strict=True)
    return population, [model(joint, population, seed) for joint, seed in pairs]


def _trained(
    setting: Setting, seeds: range, pace: Pace | None = None
) -> tuple[Population, list[Pair], Mapping[str, pd.Series]]:
    """The worlds of a setting, its trained tables, and which seeds are fitted and monotone."""
    simulation = simulate(setting, seeds=seeds, pace=pace)
    (run,) = simulation.runs
    table = simulation.per_seed()
    tables = zip(run.trained.embedding.numpy(), run.trained.unembedding.numpy(), strict=True)
    return run.batch.population, list(tables), {name: table[name] for name in ("fitted", "monotone")}


def _rows(population: Population, tables: Sequence[Pair], seeds: range) -> pd.DataFrame:
    """One row per seed of `theorem3_arms`."""
    found = [_measures(population, place, pair) for place, pair in enumerate(tables)]
    means = pd.DataFrame(np.array(found), columns=["agreeing", "contradicting", "dispersion", "cosine"])
    linearity = [unembedding_cosine(population, unembedding) for _, unembedding in tables]
    return means.assign(seed=list(seeds), kl=divergence(population, tables), unembedding=linearity)


def _measures(population: Population, place: int, tables: Pair) -> Float[np.ndarray, " 4"]:
    """Gaps to ℓ_i on agreeing and on contradicting pairs, dispersion and cosine of the projections: mean over i."""
    asked = log_odds.marginal_log_odds(population.joint[place], population.tokens)
    found = []
    for concept, pairs in enumerate(population.token_pairs):
        rows = log_odds.contexts_without(population.contexts, concept)
        agrees = log_odds.agrees_off(population.contexts[rows], population.tokens, pairs, concept)
        odds = log_odds.model_log_odds(tables[0][rows], tables[1], pairs)
        gap = log_odds.log_odds_gap(odds, asked[concept], agrees)
        vectors = tables[1][pairs[:, 0]] - tables[1][pairs[:, 1]]
        basis = spans.span_basis(tables[0][rows])
        spread = spans.dispersion(spans.project(vectors, basis))
        found.append((gap.agreeing, gap.contradicting, spread, spans.projected_cosine(vectors, basis)))
    return np.asarray(np.mean(found, axis=0))


def _shares(population: Population, tables: Sequence[Pair]) -> Float[np.ndarray, " models"]:
    """`spans.seen_share` of each model, mean over the concepts."""
    found = [
        [
            spans.seen_share(
                f[log_odds.contexts_without(population.contexts, concept)], g[pairs[:, 0]] - g[pairs[:, 1]]
            )
            for concept, pairs in enumerate(population.token_pairs)
        ]
        for f, g in tables
    ]
    return np.asarray(np.mean(found, axis=1))
