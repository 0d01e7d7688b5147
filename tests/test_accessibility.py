"""axe-core finds no violation of WCAG 2.1 A and AA on any page, in the light theme and in the dark one."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from book_pages import DESK, MARKS, PAGES

pytestmark = [*MARKS, pytest.mark.usefixtures("book")]

TAGS = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
"""What a theme changes."""

FORMULAS = {"exclude": [["mjx-container"]]}
"""MathJax's own drawing of a formula, thousands of paths on a page, is left out; the text it is in is not."""


def violations(page: Any, rules: dict[str, Any]) -> list[str]:
    """A line for each element at fault: the rule, where, and its HTML."""
    options = {"runOnly": rules, "resultTypes": ["violations"], "iframes": False}  # the rest costs time
    found = Axe().run(page, context=FORMULAS, options=options).response["violations"]
    return [f"{rule['id']}: {node['target']}: {node['html'][:160]}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_by_everybody(visit: Any, name: str) -> None:
    page = visit(name, viewport=DESK, color_scheme="light").page
    page.add_style_tag(content="* { transition: none !important; }")  # no colour is on its way when it is looked at
    assert violations(page, TAGS) == []
    page.emulate_media(color_scheme="dark")  # the theme follows
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert violations(page, COLOURS) == []


def test_a_violation_is_found(visit: Any) -> None:
    page = visit("index.html", viewport=DESK).page
    page.evaluate("document.querySelector('article').insertAdjacentHTML('beforeend', '<img src=\"_static/logo.svg\">')")
    page.evaluate("document.querySelector('article p').style.color = '#999'")
    found = " ".join(violations(page, TAGS))
    assert "image-alt" in found
    assert "color-contrast" in found
