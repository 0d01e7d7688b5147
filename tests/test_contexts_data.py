"""What the context pairs, the Winograd-like pairs and the parallel text promise, checked as data."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from setuptools.dist import Distribution

from linrep.errors import InputError
from linrep.llm.contexts import (
    LANGUAGE_CONCEPTS,
    language_contexts,
    read_contexts,
    read_parallel,
    read_winograd,
)
from linrep.llm.words import read_pairs

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "linrep" / "llm" / "data"
CONCEPTS = {concept.name: concept for concept in read_contexts()}
WORDS = {concept.name: set(concept.pairs) for concept in read_pairs()}
by_concept = pytest.mark.parametrize("name", sorted(CONCEPTS))


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_the_concepts_are_those_of_word_files() -> None:
    assert len(CONCEPTS) >= 20
    assert CONCEPTS.keys() <= WORDS.keys()
    assert list(CONCEPTS) == sorted(CONCEPTS)
    assert not CONCEPTS.keys() & set(LANGUAGE_CONCEPTS)


@by_concept
def test_ten_templates_of_three_fillers(name: str) -> None:
    pairs = CONCEPTS[name].pairs
    templates = {pair.template for pair in pairs}
    assert len(templates) >= 10
    assert templates == set(range(1, len(templates) + 1))
    assert [(pair.template, pair.filler) for pair in pairs] == [(t, f) for t in sorted(templates) for f in (1, 2, 3)]
    assert CONCEPTS[name].repeated == 0


@by_concept
def test_contexts_are_clean_text_and_differ(name: str) -> None:
    for pair in CONCEPTS[name].pairs:
        for context in (pair.context0, pair.context1):
            assert context == " ".join(context.split()), f"white space in {context!r}"
            assert not set(context) & set("{}|_"), context
            assert context.isascii()
        assert pair.context0 != pair.context1
    contexts = [context for pair in CONCEPTS[name].pairs for context in (pair.context0, pair.context1)]
    assert len(set(contexts)) == len(contexts), "a context occurs twice"


@by_concept
def test_the_two_contexts_have_nearly_the_same_length(name: str) -> None:
    assert [
        pair for pair in CONCEPTS[name].pairs if abs(len(pair.context0.split(" ")) - len(pair.context1.split(" "))) > 2
    ] == []


@by_concept
def test_the_next_words_are_a_pair_of_the_word_file_and_not_in_the_text(name: str) -> None:
    for pair in CONCEPTS[name].pairs:
        assert (pair.word0, pair.word1) in WORDS[name]
        assert not {str(pair.word0).lower(), str(pair.word1).lower()} & set(
            words_of(f"{pair.context0} {pair.context1}")
        )


@by_concept
def test_a_filler_stands_in_both_contexts_and_changes_them(name: str) -> None:
    lines = (DATA / "contexts" / f"{name}.tsv").read_text("utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        template0, template1, *rest = line.split("\t")
        assert (template0.count("{}"), template1.count("{}"), len(rest)) == (1, 1, 9), line
        fillers = rest[::3]
        assert len(set(fillers)) == 3
        pairs = [pair for pair in CONCEPTS[name].pairs if pair.template == number]
        assert [(pair.context0, pair.context1) for pair in pairs] == [
            (template0.format(filler), template1.format(filler)) for filler in fillers
        ]


def test_most_templates_end_with_the_same_word() -> None:
    first = [pair for concept in CONCEPTS.values() for pair in concept.pairs if pair.filler == 1]
    same = [pair.context0.split()[-1] == pair.context1.split()[-1] for pair in first]
    assert np.mean(same) >= 2 / 3


def test_winograd_pairs() -> None:
    pairs = read_winograd()
    assert len(pairs) >= 60
    assert [pair.template for pair in pairs] == list(range(1, len(pairs) + 1))
    answers = [word for pair in pairs for word in (pair.word0, pair.word1)]
    assert len(set(answers)) == len(answers), "an answer occurs twice"
    for pair in pairs:
        first, second = pair.context0.split(" "), pair.context1.split(" ")
        assert "" not in first + second
        assert len(first) == len(second)
        different = [place for place, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
        assert len(different) == 1, pair
        assert different[0] < len(first) - 1, "the special word is the last"
        for word in (pair.word0, pair.word1):
            assert word is not None
            assert word.isalpha()
            assert word.islower()
            assert word in words_of(pair.context0), f"{word} is not in {pair.context0!r}"
        assert not {first[different[0]].strip(".,"), second[different[0]].strip(".,")} & {pair.word0, pair.word1}


def test_the_winograd_pairs_run_both_ways() -> None:
    """Else "from the word named first to the word named second" would be a direction that all pairs share."""
    first = [
        words_of(pair.context0).index(str(pair.word0)) < words_of(pair.context0).index(str(pair.word1))
        for pair in read_winograd()
    ]
    assert 0.4 < np.mean(first) < 0.6


def test_parallel_text_is_aligned() -> None:
    texts = read_parallel()
    assert [text.article for text in texts if text.paragraph == 1] == list(range(31))
    assert len(texts) == 58
    for before, text in pairwise(texts):
        follows = (before.article, before.paragraph + 1), (before.article + 1, 1)
        assert (text.article, text.paragraph) in follows
    english = np.array([len(text.en) for text in texts])
    for code in ("fr", "de", "es"):
        other = np.array([len(getattr(text, code)) for text in texts])
        assert (other / english > 0.7).all()
        assert (other / english < 1.5).all()
        shifted = other[1:] / english[:-1]  # what one lost paragraph would do
        assert not ((shifted > 0.7) & (shifted < 1.5)).all()
        assert np.corrcoef(english, other)[0, 1] > 0.95


def test_each_column_of_the_parallel_text_is_its_language() -> None:
    whole = {code: " ".join(getattr(text, code) for text in read_parallel()) for code in ("en", "fr", "de", "es")}
    typical = {"en": "the", "fr": "les", "de": "und", "es": "los"}
    for code, word in typical.items():
        counts = {other: words_of(text).count(word) for other, text in whole.items()}
        assert max(counts, key=lambda other: counts[other]) == code
    for text in whole.values():
        assert text == " ".join(text.split())
        assert "\u2010" not in text
    assert all(letter in whole["fr"] for letter in "éèàù’")
    assert all(letter in whole["de"] for letter in "äöüß")
    assert all(letter in whole["es"] for letter in "áéíóúñ")


def test_language_contexts() -> None:
    for name in LANGUAGE_CONCEPTS:
        assert name in WORDS
        concept = language_contexts(name)
        assert concept.name == name
        assert len(concept.pairs) == 58
    pair = language_contexts("german-spanish").pairs[9]
    assert (pair.template, pair.filler) == (2, 1)
    assert pair.context0.startswith("Jeder hat Anspruch auf die in dieser Erklärung verkündeten Rechte")
    assert pair.context1.startswith("Toda persona tiene todos los derechos y libertades proclamados")
    assert pair.word0 is None
    with pytest.raises(InputError, match="'spanish-german' is no language concept; allowed are english-french, "):
        language_contexts("spanish-german")


@pytest.mark.parametrize("path", sorted(DATA.rglob("*.tsv")), ids=lambda path: path.stem)
def test_bytes_of_every_data_file(path: Path) -> None:
    raw = path.read_bytes()
    assert b"\r" not in raw
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert raw.endswith(b"\n")
    assert not raw.endswith(b"\n\n")
    columns = {line.count("\t") for line in raw.decode("utf-8", errors="strict").splitlines()}
    assert len(columns) == 1, f"lines of {sorted(columns)} tabs"


def test_every_data_file_goes_into_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the build itself says that it copies."""
    monkeypatch.chdir(ROOT)
    distribution = Distribution({"script_name": "setup.py"})
    distribution.parse_config_files()
    distribution.include_package_data = False  # only what pyproject names, not what an earlier build left behind
    build: Any = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    packed = {ROOT / folder / name for _, folder, _, names in build.data_files for name in names}
    assert {path for path in DATA.rglob("*") if path.is_file()} == packed
    assert DATA / "contexts" / "male-female.tsv" in packed
    assert DATA / "parallel-LICENSE" in packed
