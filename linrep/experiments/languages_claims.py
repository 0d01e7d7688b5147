"""The claims of the chapter on languages, from the record on Gemma: each verdict follows by the rule in its docstring.

Gemma-3-270M, the Euclidean product, whole paragraphs. The rules were fixed before the record was made.
"""

import pandas as pd

from linrep.claims import Claim, Word
from linrep.experiments import gemma_views as views
from linrep.experiments.gemma import MODEL
from linrep.stats import LEVEL

NULLS = ["random words", "as frequent", "Gaussian"]

KEPT = 0.8
"""The part of the own cosine that other content has to keep, and half of it is what no change of language may have."""

MOST = 0.9
"""The part of the concepts that must be matched, or above their null: as in the chapters on SmolLM2."""


def claims() -> list[Claim]:
    """The claims of the chapter, from its record."""
    trained, untrained = views.evidence(MODEL), views.evidence(views.UNTRAINED)
    nulls = views.nulls(MODEL)
    return [
        matched(trained, untrained, nulls),
        following(trained, nulls),
        content(views.content(MODEL)),
        english(views.english()),
        within(views.unembedding(), views.significant(MODEL)),
    ]


def matched(trained: pd.DataFrame, untrained: pd.DataFrame, nulls: pd.DataFrame) -> Claim:
    """Reproduced: all are matched by absolute cosine, with Holm's p ≤ 0.05, above every null. Different: half or fewer.

    Else undecided.

    Args:
        trained, untrained: of `linrep.llm.languages.evidence_table`. nulls: of `embedding.word_null_table`.
    """
    count = int(trained["|matched|"].sum())
    beyond = bool((nulls["own"] > nulls[NULLS].max(axis=1)).all() and (trained["holm"] <= LEVEL).all())
    clear = beyond and trained["own"].min() > untrained["own"].abs().max()
    verdict: Word = "reproduced" if count == len(trained) and clear else "undecided"
    return Claim(
        key="languages-matched",
        statement="From a text in one language to the same text in another the state moves along the direction between "
        "the words of these languages, more than along any other of 27 concepts.",
        source="paper, Figures 4 and 8 to 11",
        hypotheses="Gemma-3-270M, Euclidean product, one legal text",
        verdict="different" if count <= len(trained) / 2 else verdict,
        measured=f"own cosine, the smallest of {len(trained)} pairs of languages; {count} are the largest of their row",
        number=float(trained["own"].min()),
        broken="training: the same untrained, the largest |cosine|",
        control=float(untrained["own"].abs().max()),
        where="languages:sec-languages-own",
    )


def following(trained: pd.DataFrame, nulls: pd.DataFrame) -> Claim:
    """Reproduced: in every row the next is a pair of languages, and the mean |cosine| with the rest is as by chance.

    Not above what 95 % of random words stay below, on average over the rows. Different: a language is next in half of
    the rows or fewer. Else undecided.
    """
    count = int(trained["next"].isin(trained.index).sum())
    near_zero = trained["rest"].mean() <= nulls["random words"].mean()
    verdict: Word = "reproduced" if count == len(trained) and near_zero else "undecided"
    return Claim(
        key="languages-next",
        statement="After its own words those of other pairs of languages are nearest; other concepts are near zero.",
        source="paper, Figures 4 and 8 to 11",
        hypotheses="Gemma-3-270M, Euclidean product, one legal text",
        verdict="different" if count <= len(trained) / 2 else verdict,
        measured=f"mean |cosine| with other pairs of languages; one of them is next in {count} of {len(trained)} rows",
        number=float(trained["languages"].mean()),
        broken="the concept: mean |cosine| with concepts that are no languages",
        control=float(trained["rest"].mean()),
        where="languages:sec-languages-own",
    )


def content(table: pd.DataFrame) -> Claim:
    """New: with other content every concept keeps 0.8 of its cosine; without a change of language none has 0.4 of it.

    Else undecided.

    Args:
        table: of `linrep.llm.languages.content_table`.
    """
    by = table["|own|"].unstack("arm")
    kept, left = by["other content"] / by["same content"], by["same language"] / by["same content"]
    return Claim(
        key="languages-content",
        statement="It is the language that moves the state: what a paragraph says may differ, and without a change of "
        "language nothing moves.",
        source="ours",
        hypotheses="Gemma-3-270M, Euclidean product, halves of one legal text",
        verdict="new" if kept.min() >= KEPT and left.max() < KEPT / 2 else "undecided",
        measured="own cosine with other content over that with the same, the smallest of 4 pairs of languages",
        number=float(kept.min()),
        broken="the change of language: other content in one language, the largest ratio",
        control=float(left.max()),
        where="languages:sec-languages-content",
    )


def english(summary: pd.DataFrame) -> Claim:
    """Reproduced: at least nine of ten of the English concepts are matched by signed cosine. Else different.

    Args:
        summary: of `linrep.llm.embedding.summary`, under one product, by arm.
    """
    share = summary["matched"] / summary["concepts"]
    return Claim(
        key="languages-english",
        statement="Contexts that flip an English concept move the state along its words, on a second model too.",
        source="paper, section 5.2",
        hypotheses="Gemma-3-270M, Euclidean product, contexts of this project",
        verdict="reproduced" if share[MODEL] >= MOST else "different",
        measured=f"share of {summary['concepts'].iloc[0]} concepts that are matched; mean own cosine "
        f"{summary['own'].to_dict()[MODEL]:.3f}",
        number=float(share[MODEL]),
        broken="training: the same untrained",
        control=float(share[views.UNTRAINED]),
        where="languages:sec-languages-english",
    )


def within(arms: pd.DataFrame, significant: float) -> Claim:
    """Reproduced: nine of ten concepts are above their null at q ≤ 0.05, and untrained they are not. Else different.

    Args:
        arms: of `linrep.llm.summary.arms_table`, under one product, by arm. significant: the share of the concepts.
    """
    trained, untrained = arms.loc[MODEL].to_dict(), arms.loc[views.UNTRAINED].to_dict()
    nothing = abs(untrained["within"] - untrained["shuffled"]) < (trained["within"] - trained["shuffled"]) / 5
    return Claim(
        key="languages-within",
        statement="Word pairs of a concept are parallel beyond what their words share, on a second model too.",
        source="paper, Figure 3",
        hypotheses="Gemma-3-270M, Euclidean product, words of this project",
        verdict="reproduced" if significant >= MOST and nothing else "different",
        measured=f"mean cosine within a concept; {significant:.0%} of the concepts are above their null",
        number=float(trained["within"]),
        broken="the pairs: second words dealt out anew",
        control=float(trained["shuffled"]),
        where="languages:sec-languages-words",
    )
