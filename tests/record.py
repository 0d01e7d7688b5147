"""Run the chapters and keep what their cells show: `make record`, or `make record CHAPTER=training`.

Prints what changed against the last recording, then replaces tests/reference/NAME.json. Read the difference before you
commit it: the recording is what `pytest --nbval chapters/` holds the chapters to.
"""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from nbclient import NotebookClient  # noqa: E402 - the path above comes first
from nbclient.exceptions import CellExecutionError  # noqa: E402
from nbval_md import code_cells, environment, is_notebook  # noqa: E402
from outputs import OutputError, reference_path, simplify, violations  # noqa: E402

from linrep.bookext import kernel_environment  # noqa: E402

CELL_TIMEOUT = 600


def chapters(names: list[str]) -> list[Path]:
    """The chapters of that name, or all those that have code, in the order of their names."""
    found = {path.stem: path for path in sorted((ROOT / "chapters").glob("*.md")) if is_notebook(path)}
    if unknown := [name for name in names if name not in found]:
        raise OutputError(f"no chapter with code is named {unknown[0]!r}; there are {', '.join(found)}")
    return [found[name] for name in names] if names else list(found.values())


def run(chapter: Path) -> list[dict[str, Any]]:
    """Execute a chapter in a new kernel: per code cell its source and its outputs as text."""
    notebook, cells = code_cells(chapter)
    resources = {"metadata": {"path": str(chapter.parent)}}
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT, kernel_name="python3", resources=resources)
    with environment(kernel_environment(ROOT)):
        client.execute(stderr=subprocess.DEVNULL)  # the kernel's log, not what cells write
    recorded = [{"source": cell.source, "outputs": simplify(cell.outputs)} for cell in cells]
    for number, cell in enumerate(recorded):
        for problem in violations(cell["outputs"]):
            raise OutputError(f"{chapter.name}, cell {number}: {problem}")
    return recorded


def shown(cells: list[dict[str, Any]]) -> Iterator[str]:
    """The lines that the difference of two recordings is made of."""
    for number, cell in enumerate(cells):
        for output in cell["outputs"]:
            for kind, text in output.items():
                yield f"cell {number} {kind}:"
                yield from text.rstrip("\n").split("\n")


def write_atomically(path: Path, text: str) -> None:
    """Write the file in one step: a recording that is cut off leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def record(chapter: Path) -> None:
    """Record one chapter and print what changed."""
    path = reference_path(chapter)
    old = json.loads(path.read_text("utf-8"))["cells"] if path.is_file() else []
    new = run(chapter)
    lines = list(difflib.unified_diff(list(shown(old)), list(shown(new)), "recorded", "now", lineterm="", n=1))
    print(f"{chapter.stem}: {len(new)} cells, " + ("outputs changed:" if lines else "the same outputs as before"))
    print("".join(f"{line}\n" for line in lines), end="", flush=True)
    write_atomically(path, json.dumps({"cells": new}, indent=1, ensure_ascii=False) + "\n")


def main(names: list[str]) -> int:
    """Record the named chapters, or all; 1 when one of them fails, with its reason on stderr."""
    try:
        for chapter in chapters(names):
            record(chapter)
    except OutputError as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    except CellExecutionError as error:
        print(f"record: a cell failed, nothing was written for its chapter\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
