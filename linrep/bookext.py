"""The book's Sphinx extension: a changed package runs the pages again.

jupyter-cache knows a notebook by its cells alone. After an edit of the package the pages would keep their old numbers,
even through ``jupyter-book clean``. This extension keeps the executed pages in a folder that is named by a fingerprint
of everything their numbers depend on.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linrep.sweep.fingerprint import digest_of

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

LITERAL_OR_SIGN = re.compile(r"``.+?``|`.+?`|\||\*(?=#?(?:batch|shape)\b)")
NUMERICAL_PACKAGES = ("torch", "numpy", "numba", "matplotlib")


def page_inputs(root: Path) -> Iterator[Path]:
    """The files under the book's root, other than the pages themselves, that a page's outputs can depend on."""
    package = root / "linrep"
    yield from sorted(package.rglob("*.py"))
    yield from sorted(path for path in (package / "llm" / "data").rglob("*") if path.is_file())
    for folder in ("results", "benchmarks"):
        yield from sorted((root / folder).glob("*.json"))


def fingerprint(root: Path) -> str:
    """Sixteen hexadecimal digits of linrep's sources and data, the recorded results and the numerical packages."""
    return digest_of(root, page_inputs(root), NUMERICAL_PACKAGES)


def kernel_environment(root: Path) -> dict[str, str]:
    """The environment variables of every kernel that runs a chapter: in the build, the test and the recording.

    The kernels import linrep from ``root``, use this Python whatever kernels the user has installed elsewhere, draw
    inline, stay offline, and show no progress bars, which would end up in the page.
    """
    return {
        "PYTHONPATH": _prepended("PYTHONPATH", root),
        "JUPYTER_PATH": _prepended("JUPYTER_PATH", Path(sys.prefix) / "share" / "jupyter"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
        "GOMP_SPINCOUNT": "1000",  # threads that spin for long slow training tenfold on a busy machine
        "TQDM_DISABLE": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }


def _prepended(variable: str, path: Path) -> str:
    """The search path of that environment variable with ``path`` as its first entry, once."""
    rest = [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry and entry != str(path)]
    return os.pathsep.join([str(path), *rest])


def configure_execution(app: Sphinx, config: Config) -> None:
    """Choose the cache of executed pages by the fingerprint, and set the kernels' environment.

    myst-nb declares ``nb_execution_cache_path`` as a setting of the environment: when it differs from the last
    build's, Sphinx reads every page again, also those whose own text has not changed.
    """
    root = Path(app.srcdir)
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".jupyter_cache" / fingerprint(root))
    os.environ.update(kernel_environment(root))


def escape_signs(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep signs of a docstring that reStructuredText would read as markup.

    The bars of an absolute value would be a substitution, the star of a shape such as ``*batch dim`` an emphasis.
    """
    lines[:] = [
        LITERAL_OR_SIGN.sub(lambda match: rf"\{match.group()}" if match.group() in ("|", "*") else match.group(), line)
        for line in lines
    ]


def forget_failed_build(app: Sphinx, error: Exception | None) -> None:
    """Make the build after one with warnings read every page again.

    Sphinx warns of a page when it reads it: a second build with `-W`, which finds nothing to read, would pass.
    """
    if app._warncount:
        (Path(app.doctreedir) / "environment.pickle").unlink(missing_ok=True)


def leave_out_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Drop the scripts of sphinx-thebe, which Jupyter Book loads unasked.

    The book does not use it, it names a host outside, and Sphinx 7.4 writes its constants twice: a script error.
    """
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if "thebe" not in f"{script.filename} {script.attributes}"]


def replace_deprecated_roles(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Call an entry of the bibliography an item of its list: docutils' role for it is deprecated, and axe says so."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("config-inited", configure_execution)
    app.connect("autodoc-process-docstring", escape_signs, priority=900)  # after napoleon, which reads the sections
    app.connect("html-page-context", leave_out_thebe, priority=900)  # after those that add scripts to the page
    app.connect("html-page-context", replace_deprecated_roles, priority=900)
    app.connect("build-finished", forget_failed_build)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
