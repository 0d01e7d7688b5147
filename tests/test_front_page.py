"""The front page in a browser: its cubes grow, turn, and have a still in their place without a script and on paper."""

from __future__ import annotations

from typing import Any

import pytest
from book_pages import DESK, MARKS, PHONE

pytestmark = [*MARKS, pytest.mark.usefixtures("book")]

CIRCLES = ".growth-stage circle"
PLACES = "circles => circles.map(circle => [Number(circle.getAttribute('cx')), Number(circle.getAttribute('cy'))])"


def spread(page: Any) -> float:
    """How far the words of both drawings are apart, in pixels."""
    places = page.locator(CIRCLES).evaluate_all(PLACES)
    assert len(places) == 16
    return max(abs(place[axis] - other[axis]) for place in places for other in places for axis in (0, 1))


def test_the_slider_moves_the_words_and_tells_the_clock(visit: Any) -> None:
    page = visit("index.html", viewport=DESK).page
    slider = page.locator(".growth input[type=range]")
    grown = spread(page)
    slider.focus()
    page.keyboard.press("Home")
    assert page.locator(".growth-clock").text_content() == "clock 0"
    assert spread(page) < grown / 4
    page.keyboard.press("End")
    assert page.locator(".growth-clock").text_content() == "clock 1,000"
    assert spread(page) == grown
    assert "U 1.00" in page.locator(".growth-readout").first.text_content()


def test_play_runs_to_the_end_and_can_be_stopped(visit: Any) -> None:
    page = visit("index.html", viewport=DESK).page
    button = page.get_by_role("button", name="Play")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("Number(document.querySelector('.growth input').value) >= 3")
    stop = page.get_by_role("button", name="Pause")
    stop.click()
    at = page.locator(".growth input").input_value()
    page.wait_for_timeout(400)
    assert page.locator(".growth input").input_value() == at


def test_arrow_keys_and_the_mouse_turn_both_drawings(visit: Any) -> None:
    page = visit("index.html", viewport=DESK).page
    places = page.locator(CIRCLES)
    before = places.evaluate_all(PLACES)
    page.locator(".growth-stage svg").first.focus()
    page.keyboard.press("ArrowRight")
    turned = places.evaluate_all(PLACES)
    assert all(one != other for one, other in zip(before, turned, strict=True))
    box = page.locator(".growth-stage svg").nth(1).bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 100, steps=4)
    page.mouse.up()
    assert places.evaluate_all(PLACES) != turned


def test_a_still_picture_stands_in_without_a_script_and_on_paper(visit: Any) -> None:
    page = visit("index.html", viewport=DESK).page
    still, live = page.locator(".growth-still"), page.locator(".growth-live")
    assert not still.is_visible()
    assert live.is_visible()
    page.emulate_media(media="print")
    assert still.is_visible()
    assert not live.is_visible()
    bare = visit("index.html", viewport=DESK, java_script_enabled=False).page
    assert bare.locator(".growth-still").is_visible()
    assert bare.locator(".growth-live").count() == 0


@pytest.mark.parametrize("viewport", [PHONE, DESK])
def test_question_answer_finding_and_the_picture_come_first(visit: Any, viewport: dict[str, int]) -> None:
    page = visit("index.html", viewport=viewport).page
    tops = [
        page.get_by_text(f"{word}.", exact=True).first.bounding_box()["y"]
        for word in ("The question", "The answer", "Past the paper")
    ]
    picture = page.locator(".growth-live").bounding_box()
    assert sorted(tops) == tops
    assert tops[-1] < picture["y"] < viewport["height"]
