"""The claims of the chapter on contexts against words: each verdict follows from numbers, by the rule in its docstring.

The first two rules were written when the numbers of SmolLM2-135M were known; what counts as matched, and the nine of
ten, were fixed before. That of nonsense concepts was written before they were measured.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.claims import Claim
from linrep.experiments.unembedding_claims import ARM, MODEL
from linrep.llm import embedding
from linrep.llm.contexts import first_fillings, read_contexts
from linrep.llm.embedding import Sides
from linrep.llm.model import load_model
from linrep.llm.nonsense import nonsense_cosines
from linrep.llm.words import read_pairs, tokenise
from linrep.stats import MARGIN

MOST = 0.9
"""The part of the concepts that was expected to be nearest to its own words."""

LEVEL = 0.05
_NAMES = {"euclidean": "Euclidean", "causal": "causal"}


def claims(
    arms: pd.DataFrame | None = None,
    evidence: pd.DataFrame | None = None,
    nonsense: Float[np.ndarray, " draws"] | None = None,
) -> list[Claim]:
    """The claims of the chapter, all three tables given, or none.

    Args:
        arms: of `embedding.summary`. evidence: of `embedding.evidence_table`, Euclidean.
        nonsense: the largest of each row of `nonsense_cosines`, Euclidean.
    """
    if arms is None or evidence is None or nonsense is None:
        arms, evidence, nonsense = _tables()
    return [aligned(arms, evidence), nearest(arms, "euclidean"), nearest(arms, "causal"), meant(evidence, nonsense)]


def aligned(arms: pd.DataFrame, evidence: pd.DataFrame) -> Claim:
    """Reproduced: above permuted labels at level .05, above the untrained model's, and every interval above zero."""
    own, p = arms["own"], float(arms["p"][ARM, "euclidean"])
    number, control = float(own[ARM, "euclidean"]), float(own["untrained", "euclidean"])
    certain = p <= LEVEL and bool((evidence["low"] > 0).all())
    return Claim(
        key="lm-aligned",
        statement="A concept's direction among contexts lies along its direction among words.",
        source="paper, Figure 4",
        hypotheses="H1 SmolLM2-135M, H2 21 English concepts by context pairs of ours",
        verdict="reproduced" if certain and number > control + MARGIN else "undecided",
        measured="cosine of a concept's two directions, Euclidean, mean of 21 concepts",
        number=number,
        broken="H1: the same model untrained, a third of the pairs",
        control=control,
        where="embedding:sec-embedding-one",
    )


def nearest(arms: pd.DataFrame, product: str) -> Claim:
    """New: nine of ten concepts have their largest signed cosine with their own words, else different."""
    shares = arms["matched"] / arms["concepts"]
    number, control = (float(shares[arm, product]) for arm in (ARM, "untrained"))
    return Claim(
        key=f"lm-nearest-{product}",
        statement=f"Under the {_NAMES[product]} product the words nearest "
        "to a concept's contexts are its own, for nine concepts of ten.",
        source="ours",
        hypotheses="H1 SmolLM2-135M, H2 21 English concepts against the words of 27",
        verdict="new" if number >= MOST else "different",
        measured="share of the 21 concepts whose largest cosine is with their own words",
        number=number,
        broken="H1: the same model untrained, a third of the pairs",
        control=control,
        where="embedding:sec-embedding-one",
    )


def meant(evidence: pd.DataFrame, nonsense: Float[np.ndarray, " draws"]) -> Claim:
    """New: nine of ten concepts have more of their own words than 95 % of nonsense ones of any; else different.

    Args:
        nonsense: the largest cosine of each nonsense concept.
    """
    bound = float(np.quantile(nonsense, 1 - LEVEL))
    number = float((evidence["own"] > bound).mean())
    return Claim(
        key="lm-nonsense",
        statement="Pairs of unrelated contexts have less in common with any of 27 concepts' words than a concept's "
        "contexts have with its own.",
        source="ours",
        hypotheses="H1 pairs that differ in one concept, H2 SmolLM2-135M",
        verdict="new" if number >= MOST else "different",
        measured="share of the 21 concepts whose own cosine is above what 95 % of nonsense concepts have at most",
        number=number,
        broken="H1: the share of nonsense concepts that is above it",
        control=float((nonsense > bound).mean()),
        where="embedding:sec-embedding-chance",
    )


def _tables() -> tuple[pd.DataFrame, pd.DataFrame, Float[np.ndarray, " draws"]]:
    """What the chapter computes."""
    model, concepts = load_model(MODEL), read_contexts()
    words = [tokenise(concept, model.tokenizer) for concept in read_pairs()]
    arms: Mapping[str, Mapping[str, Sides]] = {
        ARM: embedding.sides(model, concepts, words),
        "untrained": embedding.sides(model.untrained(seed=0), first_fillings(concepts), words),
    }
    trained = arms[ARM]["euclidean"]
    nonsense = nonsense_cosines(model, concepts, trained, product="euclidean")
    return embedding.summary(arms), embedding.evidence_table(trained), nonsense.max(axis=1)
