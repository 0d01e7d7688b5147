"""The ledger of claims as a reader sees it: a table in the book, and one on the terminal (`linrep claims`)."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import get_args

import pandas as pd

from linrep.claims import Claim, Word, shown

HEADS = ("statement", "hypotheses", "verdict", "number", "control", "where")


def verdict_counts(claims: Sequence[Claim]) -> pd.DataFrame:
    """How many claims have each verdict: the paper's statements in one column, ours in the other."""
    count = Counter((claim.verdict, _is_paper(claim)) for claim in claims)
    rows = {word: {"paper's": count[word, True], "ours": count[word, False]} for word in get_args(Word)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("verdict")


def papers(claims: Sequence[Claim]) -> list[Claim]:
    """The claims whose statement is the paper's, in their order."""
    return [claim for claim in claims if _is_paper(claim)]


def ours(claims: Sequence[Claim]) -> list[Claim]:
    """The claims whose statement is this project's, in their order."""
    return [claim for claim in claims if not _is_paper(claim)]


def ledger_html(claims: Sequence[Claim]) -> str:
    """An HTML table, one row for each claim; every place is a link to a label of a chapter in the same folder."""
    head = "".join(f"<th>{name}</th>" for name in HEADS)
    rows = "\n".join(f"<tr>{''.join(_cells(claim))}</tr>" for claim in claims)
    return f'<table class="ledger">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>'


def address(claim: Claim) -> str:
    """The page and anchor of a claim's place in the book: "linear:prop-cosine" is linear.html#prop-cosine."""
    page, _, label = claim.where.partition(":")
    return f"{page}.html#{label}"


def _cells(claim: Claim) -> list[str]:
    """The cells of one row, in the order of `HEADS`."""
    where = f'<a href="{escape(address(claim))}">{escape(claim.where.partition(":")[0].replace("_", " "))}</a>'
    parts = [
        f"{escape(claim.statement)} <em>({escape(claim.source)})</em>",
        escape(claim.hypotheses),
        escape(claim.verdict),
        f"<strong>{escape(shown(claim.number))}</strong> {escape(claim.measured)}",
        f"<strong>{escape(shown(claim.control))}</strong> {escape(claim.broken)}",
        where,
    ]
    return [f"<td>{part}</td>" for part in parts]


def _is_paper(claim: Claim) -> bool:
    """Whether the statement is the paper's."""
    return claim.source.startswith("paper")
