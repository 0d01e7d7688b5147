"""The claims of the chapter on layers, from its record, by the rules of `linrep.llm.layers`."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from linrep.claims import Claim, Word
from linrep.experiments import layers_views as views
from linrep.llm.layers import PRODUCTS
from linrep.stats import MARGIN

STEADY = 0.9
"""Spearman's correlation of the mean own cosine with the layer that a rise must have."""

LAST = 3
"""The layers at the end within which the peak was predicted."""

WHERE = "layers:sec-layers-claims"
HYPOTHESES = "SmolLM2-135M, 21 concepts, logit lens"

Tables = Mapping[str, pd.DataFrame]
"""A table for each of `PRODUCTS`."""


def claims() -> list[Claim]:
    """The claims of the chapter, from its record."""
    trained = {product: views.by_layer("lens", product) for product in PRODUCTS}
    untrained = {product: views.untrained("lens", product) for product in PRODUCTS}
    return [
        rises(trained, untrained, views.part("rises", view="lens")),
        peaks(trained, untrained, views.part("peaks", view="lens")),
        gap(trained),
        empty(trained, untrained),
    ]


def rises(trained: Tables, untrained: Tables, rows: pd.DataFrame) -> Claim:
    """New: own(L) less own(L/2) is above the margin for certain, and the order of layers is nearly that of cosines.

    Args:
        rows: of `linrep.llm.layers.rise`, by product.
    """
    steady = min(float(stats.spearmanr(table.index, table["own"]).statistic) for table in trained.values())
    certain = bool((rows["low"] > MARGIN).all()) and steady >= STEADY
    against = bool((rows["high"] < MARGIN).any())
    control = max(_largest_rise(table) for table in untrained.values())
    return Claim(
        key="layers-rise",
        statement="Contexts turn towards the directions of their concept's words step by step through the network.",
        source="ours",
        hypotheses=HYPOTHESES,
        verdict=_verdict(certain, against),
        measured="mean own cosine of the last layer less that of the middle one, the smaller of two products",
        number=float(rows["rise"].min()),
        broken="trained: three untrained models, the largest |difference|",
        control=control,
        where=WHERE,
    )


def peaks(trained: Tables, untrained: Tables, rows: pd.DataFrame) -> Claim:
    """New: the interval of the peak's layer lies within the last three; different: before them, for some product.

    Args:
        rows: of `linrep.llm.layers.peak`, by product.
    """
    first = max(len(table) for table in trained.values()) - LAST
    return Claim(
        key="layers-peak",
        statement="Alignment is largest in the last three layers.",
        source="ours",
        hypotheses=HYPOTHESES,
        verdict=_verdict(bool((rows["low"] >= first).all()), bool((rows["high"] < first).any())),
        measured="layer with the largest mean own cosine, of 0 to 30, the smaller of two products",
        number=float(rows["peak"].min()),
        broken="trained: three untrained models, the first layer in which one of them has its largest",
        control=min(float(table.idxmax().min()) for table in untrained.values()),
        where=WHERE,
    )


def gap(trained: Tables) -> Claim:
    """New: from the middle on the lower end of the own cosine is above others at every layer."""
    upper = {product: table[table.index >= (len(table) - 1) // 2] for product, table in trained.items()}
    clear = all(bool((table["low"] > table["others"]).all()) for table in upper.values())
    against = any(bool((table["high"] < table["others"]).any()) for table in upper.values())
    return Claim(
        key="layers-gap",
        statement="From the middle of the network on contexts share more with their own concept's words than with "
        "other words.",
        source="ours",
        hypotheses=HYPOTHESES,
        verdict=_verdict(clear, against),
        measured="mean own cosine at the middle layer, the smaller of two products",
        number=min(float(table["own"].iloc[0]) for table in upper.values()),
        broken="own: mean |cosine| with other word concepts there, the larger of two products",
        control=max(float(table["others"].iloc[0]) for table in upper.values()),
        where=WHERE,
    )


def empty(trained: Tables, untrained: Tables) -> Claim:
    """New: no untrained model is beyond the margin at any layer, the trained one is at the last; different: one is."""
    control = max(float(table.abs().to_numpy().max()) for table in untrained.values())
    number = min(float(table["own"].iloc[-1]) for table in trained.values())
    return Claim(
        key="layers-untrained",
        statement="Without training there is no alignment at any layer.",
        source="ours",
        hypotheses=HYPOTHESES,
        verdict=_verdict(control <= MARGIN < number, control > MARGIN),
        measured="mean own cosine at the last layer, trained, the smaller of two products",
        number=number,
        broken="trained: three untrained models, all layers, the largest |mean own cosine|",
        control=control,
        where=WHERE,
    )


def _largest_rise(table: pd.DataFrame) -> float:
    """The largest |own(L) less own(L/2)| of the untrained models."""
    middle = (len(table) - 1) // 2
    return float(np.abs(table.iloc[-1] - table.iloc[middle]).max())


def _verdict(holds: bool, against: bool) -> Word:
    """The word of a claim of ours."""
    return "new" if holds else "different" if against else "undecided"
