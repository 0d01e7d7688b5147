"""What `linrep probe` prints: cosines of words, of contexts with words, what was not used, and what cannot be told."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from linrep.llm.products import LABELS
from linrep.llm.summary import arms_table
from linrep.llm.tsv import plain

MOST_LINES = 100
"""Dropped pairs that are printed; a record and a page have them all."""


def print_probe(found: Mapping[str, Any]) -> None:
    """Within each concept against its null, between the concepts, contexts against words, then notes and drops."""
    console = Console()
    console.print(_within(found))
    console.print(_between(found))
    if "alignment" in found:
        console.print(_contexts(found["alignment"]))
        console.print(_means(found["alignment"]))
    if "untrained" in found:
        console.print(_untrained(found))
    _print_notes(found, console)
    _print_dropped(found, console)


def _table(title: str, name: str, *heads: str) -> Table:
    """An empty table whose numbers are never cut: on a narrow terminal the names give way."""
    columns = []
    for head in heads:
        widest = max(4 if head == "kept" else 6, *map(len, head.split(" ")))
        columns.append(Column(head.replace(" ", "\n"), min_width=widest, no_wrap=head != "nearest"))
    look: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False, "title_justify": "left"}
    return Table(Column(name, overflow="ellipsis"), *columns, title=title, **look)


def _within(found: Mapping[str, Any]) -> Table:
    title = f"{escape(plain(found['model']))}: mean cosine within a concept"
    table = _table(title, "concept", "kept", "dropped", *LABELS.values(), "shuffled", "p")
    for concept in found["concepts"]:
        within = concept["within"]
        table.add_row(
            escape(plain(concept["name"])),
            str(concept["kept"]),
            str(len(concept["dropped"])),
            *(_number(None if within is None else within[product]) for product in LABELS),
            _number(concept["shuffled"]),
            _chance(concept["p"]),
        )
    return table


def _between(found: Mapping[str, Any]) -> Table:
    table = _table("Between concepts", "mean absolute cosine", *LABELS.values())
    table.add_row("directions", *(_number(found["between"][product]) for product in LABELS))
    random = [found["between_random"][product] for product in LABELS]
    table.add_row("random pairs", *(_number(None if each is None else each["mean"]) for each in random))
    return table


def _contexts(alignment: Mapping[str, Any]) -> Table:
    """Each context concept under the Euclidean product."""
    heads = ("kept", "own", "95\u00a0% from", "to", "others", "Holm p", "nearest")
    table = _table("Directions of contexts with directions of words, Euclidean", "contexts", *heads)
    lines = {line["name"]: line for line in alignment["products"]["euclidean"]["concepts"]}
    empty = dict.fromkeys(("own", "interval", "others", "holm", "nearest", "matched"))
    for concept in alignment["concepts"]:
        line = lines.get(concept["name"], empty)
        ends = line["interval"] or (None, None)
        near = "its own" if line["matched"] else "-" if line["nearest"] is None else escape(plain(line["nearest"]))
        numbers = (*map(_number, (line["own"], *ends, line["others"])), _chance(line["holm"]))
        table.add_row(escape(plain(concept["name"])), str(concept["kept"]), *numbers, near)
    return table


def _means(alignment: Mapping[str, Any]) -> Table:
    """Means over the context concepts that have words of their own, under every product."""
    table = _table("The same, means", "product", "own", "permuted", "p", "others", "nearest own")
    for product, label in LABELS.items():
        found = alignment["products"][product]
        numbers = (_number(found["own"]), _number(found["permuted"]), _chance(found["p"]), _number(found["others"]))
        table.add_row(label, *numbers, f"{found['matched']} of {found['of']}")
    return table


def _untrained(found: Mapping[str, Any]) -> Table:
    """The model beside the untrained one, under every product."""
    arms = {"trained": found, "untrained": found["untrained"]}
    heads = ["within", "shuffled", "between", "random", *(["own", "nearest"] if "alignment" in found else [])]
    table = _table("Beside the untrained model, means", "model, product", *heads)
    rows = arms_table(arms)
    for (arm, product), line in zip(rows.index, rows.to_dict("records"), strict=True):
        numbers = [_number(line[key]) for key in ("within", "shuffled", "between", "random")]
        own = arms[arm]["alignment"]["products"][product] if "alignment" in found else None
        last = [] if own is None else [_number(own["own"]), f"{own['matched']} of {own['of']}"]
        table.add_row(f"{arm}, {LABELS[product]}", *numbers, *last)
    return table


def _print_notes(found: Mapping[str, Any], console: Console) -> None:
    concepts = [(concept["name"], concept["note"]) for concept in found["concepts"]]
    if "alignment" in found:
        concepts += [(f"{concept['name']} (contexts)", concept["note"]) for concept in found["alignment"]["concepts"]]
    for name, note in concepts:
        if note is not None:
            _line(console, f"note: {plain(name)}: {note}")


def _print_dropped(found: Mapping[str, Any], console: Console) -> None:
    concepts = [*found["concepts"], *(found["alignment"]["concepts"] if "alignment" in found else ())]
    lost = [(concept["name"], drop) for concept in concepts for drop in concept["dropped"]]
    for name, drop in lost[:MOST_LINES]:
        _line(console, f"dropped: {plain(name)}: {' / '.join(map(plain, drop['pair']))}: {drop['reason']}")
    if len(lost) > MOST_LINES:
        _line(console, f"dropped: {len(lost) - MOST_LINES:,} more; --json and --html list all")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"


def _chance(p: float | None) -> str:
    """A p-value; below 0.001 it is told apart from 0."""
    return "<0.001" if p is not None and p < 0.001 else _number(p)
