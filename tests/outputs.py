"""What a chapter's cell shows, as text, and when two showings are the same.

The recording (record.py) and the check (nbval_md.py) share this module. An output is kept as a dictionary with one
entry per form: ``stdout`` or a MIME type, and its text. Pictures keep their MIME type alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

Output = dict[str, str]

MAX_DECIMALS = 3
PICTURE = "(picture)"
PICTURE_TYPES = re.compile(r"(application/papermill\.record/)?image/")
VOLATILE_TYPES = ("application/vnd.jupyter.widget-view+json",)
SANITIZERS = (
    (re.compile(r"0x[0-9a-fA-F]{6,}"), "0xADDRESS"),
    (re.compile(r"/tmp/ipykernel_\d+/\d+\.py"), "/tmp/ipykernel/cell.py"),
)
NUMBER = re.compile(r"[-+\u2212]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
LONG_DECIMAL = re.compile(rf"\d\.\d{{{MAX_DECIMALS + 1},}}(?:[eE][-+]?\d+)?")
BLANKS = re.compile(r"[ \t]+")


class OutputError(Exception):
    """A chapter's outputs break a rule of the house, or there is no valid reference for them."""


# --- from a notebook's outputs to text -------------------------------------------------------------------------------


def simplify(outputs: Iterable[Mapping[str, Any]]) -> list[Output]:
    """A cell's outputs as text: streams joined, pictures reduced to their type, addresses and paths made the same."""
    simple: list[Output] = []
    streams: dict[str, Output] = {}
    for output in outputs:
        if output["output_type"] == "stream":
            name = str(output["name"])
            if name not in streams:
                streams[name] = {name: ""}
                simple.append(streams[name])
            streams[name][name] += "".join(output["text"])
        elif output["output_type"] in ("display_data", "execute_result"):
            shown = ((kind, data) for kind, data in sorted(output["data"].items()) if kind not in VOLATILE_TYPES)
            simple.append({kind: _text(kind, data) for kind, data in shown})
        else:
            raise OutputError(f"an output of the unexpected type {output['output_type']!r}")
    return [{kind: sanitize(text) for kind, text in output.items()} for output in simple]


def _text(kind: str, data: Any) -> str:
    if PICTURE_TYPES.match(kind):
        return PICTURE
    return data if isinstance(data, str) else json.dumps(data, sort_keys=True)


def sanitize(text: str) -> str:
    """The text without what differs from run to run: memory addresses, names of the kernel's temporary files."""
    for pattern, replacement in SANITIZERS:
        text = pattern.sub(replacement, text)
    return text


class _VisibleText(HTMLParser):
    """Collects the text of an HTML output, one line per cell or block; scripts and styles are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")
        self.parts.append(" " if tag in ("td", "th") else "\n" if tag in ("tr", "p", "div", "br", "li") else "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def visible(kind: str, text: str) -> str:
    """What a reader sees of an output of that kind."""
    if not kind.endswith("text/html"):
        return text
    parser = _VisibleText()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts)


# --- the rules -------------------------------------------------------------------------------------------------------


def violations(outputs: Iterable[Output]) -> Iterator[str]:
    """One line for each rule of the house that a cell's outputs break."""
    for output in outputs:
        for kind, text in output.items():
            if kind == "stderr":
                yield f"the cell writes to stderr, where a chapter writes nothing: {text.strip().splitlines()[-1:]}"
            elif long := LONG_DECIMAL.search(visible(kind, text)):
                yield f"the cell shows {long.group()}: round it to {MAX_DECIMALS} decimals at most ({kind})"


def difference(reference: list[Output], computed: list[Output]) -> str | None:
    """None when both show the same, else what differs, in words."""
    if len(reference) != len(computed):
        return f"the reference has {len(reference)} outputs, the cell now has {len(computed)}"
    for number, (expected, got) in enumerate(zip(reference, computed, strict=True)):
        if expected.keys() != got.keys():
            return f"output {number} was of the kinds {sorted(expected)}, it is now of {sorted(got)}"
        for kind in expected:
            if not same_text(visible(kind, expected[kind]), visible(kind, got[kind])):
                return f"output {number} ({kind}) was\n{expected[kind]}\nand is now\n{got[kind]}"
    return None


def same_text(reference: str, computed: str) -> bool:
    """True when the words agree and the numbers do, each to one unit of its last printed digit; blanks do not count."""
    if _words(reference) != _words(computed):
        return False
    pairs = zip(NUMBER.findall(reference), NUMBER.findall(computed), strict=True)
    return all(same_number(expected, got) for expected, got in pairs)


def _words(text: str) -> list[str]:
    """The lines of a text with its numbers blotted out and its blanks made one."""
    return [BLANKS.sub(" ", NUMBER.sub("#", line)).strip() for line in text.strip().splitlines()]


def same_number(reference: str, computed: str) -> bool:
    """True when two printed numbers differ by one unit of the last digit at most; whole numbers must be equal.

    Another processor may fall on the other side of a rounding boundary, never further. Both must be printed with the
    same number of decimals, unless they have an exponent.
    """
    first, second = (text.replace("\u2212", "-") for text in (reference, computed))
    if not all(re.search(r"[.eE]", text) for text in (first, second)):
        return first == second
    one, other = Decimal(first), Decimal(second)
    units = [int(number.as_tuple().exponent) for number in (one, other)]
    if units[0] != units[1] and not re.search(r"[eE]", first + second):
        return False
    return abs(one - other) <= Decimal(1).scaleb(max(units))


# --- the reference files ---------------------------------------------------------------------------------------------


def reference_path(chapter: Path) -> Path:
    """Where the outputs of a chapter, a file chapters/NAME.md, are kept: tests/reference/NAME.json."""
    return chapter.resolve().parent.parent / "tests" / "reference" / f"{chapter.stem}.json"


def load_reference(chapter: Path, sources: list[str]) -> list[list[Output]]:
    """The recorded outputs of a chapter, one list per code cell; refused when they belong to other cells."""
    path, command = reference_path(chapter), f"make record CHAPTER={chapter.stem}"
    if not path.is_file():
        raise OutputError(f"{chapter.name} has no recorded outputs in tests/reference/{path.name}: run `{command}`")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    recorded = [cell["source"] for cell in cells]
    if recorded != sources:
        raise OutputError(f"the code of {chapter.name} has changed since its outputs were recorded: run `{command}`")
    return [cell["outputs"] for cell in cells]
