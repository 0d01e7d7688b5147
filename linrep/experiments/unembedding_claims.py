"""The claims of the chapter on unembeddings: each verdict follows from numbers, by the rule in its docstring.

The rules of the first three were written when the numbers of SmolLM2-135M were known, so that a reader can see how each
verdict comes about; that of the Gaussian matrix before it was measured.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from linrep.claims import Claim, Word
from linrep.llm.model import load_model
from linrep.llm.probe import probe
from linrep.llm.summary import arms_table, within_table
from linrep.llm.word_nulls import gaussian_unembedding
from linrep.llm.words import read_pairs
from linrep.stats import MARGIN

MODEL = "smollm2-135m"
ARM = "SmolLM2-135M"
"""Its name in the chapter's tables."""

MOST = 0.9
"""The part of the concepts that has to be above its null."""

LEVEL = 0.05
DEVIATIONS = 2
"""Standard deviations of random pairs within which a *between* counts as theirs."""


def reports() -> dict[str, Mapping[str, Any]]:
    """The probe on the model, untrained, and with Gaussian rows of the same covariance, by the names of the chapter."""
    model = load_model(MODEL)
    arms = {
        ARM: model,
        "untrained": model.untrained(seed=0),
        "Gaussian": gaussian_unembedding(model, seed=0),
    }
    return {name: probe(each, read_pairs()) for name, each in arms.items()}


def claims(found: Mapping[str, Mapping[str, Any]] | None = None) -> list[Claim]:
    """The claims of the chapter.

    Args:
        found: the reports of `reports`, which are made when they are not given.
    """
    found = reports() if found is None else found
    arms = arms_table(found)
    q = within_table(found[ARM], product="euclidean")["q"]
    return [
        within(arms, float((q <= LEVEL).mean())),
        between(arms, "euclidean"),
        between(arms, "causal"),
        gaussian(arms),
    ]


def within(arms: pd.DataFrame, share: float) -> Claim:
    """Reproduced: nine of ten concepts are above their null, and the mean excess is above the untrained model's.

    Args:
        arms: of `linrep.llm.summary.arms_table`.
        share: of the concepts with q of at most .05.
    """
    excess = arms["within"] - arms["shuffled"]
    number, control = (float(excess[arm, "euclidean"]) for arm in (ARM, "untrained"))
    return Claim(
        key="lm-within",
        statement="The steering vectors of a concept share a direction beyond what their words share.",
        source="paper, Figure 3",
        hypotheses="H1 SmolLM2-135M, H2 27 concepts by word pairs of one token",
        verdict="reproduced" if share >= MOST and number > control + MARGIN else "undecided",
        measured="mean cosine within a concept less that of shuffled partners, mean of 27 concepts",
        number=number,
        broken="H1: the same model untrained",
        control=control,
        where="unembedding:sec-unembedding-within",
    )


def between(arms: pd.DataFrame, product: str) -> Claim:
    """Reproduced within two standard deviations of random pairs, different above by the margin, else undecided."""
    number, control, spread = (float(arms[name][ARM, product]) for name in ("between", "random", "random ±"))
    verdict: Word = "undecided"
    if number <= control + DEVIATIONS * spread:
        verdict = "reproduced"
    elif number > control + MARGIN:
        verdict = "different"
    plain = product == "euclidean"
    return Claim(
        key=f"lm-between-{product}",
        statement="Different concepts are as orthogonal as unrelated words are, under the "
        + ("Euclidean product." if plain else "causal product."),
        source="paper, Figure 3" if plain else "ours",
        hypotheses="H1 SmolLM2-135M, H2 27 concepts by word pairs of one token",
        verdict=verdict,
        measured="mean |cosine| between the directions of different concepts",
        number=number,
        broken="H2: as many random pairs of the same words, mean of 200 draws",
        control=control,
        where="unembedding:sec-unembedding-controls",
    )


def gaussian(arms: pd.DataFrame) -> Claim:
    """New: Gaussian rows have no common direction within a concept, and more than half of *between* less the causal's.

    The covariance alone makes directions of different concepts oblique when rows without meaning show half of what the
    Euclidean product adds to the causal one.
    """
    between = arms["between"]
    number, real = (float(between[arm, "euclidean"] - between[arm, "causal"]) for arm in ("Gaussian", ARM))
    excess = (arms["within"] - arms["shuffled"]).xs("Gaussian", level="arm")
    nothing = bool((excess.abs() < MARGIN).all())
    return Claim(
        key="lm-covariance",
        statement="What makes different concepts oblique under the Euclidean product is mostly the covariance of the "
        "vocabulary, whatever the words mean.",
        source="ours",
        hypotheses="H1 the covariance of SmolLM2-135M's output matrix",
        verdict="new" if nothing and number > real / 2 else "different",
        measured="mean |cosine| between concepts, Euclidean less causal, Gaussian rows of the same covariance",
        number=number,
        broken="H1 in the rows' meaning: the same difference in the model itself",
        control=real,
        where="unembedding:sec-unembedding-controls",
    )
