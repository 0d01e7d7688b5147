"""Claims and their record: a claim that has moved is refused, and the message says which and how."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from linrep import claims
from linrep.claims import Claim, agree, claims_record, claims_table, recorded_claims, require_recorded, shown
from linrep.errors import InputError, LinrepError
from linrep.experiments.catalogue import EXPERIMENTS, experiment
from linrep.results import read_record, require_agreement, results_folder, write_record

CLAIM = Claim(
    key="theorem-0",
    statement="All cosines are one.",
    source="ours",
    hypotheses="H1 a start, H2 a step",
    verdict="holds in range",
    measured="mean cosine, 20 seeds, clock 1,000",
    number=0.999,
    broken="H1: the mean cosine from another start",
    control=0.25,
    where="linear:thm-0",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results with the record of one claim."""
    monkeypatch.setattr(claims, "results_folder", lambda: tmp_path)
    write_record(claims_record([CLAIM], seconds=1.0), tmp_path / "theorems.json")
    return tmp_path


def test_a_claim_survives_its_record(folder: Path) -> None:
    assert recorded_claims() == [CLAIM]
    require_recorded([CLAIM])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"number": 0.99}, "number is 0.99, on record it is 0.999"),
        ({"control": 0.26}, "control is 0.26, on record it is 0.25"),
        ({"verdict": "different"}, "verdict is 'different', on record it is 'holds in range'"),
        ({"statement": "Nearly all."}, "statement is 'Nearly all.'"),
        ({"key": "theorem-1"}, "claim theorem-1 is not on record"),
    ],
)
def test_a_claim_that_moved_is_refused(folder: Path, change: dict, complaint: str) -> None:
    with pytest.raises(LinrepError, match=complaint.replace("(", r"\(")):
        require_recorded([replace(CLAIM, **change)])


def test_rounding_is_no_change(folder: Path) -> None:
    require_recorded([replace(CLAIM, number=CLAIM.number + 0.0015)])


def test_numbers_agree_absolutely_below_one_and_relatively_above() -> None:
    assert agree(0.5, 0.5015)
    assert not agree(0.5, 0.5025)
    assert agree(1000, 1001.5)
    assert not agree(1000, 1003)


def test_the_record_must_hold_claims(folder: Path) -> None:
    path = folder / "theorems.json"
    path.write_text(path.read_text("utf-8").replace('"hypotheses"', '"hypothesis"'), "utf-8")
    with pytest.raises(InputError, match="does not hold claims"):
        recorded_claims()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"verdict": "proved"}, "proved"),
        ({"number": float("nan")}, "number nan"),
        ({"control": float("inf")}, "inf"),
    ],
)
def test_what_is_no_claim_is_refused(change: dict, complaint: str) -> None:
    with pytest.raises(
        (InputError, TypeError), match=complaint
    ):  # the type check of the tests may be the first to see it
        replace(CLAIM, **change)


def test_a_key_names_one_claim() -> None:
    with pytest.raises(InputError, match="two claims have the key 'theorem-0'"):
        claims_record([CLAIM, CLAIM], seconds=0.0)


def test_small_numbers_are_shown_as_bounds() -> None:
    assert [shown(x) for x in (0.0, 1e-9, -1e-9, 0.25, 12345.678)] == [
        "0.000",
        "< 0.001",
        "> −0.001",
        "0.250",
        "12,346",
    ]
    assert list(claims_table([CLAIM])["number"]) == ["0.999"]


RECORDED = pd.DataFrame({"seed": [0, 1], "value": [0.5, 200.0]})


@pytest.mark.parametrize(
    ("live", "complaint"),
    [
        (pd.DataFrame({"seed": [0], "value": [0.502]}), "seed = 0: value is 0.502, on record it is 0.5"),
        (pd.DataFrame({"seed": [1], "value": [200.3]}), "seed = 1: value is 200.3"),
        (pd.DataFrame({"seed": [2], "value": [0.5]}), "seed = 2 is not on record"),
        (pd.DataFrame({"seed": [0], "value": [float("nan")]}), "value is nan"),
        (RECORDED[:0], "no live row"),
    ],
)
def test_a_live_row_that_left_its_record_is_refused(live: pd.DataFrame, complaint: str) -> None:
    with pytest.raises(LinrepError, match=complaint):
        require_agreement(RECORDED, live, on=["seed"], columns=["value"], tolerance=0.001)


def test_live_rows_that_agree_pass() -> None:
    live = pd.DataFrame({"seed": [1, 0], "value": [200.15, 0.5005]})
    require_agreement(RECORDED, live, on=["seed"], columns=["value"], tolerance=0.001)


def test_every_named_experiment_is_there_and_has_its_record() -> None:
    for name in EXPERIMENTS:
        assert callable(experiment(name))
        assert read_record(results_folder() / f"{name}.json").kind == name


def test_an_unknown_experiment_is_refused_with_the_list() -> None:
    with pytest.raises(InputError, match=r"no experiment 'table9'; there are .*theorems"):
        experiment("table9")
