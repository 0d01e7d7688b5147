"""Figures and page of `linrep probe`: whole or not at all, self-contained, safe with anybody's words, and readable."""

import base64
import errno
import io
import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from book_pages import MARKS
from probe_runs import AGE, CONTEXTS, GENDER, contexts_file, pairs_folder, refusal, run

from linrep.llm import drawings, full_probe
from linrep.llm.drawings import FILES, NAMES
from linrep.llm.html_parts import STYLE
from linrep.llm.report_html import ALIGNMENT_SAYS, SAYS, chance, number

EVIL = "<script>alert(1)</script>"
ODD = "a<b>&'$\\frac$"
"""A name that is no HTML, and no formula of matplotlib's."""
VOID = {"meta", "img"}


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def given(tiny_model: str, tmp_path: Path) -> list[str]:
    """A run with everything, on names and words that try to be more than text."""
    files = {"gender": GENDER + f"{EVIL}\t&amp;\n", "age": AGE, ODD: "king\tman\nqueen\tgirl\nactor\tboy\n"}
    texts = CONTEXTS + f"{EVIL}\ta king\ta queen\n{EVIL}\ta man\ta boy\n"
    pairs = pairs_folder(tmp_path, **files)
    return ["--model", tiny_model, "--pairs", pairs, "--contexts", contexts_file(tmp_path, texts), "--untrained"]


class Page(HTMLParser):
    """What a page is made of; fails on tags that do not close in order."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page(given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Page, dict[str, Any], Path]:
    """The page, the record of the same run, and the page's file."""
    html, target = tmp_path / "page.html", tmp_path / "record.json"
    assert run(capsys, *given, "--html", str(html), "--json", str(target)) == (0, "", "")
    return Page(html.read_text("utf-8")), json.loads(target.read_text("utf-8")), html


def test_the_page_stands_alone_and_shows_the_words_as_text(page: tuple[Page, dict[str, Any], Path]) -> None:
    made, _, _ = page
    assert {tag for tag, _ in made.tags}.isdisjoint({"script", "link", "iframe", "object", "b", "a"})
    assert made.all("html") == [{"lang": "en"}]
    assert f"{EVIL}" in made.text
    assert "&amp;" in made.text
    assert ODD in made.text
    assert len(made.all("img")) == len(NAMES)
    for image in made.all("img"):
        source = image["src"] or ""
        assert source.startswith("data:image/svg+xml;base64,")
        assert len(image["alt"] or "") > 40
        drawn = base64.b64decode(source.partition(",")[2]).decode()
        assert "<script" not in drawn
        assert 'href="http' not in drawn
    assert not any(name.startswith("on") for _, attributes in made.tags for name in attributes)
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    for box in made.all("div"):
        assert (box["class"], box["tabindex"], box["role"]) == ("box", "0", "region")
    assert len(made.all("div")) == len(made.all("table"))


def test_the_page_has_every_number_and_every_reason(page: tuple[Page, dict[str, Any], Path]) -> None:
    made, record, _ = page
    for concept in record["concepts"]:
        assert concept["name"] in made.text
        for product, value in concept["within"].items():
            assert number(value) in made.text
            assert chance(concept["null"][product]["q"]) in made.text
        assert all(drop["reason"] in made.text for drop in concept["dropped"])
        assert concept["note"] is None or concept["note"] in made.text
    for product, found in record["alignment"]["products"].items():
        for line in found["concepts"]:
            assert number(line["own"]) in made.text
            assert line["interval"] is None or " to ".join(map(number, line["interval"])) in made.text
        assert f"{found['matched']} of {found['of']}" in made.text
        assert number(record["untrained"]["between"][product]) in made.text
        assert number(record["between"][product]) in made.text
    for text in (*SAYS, *ALIGNMENT_SAYS, record["version"], record["config"]["pairs"], "linrep probe --model"):
        assert text in made.text
    assert "nan" not in made.text.lower().replace("untrained", "").split()


def test_numbers_and_chances_as_text() -> None:
    assert [number(value) for value in (None, float("nan"), -0.25, 1 / 3)] == ["–", "–", "−0.250", "0.333"]
    assert [chance(p) for p in (None, 1 / 4096, 0.001, 0.5)] == ["–", "< 0.001", "0.001", "0.500"]


def test_the_figures_are_pictures_and_the_same_twice(given: list[str], tmp_path: Path, capsys) -> None:
    folder, again = tmp_path / "figures", tmp_path / "again"
    assert run(capsys, *given, "--figures", str(folder))[0] == 0
    assert {file.name for file in folder.iterdir()} == set(FILES)
    for file in folder.iterdir():
        start = b"\x89PNG\r\n\x1a\n" if file.suffix == ".png" else b"<?xml"
        assert file.read_bytes().startswith(start)
    again.mkdir()
    (again / "within.png").write_bytes(b"old")
    (again / "mine.txt").write_bytes(b"mine")
    assert run(capsys, *given, "--figures", str(again))[0] == 0
    assert {file.name for file in again.iterdir()} == {*FILES, "mine.txt"}
    assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in FILES)


def test_one_concept_has_a_page_and_one_figure(tiny_model: str, tmp_path: Path, capsys) -> None:
    pairs, html = pairs_folder(tmp_path, gender="king\tqueen\nman\twoman\n"), tmp_path / "p.html"
    given = (
        "--model",
        tiny_model,
        "--pairs",
        pairs,
        "--untrained",
        "--html",
        str(html),
        "--figures",
        str(tmp_path / "f"),
    )
    status, _, err = run(capsys, *given)
    assert (status, err) == (0, "")
    assert {file.name for file in (tmp_path / "f").iterdir()} == {"within.png", "within.svg"}
    assert "between takes two" in Page(html.read_text("utf-8")).text


def test_many_concepts_have_tables_and_no_figures(tiny_model: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(drawings, "MOST_DRAWN", 1)
    html = tmp_path / "p.html"
    pairs = pairs_folder(tmp_path, gender=GENDER, age=AGE)
    given = ("--model", tiny_model, "--pairs", pairs, "--html", str(html), "--figures", str(tmp_path / "f"))
    status, out, err = run(capsys, *given)
    assert (status, err.count("\n")) == (0, 1)
    assert "no figure: more than 1 concepts are too many to draw" in err
    assert out.endswith(f"written: {html}\n")
    assert not (tmp_path / "f").exists()
    made = Page(html.read_text("utf-8"))
    assert made.all("img") == []
    assert "too many to draw" in made.text


def places(tmp_path: Path) -> list[tuple[list[str], str]]:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "blocked" / "within.png").mkdir(parents=True)
    file, nowhere, blocked = (str(tmp_path / name) for name in ("file", "nowhere/x", "blocked"))
    return [
        (["--figures", file], "a file; a folder's name is needed"),
        (["--figures", nowhere], "there is no folder"),
        (["--figures", blocked], "within.png, a folder; a file's name is needed"),
        (["--figures", "-"], "--figures is -; a folder's name is needed"),
        (["--html", blocked], "a folder; a file's name is needed"),
        (["--html", nowhere], "there is no folder"),
        (["--html", "-"], "--html is -; a file's name is needed"),
        (["--html", "x", "--json", "x"], "--json and --html are both x; two files are needed"),
        (["--html", "x", "--figures", "x"], "a folder's name is needed, and no other option's"),
    ]


def test_places_that_cannot_take_the_results_are_refused_before_the_work(
    tiny_model, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr("linrep.llm.model.open_unembedding", None)  # the work would call it
    for arguments, said in places(tmp_path):
        assert said in refusal(capsys, "--model", tiny_model, *arguments)


@pytest.mark.parametrize("failing", ["write_bytes", "write_text"])
def test_a_full_disk_is_one_line_and_leaves_nothing(given, failing: str, tmp_path: Path, monkeypatch, capsys) -> None:
    def full(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out"
    out.mkdir()
    option = ["--figures", str(out / "f")] if failing == "write_bytes" else ["--html", str(out / "p.html")]
    monkeypatch.setattr(Path, failing, full)
    monkeypatch.setattr("linrep.llm.saved_states.write_states", lambda *_: None)
    status, _, err = run(capsys, *given, *option)
    assert (status, err.count("\n")) == (2, 1)
    assert "No space left on device" in err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("where", ["linrep.llm.full_probe.measure", "linrep.llm.full_probe.align"])
def test_an_interrupt_writes_nothing(given: list[str], where: str, tmp_path: Path, monkeypatch, capsys) -> None:
    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupted)
    out = tmp_path / "out"
    out.mkdir()
    targets = ["--html", str(out / "p.html"), "--figures", str(out / "f"), "--json", str(out / "r.json")]
    status, said, err = run(capsys, *given, *targets)
    assert (status, said, err) == (130, "", "linrep: interrupted; nothing was written\n")
    assert list(out.iterdir()) == []


class Terminal(io.StringIO):
    """A stderr that says that it is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stderr", [Terminal, io.StringIO])
def test_a_bar_is_shown_on_a_terminal_only(given: list[str], stderr: type, monkeypatch, capsys) -> None:
    monkeypatch.setattr(full_probe, "SHOW_AFTER", 0)
    monkeypatch.setattr(sys, "stderr", stderr())
    assert run(capsys, *given)[0] == 0
    shown = sys.stderr.getvalue()
    assert ("concept" in shown and "0/3" in shown) == (stderr is Terminal)
    assert shown == "" or stderr is Terminal


@MARKS[0]
@MARKS[1]
@pytest.mark.parametrize("width", [360, 1440])
def test_the_page_fits_and_follows_the_scheme(page: tuple[Page, dict[str, Any], Path], width: int, browser) -> None:
    grounds, asked = {}, []
    for scheme in ("light", "dark"):
        tab = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
        tab.goto(page[2].as_uri())
        assert tab.evaluate("document.scrollingElement.scrollWidth") <= width
        assert tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
        style = "getComputedStyle(document.body)"
        colours = tab.evaluate(f"[{style}.backgroundColor, {style}.color]")
        grounds[scheme] = [np.mean([float(part) for part in colour[4:-1].split(",")]) for colour in colours]
        tab.context.close()
    assert {url.partition(":")[0] for url in asked} - {"data"} == {"file"}
    assert grounds["light"][0] > 200 > 100 > grounds["light"][1]
    assert grounds["dark"][0] < 60 < 180 < grounds["dark"][1]


@pytest.mark.parametrize("name", ["x", "a very long name of a concept that goes on and on"])
def test_figures_have_room_for_few_concepts_and_long_names(tiny_model: str, name: str, tmp_path: Path, capsys) -> None:
    pairs = pairs_folder(tmp_path, **{name: GENDER, "age": AGE})
    texts = contexts_file(tmp_path, f"{name}\ta king\ta queen\n{name}\ta man\ta woman\n")
    given = ("--model", tiny_model, "--pairs", pairs, "--contexts", texts, "--figures", str(tmp_path / "f"))
    status, _, err = run(capsys, *given)
    assert (status, err) == (0, "")  # matplotlib warns when the axes have no room
