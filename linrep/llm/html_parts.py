"""Pieces of an HTML page that stands alone: every text that goes into them is escaped here, and nowhere else.

The page loads nothing: its style is in it, its figures are data addresses. So it can be sent, kept, and read offline.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from linrep.llm.drawings import Drawing, picture

STYLE = """
:root { color-scheme: light dark;
  --ground: #fff; --text: #1c1c1c; --faint: #5a5a5a; --line: #d5d5d5; --shade: #f4f4f4; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #16181c; --text: #e6e6e6; --faint: #a8a8a8; --line: #3c4047; --shade: #22252b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.2rem; background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .4rem 0 .6rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
p, li { max-width: 44rem; }
code { font: .92em ui-monospace, monospace; background: var(--shade); padding: .1em .3em; border-radius: 3px; }
.box { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; margin: 0 0 1rem; }
.box:focus-visible, summary:focus-visible { outline: 3px solid #4a90d9; outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
.caption { color: var(--faint); font-size: .9rem; margin: 1.2rem 0 .4rem; }
th, td { padding: .3rem .7rem; text-align: right; border-top: 1px solid var(--line); white-space: nowrap; }
thead th { background: var(--shade); vertical-align: bottom; }
th[scope=row], .text { text-align: left; }
th:first-child { position: sticky; left: 0; background: var(--ground); text-align: left; }
thead th:first-child { background: var(--shade); }
td.text { white-space: normal; min-width: 14rem; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; padding: .4rem; }
figcaption { color: var(--faint); font-size: .9rem; max-width: 44rem; }
details { margin: .8rem 0; }
summary { cursor: pointer; }
"""


@dataclass(frozen=True)
class Column:
    """A column of a table: its head, and whether its cells are words, which may break into lines."""

    head: str
    words: bool = False


def page(title: str, parts: Sequence[str]) -> str:
    """A whole page in English; `parts` are HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join([f"<h1>{escape(title)}</h1>", *parts])
        + "\n</main>\n</body>\n</html>\n"
    )


def section(title: str, parts: Sequence[str]) -> str:
    """A part of the page with its heading."""
    return "\n".join(["<section>", f"<h2>{escape(title)}</h2>", *parts, "</section>"])


def paragraph(text: str) -> str:
    """Plain text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def bullets(lines: Sequence[str]) -> str:
    """Plain texts as a list."""
    return "\n".join(["<ul>", *(f"<li>{escape(line)}</li>" for line in lines), "</ul>"])


def folded(summary: str, part: str) -> str:
    """A part that opens when its summary is chosen."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{part}\n</details>"


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls sideways in a box of its own; the first cell of each row is its head."""
    head = "".join(
        f'<th scope="col"{" class=text" if column.words else ""}>{escape(column.head)}</th>' for column in columns
    )
    body = "\n".join(f"<tr>{_cells(columns, row)}</tr>" for row in rows)
    return (
        f'<p class="caption">{escape(caption)}</p>\n'
        f'<div class="box" role="region" tabindex="0" aria-label="{escape(caption)}">\n<table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def drawing(drawn: Drawing) -> str:
    """A figure with its caption and its alternative text."""
    data = base64.b64encode(picture(drawn.figure, "svg")).decode("ascii")
    return (
        f'<figure>\n<img src="data:image/svg+xml;base64,{data}" alt="{escape(drawn.alt)}">\n'
        f"<figcaption>{escape(drawn.caption)}</figcaption>\n</figure>"
    )


def _cells(columns: Sequence[Column], row: Sequence[str]) -> str:
    cells = [f'<th scope="row">{escape(row[0])}</th>']
    for column, value in zip(columns[1:], row[1:], strict=True):
        cells.append(f'<td class="text">{escape(value)}</td>' if column.words else f"<td>{escape(value)}</td>")
    return "".join(cells)
