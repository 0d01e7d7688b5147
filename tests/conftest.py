"""Fixtures of several files: the built book, served, and a browser that opens its pages; a tiny model in a folder."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from book_pages import CHROMIUM, HTML, NO_CHROMIUM
from llm_tiny import save


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line on stderr for each."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def book() -> None:
    """The book must be built."""
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

    if CHROMIUM is None:
        pytest.fail(NO_CHROMIUM, pytrace=False)
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


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny model of random weights."""
    return str(save(tmp_path_factory.mktemp("tiny") / "model"))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own."""
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path / "cache"))
