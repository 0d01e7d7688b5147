"""The claims of the chapter on Winograd-like pairs, from its record: each verdict follows by the rule in its docstring.

SmolLM2, the Euclidean product, all pairs. Level 0.05 throughout. The rules were fixed before the record was made.
"""

import pandas as pd

from linrep.claims import Claim, Word
from linrep.experiments import winograd_views as views
from linrep.experiments.winograd import MODEL
from linrep.stats import LEVEL

HALF = 0.5
"""A share of pairs below this is a minority."""


def claims() -> list[Claim]:
    """The claims of the chapter, from its record."""
    summary = views.summary()
    return [own(summary), nearest(summary), largest(views.largest())]


def own(summary: pd.DataFrame) -> Claim:
    """Reproduced: p ≤ 0.05 for signed and for absolute cosines, and the interval is above every untrained model.

    Different: neither p. Else undecided.

    Args:
        summary: of `linrep.llm.winograd.summary`, under one product, by arm.
    """
    trained, untrained = summary.loc[MODEL].to_dict(), summary.drop(MODEL)
    small = [trained["p"] <= LEVEL, trained["|p|"] <= LEVEL]
    clear = trained["low"] > untrained["own"].max()
    verdict: Word = "reproduced" if all(small) and clear else "undecided" if any(small) else "different"
    return Claim(
        key="winograd-own",
        statement="The shift between the contexts of a Winograd-like pair has a larger cosine with the difference of "
        "its own answers than with those of other pairs.",
        source="paper, section 5.2",
        hypotheses="SmolLM2-135M, Euclidean product, pairs of this project",
        verdict=verdict,
        measured=f"mean cosine with the own answers; others {trained['others']:.3f}, in size "
        f"{trained['|own|']:.3f} and {trained['|others|']:.3f}",
        number=float(trained["own"]),
        broken=f"training: the largest of {len(untrained)} untrained models",
        control=float(untrained["own"].max()),
        where="winograd:sec-winograd-own",
    )


def nearest(summary: pd.DataFrame) -> Claim:
    """New: p ≤ 0.05, the share is above that of every untrained model, and below one half.

    Different, since predicted otherwise: one half or more. Else undecided.
    """
    trained, untrained = summary.loc[MODEL].to_dict(), summary.drop(MODEL)
    share, chance = float(trained["nearest"]), float(untrained["nearest"].max())
    verdict: Word = "new" if trained["p, nearest"] <= LEVEL and share > chance else "undecided"
    return Claim(
        key="winograd-nearest",
        statement="More often than by chance, but for a minority of pairs, the nearest of all pairs of answers is "
        "their own.",
        source="ours",
        hypotheses="SmolLM2-135M, Euclidean product, pairs of this project",
        verdict="different" if share >= HALF else verdict,
        measured="share of the pairs whose largest signed cosine is their own",
        number=share,
        broken=f"training: the largest of {len(untrained)} untrained models",
        control=chance,
        where="winograd:sec-winograd-own",
    )


def largest(table: pd.DataFrame) -> Claim:
    """Reproduced: above 95 % of the draws of unrelated contexts. Different: not even above 95 % of normal vectors.

    Else, and where an untrained model has as large a cosine, undecided.

    Args:
        table: of `linrep.llm.winograd.largest_table`, by arm and null.
    """
    trained, untrained = table.loc[MODEL], table.drop(MODEL, level="arm")
    number, before = float(trained["largest"].iloc[0]), float(untrained["largest"].max())
    bounds = trained["95 %"].to_dict()
    verdict: Word = "undecided"
    if number > max(bounds["unrelated contexts"], before):
        verdict = "reproduced"
    elif number <= bounds["normal vectors"]:
        verdict = "different"
    return Claim(
        key="winograd-concepts",
        statement="Some Winograd-like pairs shift the state along the direction of a word concept.",
        source="paper, Table 8",
        hypotheses="SmolLM2-135M, Euclidean product, the largest of all pairs and 27 concepts",
        verdict=verdict,
        measured="largest |cosine| of a pair's shift with a word concept's direction",
        number=number,
        broken="the pairing of contexts: 95 % of draws of as many differences of unrelated contexts are below",
        control=float(bounds["unrelated contexts"]),
        where="winograd:sec-winograd-concepts",
    )
