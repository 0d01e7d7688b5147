"""The ledger of claims as a reader sees it: a table in the book, and one on the terminal (`linrep claims`)."""

import re
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import get_args

import pandas as pd

from linrep.claims import Claim, Word, shown

HEADS = ("statement", "verdict", "number", "control")

_SCRIPT = re.compile(r"([_^])(?:\(([^()]*)\)|([^\W_]+))")
"""An index or an exponent in plain text: C_i, 2^n, 2^(m−1)."""


def verdict_counts(claims: Sequence[Claim]) -> pd.DataFrame:
    """How many claims have each verdict: the paper's statements in one column, ours in the other."""
    count = Counter((claim.verdict, _is_paper(claim)) for claim in claims)
    rows = {word: {"paper's": count[word, True], "ours": count[word, False]} for word in get_args(Word)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("verdict")


def papers(claims: Sequence[Claim]) -> list[Claim]:
    """The claims whose statement is the paper's, in their order; without its numbers."""
    return [claim for claim in claims if _is_paper(claim) and claim.paper is None]


def numbers(claims: Sequence[Claim]) -> list[Claim]:
    """The claims that hold one of ours to a number of the paper's, in their order."""
    return [claim for claim in claims if claim.paper is not None]


def ours(claims: Sequence[Claim]) -> list[Claim]:
    """The claims whose statement is this project's, in their order."""
    return [claim for claim in claims if not _is_paper(claim)]


def ledger_html(claims: Sequence[Claim]) -> str:
    """An HTML table, one row for each claim; every place is a link to a label of a chapter in the same folder."""
    head = "".join(f"<th>{name}</th>" for name in HEADS)
    rows = "\n".join(f"<tr>{''.join(_cells(claim))}</tr>" for claim in claims)
    return f'<table class="dataframe ledger">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>'


def address(claim: Claim) -> str:
    """The page and anchor of a claim's place in the book: "linear:prop-cosine" is linear.html#prop-cosine."""
    page, _, label = claim.where.partition(":")
    return f"{page}.html#{label}"


def typeset(text: str) -> str:
    """Plain text as HTML: indices and exponents set low and high, a capital at the start, unless it is a symbol's."""
    first = text.split(maxsplit=1)[0].rstrip(",:;") if text else ""
    is_word = first == "a" or (first.isalpha() and first.isascii() and len(first) > 1)
    text = text[:1].upper() + text[1:] if is_word else text
    tag = {"_": "sub", "^": "sup"}
    return _SCRIPT.sub(
        lambda found: f"<{tag[found[1]]}>{found[2] or found[3]}</{tag[found[1]]}>", escape(text, quote=False)
    )


def _cells(claim: Claim) -> list[str]:
    """The cells of one row, in the order of `HEADS`."""
    chapter = claim.where.partition(":")[0].replace("_", " ")
    parts = [
        f"{typeset(claim.statement.rstrip('.'))}. <em>{typeset(claim.source)}</em>"
        f'<div class="assumed">Assumed: {typeset(claim.hypotheses)}</div>',
        f'{escape(claim.verdict)}<div><a href="{escape(address(claim))}">{escape(chapter)}</a></div>',
        f"<strong>{escape(shown(claim.number))}</strong>{_beside(claim)}<div>{typeset(claim.measured)}</div>",
        f"<strong>{escape(shown(claim.control))}</strong><div>{typeset(claim.broken)}</div>",
    ]
    return [f"<td>{part}</td>" for part in parts]


def _beside(claim: Claim) -> str:
    """The interval of the number and the paper's value, where there are any."""
    known = [] if claim.low is None or claim.high is None else [f" [{shown(claim.low)}, {shown(claim.high)}]"]
    known += [] if claim.paper is None else [f"<div>paper {escape(shown(claim.paper))}</div>"]
    return "".join(known)


def _is_paper(claim: Claim) -> bool:
    """Whether the statement is the paper's."""
    return claim.source.startswith("paper")
