"""The page that `linrep probe --html` writes: a record of a probe in plain words, with its tables and figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from linrep.llm.drawings import MOST_DRAWN, Drawing
from linrep.llm.html_parts import Column, bullets, drawing, folded, page, paragraph, section, table
from linrep.llm.products import LABELS, PRODUCTS
from linrep.llm.summary import arms_table
from linrep.llm.tsv import plain
from linrep.results import Record

NONE = "–"
"""What stands in a table for a number that there is not."""

SAYS = (
    "A cosine within a concept that is clearly above that of shuffled partners, with a small q, says that the "
    "concept's word pairs share a direction beyond what their words share anyway.",
    "It does not say that the concept is a bit that the model flips with everything else equal: a mean cosine well "
    "below 1 leaves most of each difference unexplained.",
    "A large p or q is no proof of absence. With few pairs nothing can be told, and the note in the table says where.",
    "Small cosines between concepts can refute a shared direction. They are weak evidence for orthogonality: in many "
    "dimensions unrelated directions are nearly orthogonal anyway. Compare with the random pairs.",
    "The choice of inner product matters. Under the Euclidean product one direction that all words share, such as that "
    "of frequency, can be most of what is seen; the other two products take it out or scale it down.",
    "Pairs that share a word, and templates that resemble each other, are not independent. The standard errors within "
    "a concept take the pairs for independent, and so are too small where words repeat.",
    "A pair is used only where both words are single tokens of this model. The numbers are about such words.",
)
ALIGNMENT_SAYS = (
    "Where a context makes one word likelier than another, its hidden state has moved towards that word's row: this "
    "part of the match between contexts and words cannot fail. What can fail is that the move is mostly along that "
    "direction, and along that of the concept's other words too.",
    "Nearest of all concepts depends on which concepts there are: two that nearly mean the same compete.",
)


def report_html(record: Record, drawn: Sequence[Drawing], *, command: str) -> str:
    """The page.

    Args:
        record: of kind "probe", with the report of `linrep.llm.full_probe` as its body.
        drawn: its figures. command: what was typed, or would have to be.
    """
    found = record.body
    figures = {each.name: drawing(each) for each in drawn}
    parts = [_measured(found), _within(found, figures), _between(found, figures)]
    if "alignment" in found:
        parts.append(_alignment(found["alignment"], figures))
    if "untrained" in found:
        parts.append(_untrained(found))
    if len(drawn) < _expected(found):
        parts.append(paragraph(f"Figures of more than {MOST_DRAWN} concepts are left out: too many to draw."))
    parts += [_dropped(found), _limits(found), _provenance(record, command)]
    return page(f"Concepts in {plain(found['model'])}", parts)


def _expected(found: Mapping[str, Any]) -> int:
    """The number of figures when there are not too many concepts."""
    return (2 if len(found["measured"]) > 1 else 1) + (2 if "alignment" in found else 0)


def _measured(found: Mapping[str, Any]) -> str:
    read, kept = (sum(concept[key] for concept in found["concepts"]) for key in ("read", "kept"))
    lines = [
        f"{len(found['concepts'])} concept(s) with {read:,} word pairs, of which {kept:,} can be used, in the output "
        f"matrix (the unembedding) of {plain(found['model'])}, {found['hidden_size']} dimensions. A pair's two rows "
        "differ by a steering vector; the direction of a concept is the mean of its steering vectors."
    ]
    if "alignment" in found:
        concepts = found["alignment"]["concepts"]
        lines.append(
            f"{len(concepts)} concept(s) with {sum(concept['kept'] for concept in concepts):,} pairs of contexts: the "
            "last hidden state after one context less that after the other, held to the directions of the words."
        )
    lines.append(
        "Three inner products: Euclidean, the plain one; with the first principal component of all rows removed; and "
        "the causal one, which whitens with the covariance of all rows."
    )
    return section("What was measured", [paragraph(line) for line in lines])


def _within(found: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    heads = [f"{LABELS[product]} {part}" for product in PRODUCTS for part in ("cosine ± s.e.", "shuffled", "q")]
    columns = [Column("concept"), Column("kept"), Column("dropped"), *map(Column, heads), Column("note", words=True)]
    rows = []
    for concept in found["concepts"]:
        cells = [plain(concept["name"]), str(concept["kept"]), str(len(concept["dropped"]))]
        for product in PRODUCTS:
            cells += _within_cells(concept, product)
        rows.append([*cells, concept["note"] or ""])
    caption = (
        f"Mean cosine over distinct pairs, with its jackknife standard error; shuffled: the mean over "
        f"{found['shuffles']:,} shuffles of the partners; q: the permutation p-value, adjusted for the number of "
        "concepts."
    )
    return section("Within each concept", [figures.get("within", ""), table(caption, columns, rows)])


def _within_cells(concept: Mapping[str, Any], product: str) -> list[str]:
    if concept["within"] is None:
        return [NONE] * 3
    stderr, null = concept["within_stderr"][product], concept["null"][product]
    error = "" if stderr is None else f" ± {number(stderr)}"
    return [number(concept["within"][product]) + error, number(null["shuffled"]), chance(null["q"])]


def _between(found: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    if len(found["measured"]) < 2:
        return section("Between concepts", [paragraph("One concept was measured; between takes two.")])
    rows = []
    for product in PRODUCTS:
        random = found["between_random"][product]
        spread = f"{number(random['mean'])} ± {number(random['sd'])}"
        rows.append([LABELS[product], number(found["between"][product]), spread])
    caption = (
        "Mean absolute cosine between the directions of different concepts; random pairs: the same for as many random "
        f"pairs of the same words, mean and standard deviation over {found['draws']} draws."
    )
    columns = [Column("product"), Column("between concepts"), Column("random pairs")]
    return section("Between concepts", [table(caption, columns, rows), figures.get("between", "")])


def _alignment(alignment: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    parts = [_alignment_means(alignment), figures.get("own-and-others", "")]
    tables = {product: _alignment_table(alignment, product) for product in PRODUCTS}
    parts.append(tables.pop("euclidean"))
    parts += [folded(f"The same under the {LABELS[product]} product", table) for product, table in tables.items()]
    return section("Contexts against words", [*parts, figures.get("contexts-and-words", "")])


def _alignment_means(alignment: Mapping[str, Any]) -> str:
    rows = []
    for product in PRODUCTS:
        found = alignment["products"][product]
        numbers = [number(found["own"]), number(found["permuted"]), chance(found["p"]), number(found["others"])]
        rows.append([LABELS[product], *numbers, f"{found['matched']} of {found['of']}"])
    smallest = alignment["products"]["euclidean"]["smallest_p"]
    floor = (
        "" if smallest is None else f" (it cannot be below {chance(smallest).removeprefix('< ')} with so many concepts)"
    )
    caption = (
        "Means over the concepts that have both: cosine of a concept's context direction with its own words, the same "
        f"with the labels of the words dealt out anew, p of this{floor}, and the mean absolute cosine with other "
        "concepts' words; matched: how many are nearest to their own."
    )
    heads = ("product", "own", "labels permuted", "p", "others", "matched")
    return table(caption, [Column(head) for head in heads], rows)


def _alignment_table(alignment: Mapping[str, Any], product: str) -> str:
    lines = {line["name"]: line for line in alignment["products"][product]["concepts"]}
    rows = []
    for concept in alignment["concepts"]:
        line = lines.get(concept["name"], dict.fromkeys(("own", "interval", "others", "nearest", "p", "holm")))
        interval = NONE if line["interval"] is None else " to ".join(map(number, line["interval"]))
        numbers = [number(line["own"]), interval, chance(line["p"]), chance(line["holm"]), number(line["others"])]
        counts = [f"{concept['kept']} of {concept['read']}", str(concept["words"] or 0)]
        near = NONE if line["nearest"] is None else plain(line["nearest"])
        rows.append([plain(concept["name"]), *counts, *numbers, near, concept["note"] or ""])
    heads = ("concept", "pairs kept", "word pairs", "own", "95 % interval", "p", "Holm", "others")
    columns = [*map(Column, heads), Column("nearest words"), Column("note", words=True)]
    return table(
        f"Each context concept, {LABELS[product]} product. p: by sign flips, one-sided; Holm: adjusted for number.",
        columns,
        rows,
    )


def _untrained(found: Mapping[str, Any]) -> str:
    control = found["untrained"]
    arms = arms_table({"trained": found, "untrained": control})
    rows = []
    for (arm, product), line in zip(arms.index, arms.to_dict("records"), strict=True):
        values = [line[key] for key in ("within", "shuffled", "between", "random")]
        report = found if arm == "trained" else control
        own = report["alignment"]["products"][product] if "alignment" in report else None
        last = [] if own is None else [number(own["own"]), f"{own['matched']} of {own['of']}"]
        rows.append([f"{arm}, {LABELS[product]}", *map(number, values), line["significant"], *last])
    heads = ["model, product", "within", "shuffled", "between", "random pairs", "q ≤ 0.05"]
    heads += ["contexts, own", "matched"] if "alignment" in found else []
    caption = f"The same measures on {plain(control['model'])}: what tokens, words and dimensions give by themselves."
    return section("The untrained model", [table(caption, [Column(head) for head in heads], rows)])


def _dropped(found: Mapping[str, Any]) -> str:
    lost = [(concept["name"], drop) for concept in found["concepts"] for drop in concept["dropped"]]
    contexts = found["alignment"]["concepts"] if "alignment" in found else []
    lost += [(f"{concept['name']} (contexts)", drop) for concept in contexts for drop in concept["dropped"]]
    if not lost:
        return section("Dropped pairs", [paragraph("None.")])
    rows = [[plain(name), *map(plain, drop["pair"]), drop["reason"]] for name, drop in lost]
    columns = [
        Column("concept"),
        Column("value 0", words=True),
        Column("value 1", words=True),
        Column("why", words=True),
    ]
    shown = table("Pairs that were read and could not be used.", columns, rows)
    return section("Dropped pairs", [folded(f"{len(lost):,} pair(s), with the reason for each", shown)])


def _limits(found: Mapping[str, Any]) -> str:
    return section(
        "What the numbers can and cannot say", [bullets([*SAYS, *(ALIGNMENT_SAYS if "alignment" in found else ())])]
    )


def _provenance(record: Record, command: str) -> str:
    said = {key: {"True": "yes", "False": "no"}.get(str(value), str(value)) for key, value in record.config.items()}
    rows = [[key, text] for key, text in said.items() if record.config[key] is not None]
    rows += [["seed", ", ".join(map(str, record.seeds))], ["linrep", record.version], ["command", command]]
    rows += [["seconds", str(record.seconds)], ["commit", str(record.provenance.get("commit") or NONE)]]
    libraries = ", ".join(f"{name} {version}" for name, version in record.provenance.get("libraries", {}).items())
    rows += [["python", str(record.provenance.get("python", NONE))], ["libraries", libraries]]
    return section("Where this comes from", [table("Provenance", [Column("what"), Column("value", words=True)], rows)])


def chance(p: float | None) -> str:
    """A p-value; below 0.001 it is told apart from 0."""
    return "< 0.001" if p is not None and p < 0.001 else number(p)


def number(value: float | None) -> str:
    """Three decimals, with a minus sign; a dash for a number that there is not."""
    if value is None or value != value:
        return NONE
    return f"{value:.3f}".replace("-", "−")
