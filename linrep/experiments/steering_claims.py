"""The claims of the chapter on steering, from its record, by the rules of `linrep.experiments.steering`."""

import pandas as pd

from linrep.claims import Claim, Word
from linrep.experiments import steering_views as views
from linrep.experiments.steering import CONTROLS, DIRECTIONS, KL, NAT

LEAKS = (("causal", "context"), ("context", "euclidean"))
COSTS = (("fisher", "causal"), ("causal", "context"), ("context", "euclidean"))

PART = 5
"""Every control has to stay below this part (a fifth) of the weakest direction."""

SHORT = 0.1
"""By how much a steered state may prefer the word less often than a real context does."""

WHERE = "steering:sec-steering-claims"
HYPOTHESES = "SmolLM2-135M, 21 concepts, held-out words, h after the final norm"


def claims() -> list[Claim]:
    """The claims of the chapter, from its record."""
    return [
        leak(views.compared(NAT, "selectivity", LEAKS), views.table(NAT, DIRECTIONS, ["selectivity"])),
        cost(views.compared(KL, "target", COSTS), views.table(KL, DIRECTIONS, ["target"])),
        controls(views.table(KL, DIRECTIONS, ["target"]), views.table(KL, CONTROLS, ["target"])),
        success(views.success(["causal"])),
    ]


def leak(differences: pd.DataFrame, means: pd.DataFrame) -> Claim:
    """New: both paired differences of selectivity are above zero for certain; different: one is below for certain."""
    return Claim(
        key="steering-leak",
        statement="Whitened word directions leave other concepts' words alone more than context directions do, and "
        "these more than plain word directions.",
        source="ours",
        hypotheses=HYPOTHESES,
        verdict=_ordered(differences),
        measured="held-out target over mean |change| of other concepts' words, causal direction",
        number=float(means["selectivity"]["causal"]),
        broken="causal: the Euclidean direction of the same words",
        control=float(means["selectivity"]["euclidean"]),
        where=WHERE,
    )


def cost(differences: pd.DataFrame, means: pd.DataFrame) -> Claim:
    """New: all three paired differences of the target are above zero for certain; different: one is below."""
    return Claim(
        key="steering-cost",
        statement="At an equal change of the forecast elsewhere the Fisher direction moves the concept's words most, "
        "then causal, context and Euclidean.",
        source="ours",
        hypotheses=f"{HYPOTHESES}, KL 0.1 nats at 100 contexts of other concepts",
        verdict=_ordered(differences),
        measured="held-out target at KL 0.1, Fisher direction, nats",
        number=float(means["target"]["fisher"]),
        broken="Fisher: the Euclidean direction of the same words",
        control=float(means["target"]["euclidean"]),
        where=WHERE,
    )


def controls(means: pd.DataFrame, others: pd.DataFrame) -> Claim:
    """New: every control's upper end is below a fifth of the lowest lower end; different: one lies wholly above it."""
    bound = float(means["low"].min()) / PART
    return Claim(
        key="steering-controls",
        statement="Only directions of the concept move its held-out words; others at the same cost do not.",
        source="ours",
        hypotheses=f"{HYPOTHESES}, KL 0.1 nats",
        verdict=_verdict(bool((others["high"] < bound).all()), bool((others["low"] > bound).any())),
        measured="held-out target at KL 0.1, the smallest mean of four directions, nats",
        number=float(means["target"].min()),
        broken="the concept: random vector, other concept, words as frequent; the largest mean",
        control=float(others["target"].max()),
        where=WHERE,
    )


def success(row: pd.DataFrame) -> Claim:
    """New: the causal direction falls short of context 1 by less than 0.1 for certain; different: by more."""
    line = row.to_dict("index")["causal"]
    return Claim(
        key="steering-success",
        statement="A step along the causal direction, as long as contexts go, makes a context prefer held-out words "
        "of the other value about as often as a context of that value does.",
        source="ours",
        hypotheses=f"{HYPOTHESES}, held-out templates",
        verdict=_verdict(float(line["low"]) > -SHORT, float(line["high"]) < -SHORT),
        measured="share of contexts 0 that prefer word 1 once steered",
        number=float(line["steered"]),
        broken="steering: the same contexts, not steered",
        control=float(line["before"]),
        where=WHERE,
    )


def _ordered(differences: pd.DataFrame) -> Word:
    """New when every interval is above zero, different when one is below."""
    return _verdict(bool((differences["low"] > 0).all()), bool((differences["high"] < 0).any()))


def _verdict(holds: bool, against: bool) -> Word:
    """The word of a claim of ours."""
    return "new" if holds else "different" if against else "undecided"
