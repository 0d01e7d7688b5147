"""The static checks, the recorded outputs and the API page, as tests: one command runs everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "linrep").rglob("*.py")
    if path.name != "__init__.py"
)


@pytest.mark.parametrize("tool", [["ruff", "check"], ["mypy"]], ids=["ruff", "mypy"])
def test_static_checks_are_clean(tool: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_recording_belongs_to_a_chapter() -> None:
    chapters = {path.stem for path in (ROOT / "chapters").glob("*.md")}
    assert {path.stem for path in (ROOT / "tests" / "reference").glob("*.json")} <= chapters


@pytest.mark.parametrize("module", MODULES)
def test_the_api_page_has_every_module(module: str) -> None:
    assert f".. automodule:: {module}\n" in (ROOT / "chapters" / "api.md").read_text("utf-8")
