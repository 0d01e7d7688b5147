"""Context pairs: reading linrep's own and anybody's, and what the data promise."""

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
    ContextConcept,
    ContextPair,
    before_word,
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


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "mine.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# What the data promise.


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


# Anybody's files.


def test_a_users_file_is_read_as_written(tmp_path: Path) -> None:
    text = "\ufefftense\tToday they \tYesterday they\r\n\r\n  \r\nsize\t1\t2\r\ntense\tNow we\tThen we\r\nsize\t3\t4"
    assert read_contexts(write(tmp_path, text)) == [
        ContextConcept(
            "tense", (ContextPair(1, 1, "Today they", "Yesterday they"), ContextPair(2, 1, "Now we", "Then we"))
        ),
        ContextConcept("size", (ContextPair(1, 1, "1", "2"), ContextPair(2, 1, "3", "4"))),
    ]


def test_a_context_loses_the_next_word_that_it_ends_with(tmp_path: Path) -> None:
    text = "c\tBehind him sat the king\tBehind her sat the queen\tking\tqueen\nc\tA viking\tA queen\tking\tqueen\n"
    (concept,) = read_contexts(write(tmp_path, text))
    assert concept.pairs == (
        ContextPair(1, 1, "Behind him sat the", "Behind her sat the", "king", "queen"),
        ContextPair(2, 1, "A viking", "A", "king", "queen"),
    )
    same = write(tmp_path, "c\tOn it sat the king\tOn it sat the queen\tking\tqueen\n")
    with pytest.raises(InputError, match="line 1: the two contexts are equal, 'On it sat the'"):
        read_contexts(same)


def test_repeated_pairs_are_left_out_and_counted(tmp_path: Path) -> None:
    text = "c\ta\tb\nc\tc\td\nc\ta\tb\nd\ta\tb\nd\te\tf\nc\ta \t b\n"
    first, second = read_contexts(write(tmp_path, text))
    assert ([pair.context0 for pair in first.pairs], first.repeated) == (["a", "c"], 2)
    assert (len(second.pairs), second.repeated) == (2, 0)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "holds no pair"),
        ("\n  \n", "holds no pair"),
        ("c\ta\tb\n", r"line 1: the concept 'c' has 1 pair\(s\); at least 2 are needed"),
        ("c\ta\tb\nd\ta\tb\n\nc\te\tf\n", r"line 2: the concept 'd' has 1 pair\(s\)"),
        ("c\ta\tb\nc\ta\tb\n", r"line 2: the concept 'c' has 1 pair\(s\)"),
        ("c\ta\tb\nc\tsame\tsame \n", "line 2: the two contexts are equal, 'same'"),
        ("c\ta\tb\nc\te\tf\nc\tb\ta\n", "line 3: this pair reverses that of line 1"),
        ("c\ta\tb\nno tabs\n", r"line 2: 1 column\(s\) with tabs between; allowed are 3 \(.*\) or 5"),
        ("c\ta\tb\tword\n", r"line 1: 4 column\(s\)"),
        ("c\ta\tb\nc\t\tb\n", "line 2: column 2 is empty"),
        ("\ta\tb\n", "line 1: column 1 is empty"),
        (b"c\ta\tb\nc\tna\xefve\tb\n", "line 2: byte 0xef is not UTF-8"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        read_contexts(write(tmp_path, content))
    assert "mine.tsv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.tsv does not exist"):
        read_contexts(tmp_path / "nowhere.tsv")
    with pytest.raises(InputError, match="is a folder; give a file"):
        read_contexts(tmp_path)


@pytest.mark.parametrize(
    ("text", "word", "rest"),
    [
        ("the queen", "queen", "the"),
        ("the new newer", "newer", "the new"),  # strip would eat letters
        ("a viking", "king", "a viking"),
        ("the king ruled", "king", "the king ruled"),
        ("the  queen", "queen", "the"),
    ],
)
def test_before_word(text: str, word: str, rest: str) -> None:
    assert before_word(text, word) == rest
