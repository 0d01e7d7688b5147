"""The built book, and the browser that looks at it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
PHONE = {"width": 360, "height": 800}
TABLET = {"width": 768, "height": 1024}
DESK = {"width": 1440, "height": 900}


def find_chromium() -> str | None:
    """Where Chromium is: `LINREP_CHROMIUM`, else what is on the path."""
    names = (os.environ.get("LINREP_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, (shutil.which(name) for name in names if name)), None)


CHROMIUM = find_chromium()
NO_CHROMIUM = "there is no chromium: apt-get install chromium, or name one in LINREP_CHROMIUM"

MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None and os.environ.get("CI") != "true", reason=NO_CHROMIUM),
]
"""Of every file of browser tests. With CI=true a missing browser fails them."""


def book_pages() -> list[str]:
    """The pages of _toc.yml, as addresses within the book."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    chapters = [chapter for part in toc.get("parts", [toc]) for chapter in part["chapters"]]
    return [f"{name}.html" for name in (toc["root"], *(chapter["file"] for chapter in chapters))]


PAGES = book_pages()
