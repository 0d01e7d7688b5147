"""What the chapter on layers shows of its record."""

from collections.abc import Sequence

import pandas as pd

from linrep.errors import InputError
from linrep.experiments.layers import NAME, TRAINED, words_of
from linrep.experiments.table_views import recorded
from linrep.llm import embedding
from linrep.llm.contexts import ContextConcept, read_contexts
from linrep.llm.layers import NONE, VIEWS, concept_table, courses, signed_cosines, stacked
from linrep.llm.network import LanguageModel
from linrep.results import require_agreement

PLACE = ["view", "product", "layer"]


def by_layer(view: str, product: str, *, arm: str = TRAINED) -> pd.DataFrame:
    """Means over the concepts by layer, of one model under one view and product."""
    rows = recorded(NAME).to_frame()
    found = rows[(rows["arm"] == arm) & (rows["view"] == view) & (rows["product"] == product)]
    return found.set_index("layer").drop(columns=["arm", "view", "product"])


def untrained(view: str, product: str) -> pd.DataFrame:
    """The mean own cosine of each untrained model by layer, a column for each."""
    rows = recorded(NAME).to_frame()
    found = rows[(rows["arm"] != TRAINED) & (rows["view"] == view) & (rows["product"] == product)]
    return found.pivot_table(index="layer", columns="arm", values="own")


def part(name: str, *, view: str) -> pd.DataFrame:
    """Part "peaks" or "rises" of the record for the trained model under one view, by product."""
    rows = pd.DataFrame(recorded(NAME).body[name])
    return rows[(rows["arm"] == TRAINED) & (rows["view"] == view)].drop(columns=["arm", "view"]).set_index("product")


def own_by_concept(view: str, product: str) -> pd.DataFrame:
    """Own cosines of the trained model: a row for each concept, ordered by the last layer, a column for each layer."""
    rows = pd.DataFrame(recorded(NAME).body["concepts"])
    found = rows[(rows["view"] == view) & (rows["product"] == product)]
    wide = found.pivot_table(index="concept", columns="layer", values="own")
    return wide.sort_values(wide.columns[-1], ascending=False)


def concept_peaks(view: str, product: str) -> pd.DataFrame:
    """For each concept the layer of its largest own cosine, that cosine, and the one at the last layer."""
    own = own_by_concept(view, product)
    return pd.DataFrame({"peak": own.idxmax(axis=1), "at its peak": own.max(axis=1), "at the end": own.iloc[:, -1]})


def by_ending(view: str, product: str) -> pd.DataFrame:
    """Mean own cosine by layer of the concepts that have no shift in layer 0, and of the others, with their numbers.

    Without a shift: the two contexts of every pair end with the same token, so that whatever later layers know of the
    concept has come from earlier words.
    """
    own, rows = own_by_concept(view, product), pd.DataFrame(recorded(NAME).body["concepts"])
    still = rows[(rows["layer"] == 0) & (rows["nearest"] == NONE)]["concept"].unique().tolist()
    moved = [name for name in own.index if name not in still]
    parts = {f"same token, {len(still)}": still, f"other, {len(moved)}": moved}
    return pd.DataFrame({label: own.loc[names].mean() for label, names in parts.items()})


def last_layer(model: LanguageModel, names: Sequence[str]) -> pd.DataFrame:
    """Own cosines under the Euclidean product as the embedding chapter has them, and those on record at layer L."""
    words = words_of(model)
    places = [[each.name for each in words].index(name) for name in names]
    cosines = signed_cosines(embedding.context_shifts(model, chosen(names)), embedding.word_shifts(model, words))
    anew = pd.Series([cosines[row, place] for row, place in enumerate(places)], index=list(names))
    on_record = {view: own_by_concept(view, "euclidean").iloc[:, -1].loc[list(names)] for view in VIEWS}
    return pd.DataFrame({"embedding": anew} | on_record).rename_axis("concept")


def landmarks(view: str, product: str) -> dict[str, int]:
    """Layers, counted from 0: from which on permuted labels are beaten for good, and the first with half the last own.

    "beaten": the first layer from which on p is at most 0.05 over the number of layers at every layer; the number
    of layers when there is none. "half": the first layer whose mean own cosine is at least half of the last one's.
    "seventeen": the first with 17 or more matched, or the number of layers.
    """
    table = by_layer(view, product)
    count = len(table)
    missed = table.index[table["p"] > 0.05 / count]
    many = table.index[table["matched"] >= 17]
    return {
        "beaten": int(missed.max()) + 1 if len(missed) else 0,
        "half": int(table.index[table["own"] >= table["own"].iloc[-1] / 2][0]),
        "seventeen": int(many[0]) if len(many) else count,
    }


def chosen(names: Sequence[str]) -> list[ContextConcept]:
    """The context concepts of these names.

    Raises:
        InputError: there is no such concept.
    """
    concepts = {concept.name: concept for concept in read_contexts()}
    if unknown := [name for name in names if name not in concepts]:
        raise InputError(f"there is no context concept {unknown[0]!r}; there are {', '.join(concepts)}")
    return [concepts[name] for name in names]


def require_live(model: LanguageModel, names: Sequence[str], *, tolerance: float) -> pd.DataFrame:
    """Measure some concepts at every layer again and hold them to the record; returns what was measured.

    Raises:
        LinrepError: a cosine differs from that on record by more than the tolerance.
    """
    found = courses(model, chosen(names), words_of(model))
    live = stacked({place: concept_table(course) for place, course in found.items()})
    old = pd.DataFrame(recorded(NAME).body["concepts"])
    require_agreement(old, live, on=[*PLACE, "concept"], columns=["own", "others"], tolerance=tolerance)
    return live
