"""What `linrep probe` prints: cosines of words, of contexts with words, what was not used, and what cannot be told."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from linrep.llm.tsv import plain

MOST_LINES = 100
"""Dropped pairs that are printed; a record and a page have them all."""


def print_probe(found: Mapping[str, Any]) -> None:
    """Within each concept against its null, between the concepts, contexts against words, then notes and drops."""
    console = Console()
    _print_words(found, console)
    if "alignment" in found:
        console.print(_alignment(found["alignment"]))
        console.print(_means(found["alignment"], "contexts with words, means"))
    if "untrained" in found:
        _print_untrained(found["untrained"], console)
    _print_notes(found, console)
    _print_dropped(found, console)


def _print_words(found: Mapping[str, Any], console: Console) -> None:
    products = list(found["between"])
    heads = (Column("concept", no_wrap=True), "kept", "dropped", *products, "shuffled", "p")
    table = Table(*heads, title=f"{escape(found['model'])}: within a concept")
    for concept in found["concepts"]:
        within = concept["within"]
        table.add_row(
            escape(plain(concept["name"])),
            str(concept["kept"]),
            str(len(concept["dropped"])),
            *(_number(None if within is None else within[product]) for product in products),
            _number(concept["shuffled"]),
            _number(concept["p"]),
        )
    console.print(table)
    between = Table("between concepts", *products)
    between.add_row("mean |cosine|", *(_number(found["between"][product]) for product in products))
    if len(found["measured"]) > 1:
        random = found["between_random"]
        between.add_row("random pairs", *(_number(random[product]["mean"]) for product in products))
    console.print(between)


def _alignment(alignment: Mapping[str, Any]) -> Table:
    """Each context concept under the Euclidean product."""
    heads = (Column("contexts", no_wrap=True), "kept", "own words", "95 %", "others", "nearest", "p", "Holm")
    table = Table(*heads, title="contexts with words, Euclidean")
    lines = {line["name"]: line for line in alignment["products"]["euclidean"]["concepts"]}
    for concept in alignment["concepts"]:
        line = lines.get(concept["name"], dict.fromkeys(("own", "interval", "others", "nearest", "p", "holm")))
        interval = "-" if line["interval"] is None else " to ".join(map(_number, line["interval"]))
        near = "-" if line["nearest"] is None else escape(plain(line["nearest"]))
        numbers = (_number(line["own"]), interval, _number(line["others"]), near, _number(line["p"]))
        table.add_row(escape(plain(concept["name"])), str(concept["kept"]), *numbers, _number(line["holm"]))
    return table


def _means(alignment: Mapping[str, Any], title: str) -> Table:
    """Means over the context concepts that have words of their own, under every product."""
    table = Table("product", "own words", "labels permuted", "p", "others", "nearest is own", title=title)
    for product, found in alignment["products"].items():
        numbers = (_number(found[key]) for key in ("own", "permuted", "p", "others"))
        table.add_row(product, *numbers, f"{found['matched']} of {found['of']}")
    return table


def _print_untrained(control: Mapping[str, Any], console: Console) -> None:
    _print_words(control, console)
    if "alignment" in control:
        console.print(_means(control["alignment"], "the same, untrained"))


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
    return "-" if value is None else f"{value:.3f}"
