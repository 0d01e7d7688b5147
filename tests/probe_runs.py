"""Runs of `linrep probe` for its tests: small files, and one call of the command."""

import json
from pathlib import Path
from typing import Any

import pytest

from linrep.cli import main

GENDER = "king\tqueen\nman\twoman\nuncle\taunt\nactor\tactress\nboy\tgirl\n"
AGE = "boy\tman\ngirl\twoman\nuncle\truler\n"
CONTEXTS = (
    "gender\ta king man\ta queen man\ngender\ta boy ruler\ta girl ruler\ngender\ta man\ta woman\n"
    "age\ta boy\ta man\nage\ta girl king\ta woman king\nstranger\ta king\ta boy\nstranger\ta man\ta girl\n"
)


def pairs_folder(tmp_path: Path, **files: str | bytes) -> str:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.tsv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder)


def contexts_file(tmp_path: Path, content: str | bytes) -> str:
    path = tmp_path / "contexts.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one call."""
    with pytest.raises(SystemExit) as end:
        main(["probe", *arguments])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def record(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    status, out, err = run(capsys, *arguments, "--json", "-")
    assert (status, err) == (0, "")
    return json.loads(out)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status, out, err = run(capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("linrep: error: ")
    return err
