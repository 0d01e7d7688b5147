"""The built pages in a browser: they load nothing from outside, show their math, and lead nowhere that is not there."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from book_pages import DESK, HTML, MARKS, PAGES, PHONE, TABLET

pytestmark = [*MARKS, pytest.mark.usefixtures("book")]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_loads_from_here_alone_without_complaint(visit: Any, name: str, scheme: str) -> None:
    opened = visit(name, viewport=DESK, color_scheme=scheme)
    assert opened.outside == []
    assert opened.problems == []
    assert opened.page.evaluate("document.documentElement.dataset.theme") == scheme


@pytest.mark.parametrize("name", PAGES)
def test_math_is_rendered(visit: Any, name: str) -> None:
    page = visit(name, viewport=DESK).page
    assert page.locator(".math:not(:has(mjx-container))").all_text_contents() == []
    # MathJax draws an unknown command in red, and anything else that it cannot read as an merror.
    errors = page.locator("mjx-container:has([data-mml-node='merror'], [fill='red'])")
    assert errors.all_text_contents() == []


@pytest.mark.parametrize("name", PAGES)
def test_images_are_drawn_and_described(visit: Any, name: str) -> None:
    page = visit(name, viewport=DESK).page
    page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    broken = "images => images.filter(image => !image.naturalWidth).map(image => image.src)"
    nameless = "images => images.filter(image => !image.alt).map(image => image.src)"
    assert page.locator("img").evaluate_all(broken) == []
    assert page.locator("article img").evaluate_all(nameless) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_phone_tablet_and_desk(visit: Any, name: str) -> None:
    page = visit(name, viewport=PHONE).page
    for viewport in (PHONE, TABLET, DESK):
        page.set_viewport_size(viewport)
        width = page.evaluate("document.documentElement.scrollWidth")
        wide = f"""[...document.querySelectorAll('article *')]
            .filter(element => element.getBoundingClientRect().width > {viewport["width"]})
            .slice(0, 5).map(element => element.outerHTML.slice(0, 150))"""
        assert width <= viewport["width"], f"the page is {width} pixels wide: {page.evaluate(wide)}"


@functools.cache
def anchors(path: Path) -> frozenset[str]:
    """The ids in a page."""
    return frozenset(re.findall(r'\bid="([^"]+)"', path.read_text("utf-8")))


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_pages_and_anchors_that_exist(address: str, name: str) -> None:
    broken = []
    for link in re.findall(r'<a\b[^>]*?\bhref="([^"]+)"', (HTML / name).read_text("utf-8")):
        where, anchor = urldefrag(urljoin(address + name, link.replace("&amp;", "&")))
        if not where.startswith(address):
            continue
        path = HTML / unquote(urlsplit(where).path).lstrip("/")
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file() or (anchor and path.suffix == ".html" and unquote(anchor) not in anchors(path)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", PAGES)
def test_no_page_names_a_script_style_or_image_outside(name: str) -> None:
    tags = re.findall(r"<(?:script|link|img|iframe|source|video)\b[^>]*>", (HTML / name).read_text("utf-8"))
    outside = [tag for tag in tags if re.search(r'(?:src|href)="(?:https?:)?//', tag) and 'rel="canonical"' not in tag]
    assert outside == []
