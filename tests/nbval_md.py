"""Makes nbval check the MyST chapters: `pytest --nbval chapters/` runs their cells and compares what they show.

nbval knows .ipynb files only. A .md file whose front matter has a kernelspec is read with jupytext instead, and its
reference outputs come from tests/reference/, where `make record` puts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jupytext
import pytest
import yaml
from nbval.plugin import IPyNbCell, IPyNbFile
from outputs import OutputError, difference, load_reference, simplify, violations

from linrep.bookext import kernel_environment

OPTIONS = {"skip": False, "check": True, "check_exception": False}  # nbval's: run every cell, compare what it shows


def is_notebook(path: Path) -> bool:
    """True for a Markdown file whose front matter names a kernel."""
    head, _, rest = path.read_text("utf-8").partition("---\n")
    if head.strip() or not rest:
        return False
    matter = yaml.safe_load(rest.partition("\n---")[0])
    return isinstance(matter, dict) and "kernelspec" in matter


def code_cells(path: Path) -> Any:
    """The notebook of a chapter, and its code cells."""
    notebook = jupytext.read(path, fmt="md:myst")
    return notebook, [cell for cell in notebook.cells if cell.cell_type == "code"]


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a block; a kernel that starts inside inherits them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


class ChapterFile(IPyNbFile):
    """A chapter: collects one test per code cell, all of which run in one kernel."""

    def collect(self) -> Iterator[ChapterCell]:
        self.nb, cells = code_cells(self.path)
        try:
            references = load_reference(self.path, [cell.source for cell in cells])
        except OutputError as error:
            raise self.CollectError(str(error)) from None
        for number, (cell, reference) in enumerate(zip(cells, references, strict=True)):
            yield ChapterCell.from_parent(
                self, name=f"Cell {number}", cell_num=number, cell=cell, options=OPTIONS, reference=reference
            )

    def setup(self) -> None:
        with environment(kernel_environment(self.config.rootpath)):
            super().setup()
        # nbval runs cells outside of the history, where IPython overlooks the semicolon that keeps a result from show.
        self.kernel.execute_cell_input = partial(self.kernel.kc.execute, store_history=True, stop_on_error=False)


class ChapterCell(IPyNbCell):
    """A code cell: fails when it raises, breaks a rule of the house, or shows something else than the reference."""

    def __init__(self, *, reference: list[dict[str, str]], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.reference = reference
        self.cell.execution_count = self.cell_num + 1  # nbval compares no cell that looks as if it had never run

    def compare_outputs(self, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        """The comparison of outputs.py in place of nbval's; ``ref`` is empty, since a .md has no outputs."""
        computed = simplify(test)
        problems = list(violations(computed))
        if not problems and (changed := difference(self.reference, computed)):
            problems = [changed, "Is it meant? Then: make record"]
        self.comparison_traceback = problems
        return not problems

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.path.relative_to(self.config.rootpath).as_posix()}::Cell {self.cell_num}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ChapterFile | None:
    """Collect a chapter when `--nbval` is given."""
    if parent.config.option.nbval and file_path.suffix == ".md" and is_notebook(file_path):
        chapter: ChapterFile = ChapterFile.from_parent(parent, path=file_path)
        return chapter
    return None
