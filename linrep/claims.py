"""Claims: a statement, what was measured for it, what its control gave, and the verdict that follows.

Chapters compute claims and hold them to the record that the table of theorems is made from: a claim whose verdict or
number has moved fails the build.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import pandas as pd

from linrep.errors import InputError, LinrepError
from linrep.results import Record, read_record, results_folder

Word = Literal["reproduced", "different", "undecided", "holds in range", "new"]
"""The words of a verdict. A theorem whose number and control come out as it says "holds in range"; one that does not
hold as printed is "different", also where a corrected form of it holds, and so is a prediction that failed."""

TOLERANCE = 0.002
"""Numbers agree when they differ by at most this, absolutely below 1 and relatively above."""

RECORD = "theorems"


@dataclass(frozen=True)
class Claim:
    """One claim with its evidence.

    Attributes:
        key: its name in records, such as "theorem-3".
        statement: the claim in one line of plain words.
        source: "paper, Theorem 3", or "ours".
        hypotheses: what it assumes, each by name.
        verdict: one of `Word`.
        measured: what `number` is, with range, seeds and clock.
        number: the measured value.
        broken: what the control breaks, and what `control` is.
        control: the control's value of the same measure.
        where: the label of the claim's place in the book.
        paper: the paper's value of the same measure, where it prints one.
        low, high: the 95 % interval of `number`, where it is a mean over independent runs.
    """

    key: str
    statement: str
    source: str
    hypotheses: str
    verdict: Word
    measured: str
    number: float
    broken: str
    control: float
    where: str
    paper: float | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Refuse a word that is no verdict, and a number that is none."""
        if self.verdict not in get_args(Word):
            raise InputError(f"claim {self.key} has verdict {self.verdict!r}; allowed are {', '.join(get_args(Word))}")
        for name in ("number", "control", "paper", "low", "high"):
            value = getattr(self, name)
            if not (value is None and name in ("paper", "low", "high")) and not math.isfinite(value):
                raise InputError(f"claim {self.key} has {name} {value}; it must be finite")


def claims_table(claims: Sequence[Claim]) -> pd.DataFrame:
    """What the end of a chapter shows: source, verdict, number and control of each claim, and the paper's value."""
    rows = [
        {
            "claim": claim.key,
            "source": claim.source,
            "verdict": claim.verdict,
            "number": shown(claim.number),
            "control": shown(claim.control),
            "paper": "" if claim.paper is None else shown(claim.paper),
        }
        for claim in claims
    ]
    table = pd.DataFrame(rows).set_index("claim")
    return table if (table["paper"] != "").any() else table.drop(columns="paper")


def shown(number: float) -> str:
    """A number with at most three decimals; one that would show as zero but is not, as a bound."""
    if 0 < abs(number) < 0.0005:
        return "< 0.001" if number > 0 else "> −0.001"
    return f"{number:,.3f}" if abs(number) < 1000 else f"{number:,.0f}"


def agree(first: float, second: float, *, tolerance: float = TOLERANCE) -> bool:
    """Whether two numbers differ by at most `tolerance`, absolutely below 1 and relatively above."""
    return abs(first - second) <= tolerance * max(1.0, abs(first), abs(second))


def recorded_claims() -> list[Claim]:
    """The claims on record, in the order of the book.

    Raises:
        InputError: there is no record, or one whose rows are not claims.
    """
    record = read_record(results_folder() / f"{RECORD}.json")
    names = [each.name for each in fields(Claim)]
    rows: list[dict[str, Any]] = record.body[record.rows]
    if any(sorted(row) != sorted(names) for row in rows):
        raise InputError(f"the record {RECORD} does not hold claims; write it again: linrep run {RECORD}")
    return [Claim(**row) for row in rows]


def require_recorded(claims: Sequence[Claim]) -> None:
    """Hold claims computed here and now to those on record.

    Raises:
        LinrepError: a claim is not on record, or its words, verdict or numbers differ; names the first one.
    """
    recorded = {claim.key: claim for claim in recorded_claims()}
    for claim in claims:
        old = recorded.get(claim.key)
        if old is None:
            raise LinrepError(f"claim {claim.key} is not on record; write it: linrep run {RECORD}")
        for name, value in asdict(claim).items():
            before = getattr(old, name)
            same = agree(before, value) if isinstance(value, float) else before == value
            if not same:
                raise LinrepError(
                    f"claim {claim.key}: {name} is {value!r}, on record it is {before!r}; if that is meant: "
                    f"linrep run {RECORD}"
                )


def claims_record(claims: Sequence[Claim], *, seconds: float) -> Record:
    """The record of all claims.

    Raises:
        InputError: two claims of one key.
    """
    keys = [claim.key for claim in claims]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(f"two claims have the key {twice[0]!r}; keys must differ")
    return Record(RECORD, {}, (), "claims", {"claims": [asdict(claim) for claim in claims]}, seconds)
