"""What the record on Gemma holds of one model: languages, English concepts and words, as tables by model."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from linrep.llm import embedding, languages
from linrep.llm.contexts import LANGUAGE_CONCEPTS, ContextConcept
from linrep.llm.embedding import Sides
from linrep.llm.network import LanguageModel
from linrep.llm.probe import probe
from linrep.llm.products import PRODUCTS
from linrep.llm.summary import arms_table, matrices, within_table
from linrep.llm.words import TokenPairs, WordPairs

Tables = dict[str, pd.DataFrame]


def language_tables(model: LanguageModel, concepts: Sequence[ContextConcept], words: Sequence[TokenPairs]) -> Tables:
    """Language concepts of one model, whole paragraphs and paragraphs with their last word cut off.

    Args:
        concepts: all paragraphs; those of no fair length are left out here.
        words: of the word concepts, those of `concepts` among them.

    Returns:
        evidence and cosines (by text and concept), summary (by text and product), nulls, content, paragraphs and kept,
        of the whole paragraphs; model is a column of each.
    """
    whole = [languages.of_fair_length(each, model.tokenizer) for each in concepts]
    texts = {"whole": whole, "cut": [languages.without_last_words(each) for each in whole]}
    sides = {text: embedding.sides(model, each, words) for text, each in texts.items()}
    plain = {text: both["euclidean"] for text, both in sides.items()}
    own = [each for each in words if each.name in LANGUAGE_CONCEPTS]
    found = {
        "evidence": _by_text({text: languages.evidence_table(both) for text, both in plain.items()}),
        "cosines": _by_text({text: embedding.cosine_table(both) for text, both in plain.items()}),
        "summary": embedding.summary(sides).rename_axis(["text", "product"]).reset_index(),
        "nulls": embedding.word_null_table(model, plain["whole"], words).reset_index(),
        "content": languages.content_table(model, whole, words).reset_index(),
        "paragraphs": languages.paragraph_rows(model, whole, own),
        "kept": kept_table(whole, own),
    }
    return {name: table.assign(model=model.name) for name, table in found.items()}


def kept_table(concepts: Sequence[ContextConcept], words: Sequence[TokenPairs]) -> pd.DataFrame:
    """How many paragraphs, articles and word pairs each language concept rests on, of how many word pairs read."""
    by_name = {each.name: each for each in words}
    return pd.DataFrame(
        {
            "concept": each.name,
            "paragraphs": len(each.pairs),
            "articles": len({pair.template for pair in each.pairs}),
            "word pairs": len(by_name[each.name].pairs),
            "read": by_name[each.name].read,
        }
        for each in concepts
    )


def english_tables(model: LanguageModel, concepts: Sequence[ContextConcept], words: Sequence[TokenPairs]) -> Tables:
    """English context concepts of one model, as in the chapter on contexts: summary by product, evidence by concept."""
    sides: Mapping[str, Sides] = embedding.sides(model, concepts, words)
    return {
        "english summary": embedding.summary({model.name: sides}).reset_index(),
        "english evidence": embedding.evidence_table(sides["euclidean"]).reset_index().assign(model=model.name),
    }


def unembedding_tables(model: LanguageModel, concepts: Sequence[WordPairs], *, shuffles: int) -> Tables:
    """Word concepts of one model, as in the chapter on unembeddings.

    Returns:
        arms and within, by product; matrix, by product and concept, of mean cosines (the paper's Figures 3 and 7b).
    """
    report = probe(model, concepts, shuffles=shuffles)
    names = report["measured"]
    found = matrices(report, names)
    return {
        "arms": arms_table({model.name: report}).reset_index(),
        "within": _by({product: within_table(report, product=product) for product in PRODUCTS}, "product", model.name),
        "matrix": _by({product: _square(found[product], names) for product in PRODUCTS}, "product", model.name),
    }


def _square(matrix: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(matrix, index=pd.Index(names, name="concept"), columns=list(names))


def _by(tables: Mapping[str, pd.DataFrame], column: str, model: str) -> pd.DataFrame:
    """Tables by concept, one below the other; the new column says which is which."""
    return pd.concat([table.reset_index().assign(**{column: key}) for key, table in tables.items()]).assign(model=model)


def _by_text(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table.rename_axis("concept").reset_index().assign(text=text) for text, table in tables.items()])
