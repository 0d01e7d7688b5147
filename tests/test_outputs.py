"""The rules by which a chapter's outputs are recorded and compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from outputs import OutputError, difference, load_reference, same_number, same_text, simplify, violations

STREAMS = [
    {"output_type": "stream", "name": "stdout", "text": "one\n"},
    {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}},
    {"output_type": "stream", "name": "stdout", "text": "two\n"},
]


@pytest.mark.parametrize(
    ("reference", "computed", "same"),
    [
        ("0.123", "0.124", True),
        ("0.123", "0.125", False),
        ("-0.000", "0.001", True),
        ("1.00", "0.99", True),
        ("9.99", "10.00", True),
        ("0.5", "0.50", False),  # another format
        ("17", "18", False),  # a count
        ("1.2e-05", "1.3e-05", True),
        ("9.9e-06", "1.0e-05", True),
        ("1.2e-05", "1.2e-04", False),
        ("\u22120.12", "-0.13", True),
    ],
)
def test_numbers_agree_to_one_unit_of_the_last_printed_digit(reference: str, computed: str, same: bool) -> None:
    assert same_number(reference, computed) is same
    assert same_number(computed, reference) is same


@pytest.mark.parametrize(
    ("reference", "computed", "same"),
    [
        ("U  0.981\nE -0.000", "U  0.982\nE  0.000", True),
        ("U 0.981", "E 0.981", False),
        ("U 0.981", "U 0.981 0.2", False),
        ("U 0.981", "U nan", False),
        ("a b", "ab", False),
        ("3 of 20 seeds", "4 of 20 seeds", False),
        ("U 0.98\nE 0.97", "U 0.98 E 0.97", False),
    ],
)
def test_the_text_around_the_numbers_must_agree(reference: str, computed: str, same: bool) -> None:
    assert same_text(reference, computed) is same


def test_streams_are_joined_and_pictures_keep_their_type_only() -> None:
    assert simplify(STREAMS) == [{"stdout": "one\ntwo\n"}, {"image/png": "(picture)", "text/plain": "<Figure>"}]


def test_addresses_and_kernel_paths_do_not_count() -> None:
    texts = [f"<object at 0x7f{n}00aa0011> in /tmp/ipykernel_{n}/{n}23.py" for n in (1, 2)]
    first, second = (simplify([{"output_type": "stream", "name": "stdout", "text": text}]) for text in texts)
    assert first == second


def test_a_table_is_compared_by_its_cells() -> None:
    table = '<style>td {{width: 0.12345em}}</style><table><tr><td id="{}">{}</td><td>x</td></tr></table>'
    values = ("a", "0.50"), ("b", "0.51"), ("c", "0.53")
    old, new, other = ([{"text/html": table.format(*value)}] for value in values)
    assert difference(old, new) == difference(old, old) is None
    assert "0.53" in str(difference(old, other))
    assert not list(violations(old))


def test_a_missing_picture_and_another_count_of_outputs_are_differences() -> None:
    shown = simplify(STREAMS)
    assert difference(shown, shown) is None
    assert "2 outputs, the cell now has 1" in str(difference(shown, shown[:1]))
    assert "image/png" in str(difference(shown, [shown[0], {"text/plain": "<Figure>"}]))


@pytest.mark.parametrize("text", ["0.1234", "x = 12.34567e-8", "<td>0.9999</td>"])
def test_more_than_three_decimals_are_refused(text: str) -> None:
    assert [problem for problem in violations([{"stdout": text}]) if "round it to 3 decimals" in problem]
    assert [problem for problem in violations([{"text/html": text}]) if "round it to 3 decimals" in problem]


def test_stderr_is_refused() -> None:
    outputs = simplify([{"output_type": "stream", "name": "stderr", "text": "UserWarning: step too large\n"}])
    assert "UserWarning" in next(violations(outputs))
    assert not list(violations([{"stdout": "0.123 12345 1e-12"}]))


def test_a_reference_of_other_cells_names_the_command(tmp_path: Path) -> None:
    chapter, folder = tmp_path / "chapters" / "page.md", tmp_path / "tests" / "reference"
    folder.mkdir(parents=True)
    with pytest.raises(OutputError, match=r"no recorded outputs .*make record CHAPTER=page"):
        load_reference(chapter, ["1"])
    (folder / "page.json").write_text(json.dumps({"cells": [{"source": "1", "outputs": [{"text/plain": "1"}]}]}))
    assert load_reference(chapter, ["1"]) == [[{"text/plain": "1"}]]
    with pytest.raises(OutputError, match=r"changed since .*make record CHAPTER=page"):
        load_reference(chapter, ["1", "2"])
