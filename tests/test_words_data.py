"""The built-in word-pair files, checked as data: no model and no tokenizer needed."""

from importlib.resources import files

import pytest

KNOWN = {
    "verb-3psg",
    "verb-ving",
    "verb-ved",
    "ving-3psg",
    "ving-ved",
    "3psg-ved",
    "verb-able",
    "verb-er",
    "verb-tion",
    "verb-ment",
    "adj-un",
    "adj-ly",
    "small-big",
    "thing-color",
    "thing-part",
    "country-capital",
    "male-female",
    "lower-upper",
    "noun-plural",
    "adj-comparative",
    "adj-superlative",
    "frequent-infrequent",
    "pronoun-possessive",
    "english-french",
    "french-german",
    "french-spanish",
    "german-spanish",
}
INFLECTIONS = ("verb-3psg", "verb-ving", "verb-ved", "ving-3psg", "ving-ved", "3psg-ved")
FEWEST_PAIRS = {"pronoun-possessive": 9}  # English has no more; 25 of every other concept
REPEATS_ALLOWED = {("thing-color", 1)}  # eleven colours for all the things

WORDS = files("linrep.llm") / "data" / "words"
FOUND = {f.name.removesuffix(".tsv"): f for f in WORDS.iterdir() if f.name.endswith(".tsv")}


def read(name: str) -> list[tuple[str, ...]]:
    text = FOUND[name].read_bytes().decode("utf-8", errors="strict")
    return [tuple(line.split("\t")) for line in text.removesuffix("\n").split("\n")]


def test_the_papers_27_concepts_are_there() -> None:
    assert FOUND.keys() == KNOWN
    assert len(KNOWN) == 27  # those of the paper


@pytest.mark.parametrize("name", sorted(FOUND))
def test_bytes(name: str) -> None:
    raw = FOUND[name].read_bytes()
    assert name.isascii()
    assert b"\r" not in raw
    assert not raw.startswith(b"\xef\xbb\xbf"), "byte-order mark"
    assert raw.endswith(b"\n")
    raw.decode("utf-8", errors="strict")


@pytest.mark.parametrize("name", sorted(FOUND))
def test_pairs(name: str) -> None:
    rows = read(name)
    assert len(rows) >= FEWEST_PAIRS.get(name, 25)
    assert [row for row in rows if len(row) != 2] == []
    assert [row for row in rows if any(not word or word != word.strip() for word in row)] == []
    assert [row for row in rows if row[0] == row[1]] == []
    assert len(set(rows)) == len(rows), "a pair occurs twice"


@pytest.mark.parametrize(("name", "column"), sorted({(n, c) for n in KNOWN for c in (0, 1)} - REPEATS_ALLOWED))
def test_no_word_recurs_within_a_column(name: str, column: int) -> None:
    words = [row[column] for row in read(name)]
    assert sorted({w for w in words if words.count(w) > 1}) == []


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_no_word_is_on_both_sides(name: str) -> None:
    rows = read(name)
    assert {row[0] for row in rows} & {row[1] for row in rows} == set()


def test_inflection_files_share_no_word() -> None:
    owner: dict[str, str] = {}
    for name in INFLECTIONS:
        for word in {word for row in read(name) for word in row}:
            assert owner.setdefault(word, name) == name, f"{word!r} is in {owner[word]} and {name}"


def test_form_of_each_pair() -> None:
    for name, suffix in (("verb-able", "able"), ("verb-tion", "tion"), ("verb-ment", "ment"), ("adj-ly", "ly")):
        assert [row for row in read(name) if not row[1].endswith(suffix)] == []
    assert [row for row in read("verb-er") if not row[1].endswith(("er", "or"))] == []
    assert [row for row in read("adj-un") if row[1] != "un" + row[0]] == []
    assert [row for row in read("lower-upper") if not row[0].islower() or row[1] != row[0].capitalize()] == []
    for name in ("ving-3psg", "ving-ved"):
        assert [row for row in read(name) if not row[0].endswith("ing")] == []


def test_german_nouns_alone_have_capitals() -> None:
    languages = ("english-french", "french-german", "french-spanish", "german-spanish")
    german = {("french-german", 1), ("german-spanish", 0)}
    for name in languages:
        for column in (0, 1):
            capitals = [row[column] for row in read(name) if not row[column].islower()]
            assert bool(capitals) == ((name, column) in german), f"{name}: {capitals}"


def test_the_language_files_agree() -> None:
    """French to German to Spanish arrives where French to Spanish does."""
    german, spanish, onward = dict(read("french-german")), dict(read("french-spanish")), dict(read("german-spanish"))
    both = [word for word in german.keys() & spanish.keys() if german[word] in onward]
    assert len(both) >= 20
    assert [word for word in both if onward[german[word]] != spanish[word]] == []
