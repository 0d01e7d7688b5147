"""Proof by breaking: the book notices a changed package, a changed cell and a failing cell.

Each proof works on a copy of the project in a temporary folder, with a book of one page, and runs what a user runs:
`make book`, `make record` and `pytest --nbval chapters/`, without the set-up, which this environment has behind it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.book, pytest.mark.slow]

ROOT = Path(__file__).resolve().parent.parent
COPIED = ["linrep", "chapters/_static", "_config.yml", "references.bib", "pyproject.toml", "conftest.py", "Makefile"]
COPIED += ["tests/nbval_md.py", "tests/outputs.py", "tests/record.py"]
TOC = "format: jb-book\nroot: index\nchapters:\n  - file: chapters/proof\n"
PAGE = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  name: python3
---

# Proof

```{code-cell} ipython3
import torch

from linrep.geometry import mean_cosine

print(f"cosine {mean_cosine(torch.tensor([[1.0, 0.0], [1.0, 1.0]])):.3f}")
```

```{code-cell} ipython3
torch.tensor([0.25]);
```
"""
DENOMINATOR = "(count * (count - 1))"  # of mean_cosine, in linrep/geometry.py


def edit(path: Path, old: str, new: str) -> None:
    """Replace ``old``, which must be there."""
    text = path.read_text("utf-8")
    assert old in text, f"{old!r} is not in {path.name}: adjust this test"
    path.write_text(text.replace(old, new), "utf-8")


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the copy, whose linrep comes before the installed one."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTEST"))}
    environment = {**inherited, "PYTHONPATH": str(root)}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=300)


def make(root: Path, target: str) -> subprocess.CompletedProcess[str]:
    """`make TARGET` in the copy with this environment in place of .venv; -o: its set-up is done."""
    stamp = f"{sys.prefix}/.linrep-installed"
    return run(root, "make", target, f"VENV={sys.prefix}", "-o", stamp, "-o", "setup", "-o", "model")


def validate(root: Path) -> subprocess.CompletedProcess[str]:
    return run(root, sys.executable, "-m", "pytest", "--nbval", "chapters/", "-p", "no:cacheprovider")


def page(root: Path) -> str:
    return (root / "_build" / "html" / "chapters" / "proof.html").read_text("utf-8")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with one page, whose outputs are recorded."""
    root = tmp_path_factory.mktemp("recorded")
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    (root / "_toc.yml").write_text(TOC)
    (root / "index.md").write_text("# A book of one page\n")
    (root / "chapters" / "proof.md").write_text(PAGE)
    done = make(root, "record")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "+cosine 0.707" in done.stdout
    return root


@pytest.fixture
def project(recorded: Path, tmp_path: Path) -> Path:
    """A copy of the project that a test may break."""
    return Path(shutil.copytree(recorded, tmp_path / "project"))


def test_a_changed_package_fails_the_check_and_reaches_the_page(project: Path) -> None:
    checked, built = validate(project), make(project, "book")
    assert checked.returncode == 0, checked.stdout
    assert "2 passed" in checked.stdout
    assert built.returncode == 0, built.stdout + built.stderr
    assert "cosine 0.707" in page(project)

    edit(project / "linrep" / "geometry.py", DENOMINATOR, DENOMINATOR.replace("1", "0"))
    checked, rebuilt = validate(project), make(project, "book")
    assert checked.returncode == 1, checked.stdout
    assert "cosine 0.707" in checked.stdout  # was
    assert "cosine 0.354" in checked.stdout  # is now
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    assert "cosine 0.354" in page(project)
    assert "cosine 0.707" not in page(project)


def test_a_changed_cell_is_not_collected_until_it_is_recorded(project: Path) -> None:
    edit(project / "chapters" / "proof.md", "[1.0, 1.0]", "[0.0, 1.0]")
    checked = validate(project)
    assert checked.returncode not in (0, 1, 5), checked.stdout
    assert "make record CHAPTER=proof" in checked.stdout
    assert "passed" not in checked.stdout

    recorded = make(project, "record")
    assert "-cosine 0.707" in recorded.stdout
    assert "+cosine 0.000" in recorded.stdout
    assert validate(project).returncode == 0


@pytest.mark.parametrize(
    ("cell", "reason", "in_build"),
    [
        ("raise ArithmeticError('verdict: different')", "verdict: different", "verdict: different"),
        ("import warnings; warnings.warn('step too large')", "step too large", "stderr was found"),
    ],
    ids=["exception", "warning"],
)
def test_a_failing_cell_fails_build_recording_and_check(project: Path, cell: str, reason: str, in_build: str) -> None:
    chapter = project / "chapters" / "proof.md"
    reference = project / "tests" / "reference" / "proof.json"
    before = reference.read_text()
    edit(chapter, "torch.tensor([0.25]);", cell)
    built, again, recorded = make(project, "book"), make(project, "book"), make(project, "record")
    assert built.returncode != 0
    assert in_build in built.stdout + built.stderr
    assert again.returncode != 0, "the second build of a failing page passed"
    assert recorded.returncode != 0
    assert reason in recorded.stdout + recorded.stderr
    assert reference.read_text() == before

    edit(reference, "torch.tensor([0.25]);", cell)  # as if the cell had been recorded before it failed
    checked = validate(project)
    assert checked.returncode == 1
    assert reason in checked.stdout


def test_a_warning_of_sphinx_fails_the_build_every_time(project: Path) -> None:
    index = project / "index.md"
    index.write_text(index.read_text() + "\nSee {doc}`chapters/no_such_page`.\n")
    assert make(project, "book").returncode != 0
    assert make(project, "book").returncode != 0


def test_too_many_decimals_are_not_recorded(project: Path) -> None:
    edit(project / "chapters" / "proof.md", ":.3f", ":.4f")
    done = make(project, "record")
    assert done.returncode != 0
    assert "round it to 3 decimals" in done.stderr
