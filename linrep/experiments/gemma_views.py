"""What the chapter on languages shows of the record on Gemma, and paragraphs run here and now that must agree."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from linrep.experiments.gemma import MODEL, NAME, SMALL
from linrep.experiments.gemma import UNTRAINED as SEEDS
from linrep.experiments.table_views import recorded
from linrep.llm.contexts import LANGUAGE_CONCEPTS, language_contexts
from linrep.llm.languages import of_fair_length, paragraph_rows
from linrep.llm.model import load_model
from linrep.llm.words import read_pairs, tokenise
from linrep.results import require_agreement
from linrep.stats import LEVEL

UNTRAINED, SMALL_UNTRAINED = (f"{name}, untrained, seed {SEEDS[0]}" for name in (MODEL, SMALL))
MODELS = {MODEL: "Gemma", UNTRAINED: "Gemma, untrained", SMALL: "SmolLM2", SMALL_UNTRAINED: "SmolLM2, untrained"}
"""Names of the record to names in the tables here."""


def part(name: str, **where: str) -> pd.DataFrame:
    """A table of the record, the rows that have these values in these columns, without the columns."""
    found = pd.DataFrame(recorded(NAME).body[name])
    for column, value in where.items():
        found = found[found[column] == value].drop(columns=column)
    return found


def models() -> pd.DataFrame:
    """The models with package, licence, and the beginning of the SHA-256 of the weights file."""
    found = part("models").set_index("name")
    return found.assign(sha256=found["sha256"].str[:12])


def kept() -> pd.DataFrame:
    """Paragraphs and word pairs of each language concept, on both models."""
    found = part("kept")
    found = found[found["model"].isin([MODEL, SMALL])]
    return found.assign(model=found["model"].map(MODELS)).set_index(["model", "concept"])


def evidence(model: str, text: str = "whole") -> pd.DataFrame:
    """Of `linrep.llm.languages.evidence_table`."""
    return part("evidence", model=model, text=text).set_index("concept")


def arms(product: str = "euclidean") -> pd.DataFrame:
    """Mean own cosine of the four languages with p, others, and matches, for each model and text."""
    found = part("summary", product=product)
    found = found.assign(model=found["model"].map(MODELS)).set_index(["model", "text"])
    return found[["own", "permuted", "p", "others", "matched"]]


def products(model: str, text: str = "whole") -> pd.DataFrame:
    """The same for one model under each product."""
    found = part("summary", model=model, text=text).set_index("product")
    return found[["own", "permuted", "p", "others", "matched"]]


def cosines(model: str, text: str = "whole") -> pd.DataFrame:
    """Cosine of each language concept's direction with that of each word concept, the languages first."""
    return part("cosines", model=model, text=text).set_index("concept")


def nulls(model: str) -> pd.DataFrame:
    """Of `linrep.llm.embedding.word_null_table`."""
    return part("nulls", model=model).set_index("concept")


def content(model: str) -> pd.DataFrame:
    """Of `linrep.llm.languages.content_table`."""
    return part("content", model=model).set_index(["concept", "arm"])


def english(product: str = "euclidean") -> pd.DataFrame:
    """Of `linrep.llm.embedding.summary` on the English concepts, by arm."""
    return part("english summary", product=product).set_index("arm")


def english_evidence(model: str = MODEL) -> pd.DataFrame:
    """Of `linrep.llm.embedding.evidence_table` on the English concepts."""
    return part("english evidence", model=model).set_index("concept")


def unembedding(product: str = "euclidean") -> pd.DataFrame:
    """Of `linrep.llm.summary.arms_table`, by arm."""
    return part("arms", product=product).set_index("arm")


def within(model: str, product: str = "euclidean") -> pd.DataFrame:
    """Of `linrep.llm.summary.within_table`."""
    return part("within", model=model, product=product).set_index("concept")


def significant(model: str) -> float:
    """The share of word concepts above their null."""
    return float((within(model)["q"] <= LEVEL).mean())


def matrix(model: str, product: str, order: Sequence[str]) -> Float[np.ndarray, "concepts concepts"]:
    """Mean cosines between the steering vectors of each two word concepts, in the order given."""
    found = part("matrix", model=model, product=product).set_index("concept")
    return found.loc[list(order), list(order)].to_numpy(float)


def require_live(paragraphs: Sequence[tuple[int, int]], *, tolerance: float) -> pd.DataFrame:
    """Read some paragraphs with SmolLM2 here and now, in four languages, and hold their cosines to the record.

    Args:
        paragraphs: article and paragraph.

    Returns:
        Of `linrep.llm.languages.paragraph_rows`, by concept, article and paragraph.

    Raises:
        LinrepError: a cosine or a number of tokens differs from that on record.
    """
    model = load_model(SMALL)
    words = [tokenise(each, model.tokenizer) for each in read_pairs() if each.name in LANGUAGE_CONCEPTS]
    whole = [of_fair_length(language_contexts(name), model.tokenizer) for name in LANGUAGE_CONCEPTS]
    concepts = [
        replace(each, pairs=tuple(pair for pair in each.pairs if (pair.template, pair.filler) in paragraphs))
        for each in whole
    ]
    found = paragraph_rows(model, concepts, words)
    keys = ["concept", "article", "paragraph"]
    columns = ["own", "tokens 0", "tokens 1"]
    require_agreement(part("paragraphs", model=SMALL), found, on=keys, columns=columns, tolerance=tolerance)
    return found.set_index(keys)
