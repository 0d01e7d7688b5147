"""The built pages in a browser: they load nothing from outside, show their math, and lead nowhere that is not there."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
SKIP_REASON = "there is no chromium: apt-get install chromium"

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason=SKIP_REASON)]


def book_pages() -> list[str]:
    """The pages of _toc.yml, as addresses within the book."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    chapters = [chapter for part in toc.get("parts", [toc]) for chapter in part["chapters"]]
    return [f"{name}.html" for name in (toc["root"], *(chapter["file"] for chapter in chapters))]


PAGES = book_pages()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line on stderr for each."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module", autouse=True)
def book() -> None:
    """Every test here looks at the built book."""
    if not (HTML / "index.html").is_file():
        pytest.fail("there is no built book in _build/html: make book", pytrace=False)


@pytest.fixture(scope="module")
def address(book: None) -> Iterator[str]:
    """The address at which the built book is served."""
    handler = functools.partial(QuietHandler, directory=str(HTML))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


class Visit:
    """A page that was opened: the page, what it logged, and which hosts it asked for something."""

    def __init__(self, browser: Any, address: str, name: str, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.problems: list[str] = []
        self.outside: list[str] = []
        self.context.route("**/*", lambda route: self._answer(route, address))
        self.page = self.context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("response", self._on_response)
        self.page.goto(address + name, wait_until="load")
        if self.page.locator(".math").count():
            self.page.wait_for_function("() => window.MathJax && MathJax.startup && MathJax.startup.promise")
            self.page.evaluate("() => MathJax.startup.promise.then(() => null)")

    def _answer(self, route: Any, address: str) -> None:
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def _on_response(self, response: Any) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} for {response.url}")


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    """Opens pages, and closes them after the test."""
    visits: list[Visit] = []

    def open_page(name: str, **context: Any) -> Visit:
        visits.append(Visit(browser, address, name, **context))
        return visits[-1]

    yield open_page
    for each in visits:
        each.context.close()


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
def test_a_page_fits_a_phone(visit: Any, name: str) -> None:
    page = visit(name, viewport=PHONE, is_mobile=True, has_touch=True).page
    width = page.evaluate("document.documentElement.scrollWidth")
    wide = f"""[...document.querySelectorAll('article *')]
        .filter(element => element.getBoundingClientRect().width > {PHONE["width"]})
        .slice(0, 5).map(element => element.outerHTML.slice(0, 150))"""
    assert width <= PHONE["width"], f"the page is {width} pixels wide: {page.evaluate(wide)}"


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
