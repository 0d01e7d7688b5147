"""The ledger shows every claim once, escapes what it shows, and links to labels that the chapters have."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from linrep.claims import Claim, recorded_claims
from linrep.cli import main
from linrep.ledger import HEADS, address, ledger_html, numbers, ours, papers, typeset, verdict_counts
from linrep.report import as_text
from linrep.results import read_record

CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"

CLAIM = Claim(
    key="theorem-0",
    statement="a < b & c",
    source="paper, Theorem 0",
    hypotheses="H1 k > m",
    verdict="holds in range",
    measured="mean |cosine|",
    number=0.25,
    broken="H1",
    control=1234.5,
    where="log_odds:thm-0",
)


class Cells(HTMLParser):
    """The text of each cell, row by row, and the targets of the links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "a":
            self.links.append(str(dict(attrs)["href"]))

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def test_a_row_holds_what_the_claim_says() -> None:
    found = Cells(ledger_html([CLAIM]))
    assert found.rows[0] == list(HEADS)
    assert found.rows[1] == [
        "A < b & c. Paper, Theorem 0Assumed: H1 k > m",
        "holds in rangelog odds",
        "0.250Mean |cosine|",
        "1,234H1",
    ]
    assert found.links == ["log_odds.html#thm-0"] == [address(CLAIM)]


def test_text_is_typeset() -> None:
    assert typeset("steering vectors of C_i in 2^(m−1) + 2^n < 3") == (
        "Steering vectors of C<sub>i</sub> in 2<sup>m−1</sup> + 2<sup>n</sup> &lt; 3"
    )
    assert typeset("f → Af") == "f → Af"  # a symbol stays small
    assert typeset("a small error") == "A small error"
    assert typeset("independence: the mean") == "Independence: the mean"
    assert typeset("") == ""


def test_every_claim_is_the_papers_or_ours_and_is_counted_once() -> None:
    claims = recorded_claims()
    parts = papers(claims) + numbers(claims) + ours(claims)
    assert sorted(claim.key for claim in parts) == sorted(claim.key for claim in claims)
    assert len(Cells(ledger_html(claims)).rows) == len(claims) + 1
    assert verdict_counts(claims).to_numpy().sum() == len(claims)
    counts = verdict_counts([CLAIM, replace(CLAIM, source="ours", verdict="new")])
    assert counts.loc["holds in range"].tolist() == [1, 0]
    assert counts.loc["new"].tolist() == [0, 1]


@pytest.mark.parametrize("claim", recorded_claims(), ids=lambda claim: claim.key)
def test_the_place_of_a_claim_is_a_label_of_a_chapter(claim: Claim) -> None:
    page, _, label = claim.where.partition(":")
    text = (CHAPTERS / f"{page}.md").read_text("utf-8")
    assert re.search(rf"^(:label: {re.escape(label)}|\({re.escape(label)}\)=)$", text, re.MULTILINE), claim.where


def test_labels_are_unique_in_the_book() -> None:
    found: dict[str, str] = {}
    for path in sorted(CHAPTERS.glob("*.md")):
        for label in re.findall(r"^:label: (\S+)$", path.read_text("utf-8"), re.MULTILINE):
            assert label not in found, f"{label} is in {found[label]} and in {path.name}"
            found[label] = path.name


def test_every_statement_of_the_paper_has_a_claim() -> None:
    sources = " ".join(claim.source for claim in recorded_claims())
    for name in ("Theorem 3", "Theorem 10", "Theorem 4", "Theorem 12", "Theorem 5", "Proposition 11", "Theorem 7"):
        assert f"paper, {name}" in sources, name
    assert "paper, Corollary 8" in sources


def test_the_command_prints_the_ledger_and_writes_its_record(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["claims"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    for claim in recorded_claims():
        assert claim.key in printed
    with pytest.raises(SystemExit):
        main(["claims", "--json", str(tmp_path / "claims.json")])
    assert read_record(tmp_path / "claims.json").kind == "theorems"


def test_a_table_as_text_keeps_counts_whole_and_decimals_fixed() -> None:
    table = pd.DataFrame({"seeds": [20, 1234], "U": [0.5, -1.23456], "all": [True, False]}, index=["a", "b"])
    shown = as_text(table)
    assert shown.loc["a"].tolist() == ["20", "0.500", "1"]
    assert shown.loc["b"].tolist() == ["1,234", "-1.235", "0"]
    assert list(as_text(table, decimals=1).T.columns) == ["a", "b"]
    assert as_text(table, decimals=1).U.tolist() == ["0.5", "-1.2"]
    assert as_text(pd.DataFrame({"U": [0.25, float("nan")]})).U.tolist() == ["0.250", "–"]
