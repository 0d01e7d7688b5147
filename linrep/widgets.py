"""What moves on a page: HTML with its numbers in it, for a small script of the book. It works without a server.

Without the script, and on paper, a still picture stands in its place.
"""

import base64
import io
import json
from collections.abc import Mapping
from html import escape

import numpy as np
from matplotlib.figure import Figure

from linrep.experiments.growth import CONCEPTS, Growth

SCRIPT = "_static/growth.js"
"""Beside the book's first page."""

DECIMALS = 3


def growing_cubes(courses: Mapping[str, Growth], *, still: Figure, alt: str, script: str = SCRIPT) -> str:
    """HTML: for each course a drawing of its words, with one slider over training and a play button for all.

    Args:
        courses: by title; all have the same clocks, words and pairs.
        still: what is shown without the script and in print. alt: what it shows, in words.
        script: where the script is, from the page.
    """
    first = next(iter(courses.values()))
    numbers = {
        "clocks": first.clocks.tolist(),
        "names": first.names,
        "pairs": [pair.tolist() for pair in first.pairs],
        "concepts": list(CONCEPTS),
        "courses": [_course(title, each) for title, each in courses.items()],
    }
    text = json.dumps(numbers, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<div class="growth"><img class="growth-still" src="{_inline(still)}" alt="{escape(alt)}">'
        f'<script type="application/json">{text}</script><script src="{escape(script)}" defer></script></div>'
    )


def _course(title: str, course: Growth) -> dict[str, object]:
    columns = {"kl": course.kl, "linearity": course.linearity, "points": course.points}
    return {"title": title} | {name: np.round(values, DECIMALS).tolist() for name, values in columns.items()}


def _inline(figure: Figure) -> str:
    """A figure as a data address."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
