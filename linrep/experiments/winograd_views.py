"""What the chapters show of Winograd-like pairs: the record's tables, and a run here and now that must agree."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.experiments import winograd as experiment
from linrep.experiments.table_views import recorded
from linrep.llm import winograd
from linrep.llm.contexts import read_winograd
from linrep.llm.model import load_model
from linrep.llm.winograd import Answers
from linrep.llm.words import read_pairs, tokenise
from linrep.results import require_agreement

KEYS = {"pairs": ["arm", "pair"], "summary": ["arm", "product"], "top": ["arm", "rank"], "largest": ["arm", "null"]}
"""The columns that name a row of each table."""

HELD = {
    "pairs": ["own", "|others|", "nearest"],
    "summary": ["own", "others", "|own|", "|others|", "nearest"],
    "largest": ["largest", "95 %"],
}
"""The columns of each table that a run here and now has to have as on record."""


def body(name: str = experiment.NAME) -> dict[str, Any]:
    """What a record holds of Winograd-like pairs: that of its own, or the part of another one, such as Gemma's."""
    found = recorded(name).body
    return dict(found if name == experiment.NAME else found[experiment.NAME])


def table(part: str, name: str = experiment.NAME) -> pd.DataFrame:
    """One of `KEYS` of a record."""
    return pd.DataFrame(body(name)[part]).set_index(KEYS[part])


def summary(name: str = experiment.NAME, *, product: str = "euclidean") -> pd.DataFrame:
    """Of `linrep.llm.winograd.summary` under one product, by arm."""
    found = table("summary", name).reset_index()
    return found[found["product"] == product].drop(columns="product").set_index("arm")


def largest(name: str = experiment.NAME) -> pd.DataFrame:
    """Of `linrep.llm.winograd.largest_table`, by arm and null."""
    return table("largest", name)


def further() -> pd.DataFrame:
    """Signed and nearest of further untrained models, Euclidean, by seed."""
    return pd.DataFrame(body()["further"]).set_index("seed")[["own", "p", "|p|", "nearest", "p, nearest"]]


@dataclass(frozen=True, eq=False)
class Live:
    """The trained model, measured here and now.

    Attributes:
        answers: the pairs that are used.
        cosines: Euclidean, of each pair's shift with each pair's answers.
        tables: those of `KEYS`.
    """

    answers: Answers
    cosines: Float[np.ndarray, "pairs pairs"]
    tables: dict[str, pd.DataFrame]


def live(*, tolerance: float) -> Live:
    """Measure all pairs on the trained model, and hold the numbers to the record.

    Raises:
        LinrepError: a number differs from that on record by more than the tolerance.
    """
    model = load_model(experiment.MODEL)
    answers = winograd.read_answers(read_winograd(), model.tokenizer)
    words = [tokenise(concept, model.tokenizer) for concept in read_pairs()]
    sides, concepts = winograd.answer_sides(model, answers), winograd.concept_sides(model, answers, words)
    found = experiment.tables(model, answers, sides, concepts)
    for part, columns in HELD.items():
        rows = found[part].reset_index()
        require_agreement(pd.DataFrame(body()[part]), rows, on=KEYS[part], columns=columns, tolerance=tolerance)
    return Live(
        answers, sides["euclidean"].cosines, {part: found[part].reset_index().set_index(KEYS[part]) for part in KEYS}
    )
