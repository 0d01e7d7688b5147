"""Pairs of contexts whose next word differs in one concept, Winograd-like pairs, and one text in four languages.

A context is a text that ends right before the word in question, never in a space: the space belongs to the next token.
A pair runs as its concept does, from context 0, after which the word for value 0 is likely, to context 1.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from linrep.errors import InputError
from linrep.llm.tsv import quoted, read_rows

LANGUAGES = {"english": "en", "french": "fr", "german": "de", "spanish": "es"}
LANGUAGE_CONCEPTS = ("english-french", "french-german", "french-spanish", "german-spanish")
FEWEST_PAIRS = 2
"""A mean direction of one pair says nothing of the concept."""


@dataclass(frozen=True)
class ContextPair:
    """Two contexts that differ in one concept.

    Attributes:
        template: a number from 1 within the concept. Pairs of one template are not independent: resample templates.
        filler: which filling of the template, from 1.
        context0, context1: the texts.
        word0, word1: a next word that fits each; None where the file names none.
    """

    template: int
    filler: int
    context0: str
    context1: str
    word0: str | None = None
    word1: str | None = None


@dataclass(frozen=True)
class ContextConcept:
    """A concept as contexts.

    Attributes:
        name: as in the word files, where the concept is one of theirs.
        pairs: in the file's order.
        repeated: how many pairs were left out because they repeat an earlier one.
    """

    name: str
    pairs: tuple[ContextPair, ...]
    repeated: int = 0


@dataclass(frozen=True)
class ParallelText:
    """A paragraph of the Universal Declaration of Human Rights in four languages.

    Attributes:
        article: 1 to 30, and 0 for the preamble.
        paragraph: from 1 within the article.
        en, fr, de, es: the text.
    """

    article: int
    paragraph: int
    en: str
    fr: str
    de: str
    es: str


def read_contexts(file: Path | None = None) -> list[ContextConcept]:
    """The context pairs of a file, by concept; None for those that come with linrep.

    A line is `concept<TAB>context0<TAB>context1`, and may go on with `<TAB>word0<TAB>word1`, the next words. A context
    that ends with its own next word loses it. White space around a column does not count, blank lines neither; UTF-8,
    any line ends. Each pair of such a file counts as a template of its own.

    Returns:
        The concepts, in alphabetical order for linrep's own and in the file's order else.

    Raises:
        InputError: a file that is missing, empty or not UTF-8; a line without three or five columns, with an empty
            one, with two equal contexts, or that reverses an earlier one; a concept of fewer than two pairs. The
            message names file and line.
    """
    if file is None:
        folder = _data() / "contexts"
        files = sorted(
            (entry for entry in folder.iterdir() if entry.name.endswith(".tsv")), key=lambda entry: entry.name
        )
        return [_concept(entry.name.removesuffix(".tsv"), _expanded(entry), entry) for entry in files]
    if not file.exists():
        raise InputError(f"the contexts file {file} does not exist")
    if file.is_dir():
        raise InputError(
            f"the contexts file {file} is a folder; give a file of lines concept<TAB>context0<TAB>context1"
        )
    lines: dict[str, list[tuple[int, ContextPair]]] = {}
    for number, columns in read_rows(file):
        pairs = lines.setdefault(columns[0], [])
        pairs.append((number, _pair(columns, len(pairs) + 1, file, number)))
    if not lines:
        raise InputError(f"{file} holds no pair; write one a line, concept<TAB>context0<TAB>context1")
    return [_concept(name, pairs, file) for name, pairs in lines.items()]


def read_winograd() -> tuple[ContextPair, ...]:
    """The Winograd-like pairs of linrep: each template is a pair by itself, its words the answers."""
    return tuple(ContextPair(int(columns[0]), 1, *columns[1:]) for _, columns in read_rows(_data() / "winograd.tsv"))


def read_parallel() -> tuple[ParallelText, ...]:
    """The Universal Declaration of Human Rights, paragraph by paragraph, in English, French, German and Spanish."""
    return tuple(
        ParallelText(int(article), int(paragraph), *texts)
        for _, (place, *texts) in read_rows(_data() / "parallel.tsv")
        for article, paragraph in [place.split(".")]
    )


def language_contexts(name: str) -> ContextConcept:
    """The paragraphs of `read_parallel` as pairs of a language concept; an article is a template. No next words.

    Args:
        name: one of `LANGUAGE_CONCEPTS`.

    Raises:
        InputError: another name.
    """
    if name not in LANGUAGE_CONCEPTS:
        raise InputError(f"{name!r} is no language concept; allowed are {', '.join(LANGUAGE_CONCEPTS)}")
    first, second = (LANGUAGES[language] for language in name.split("-"))
    pairs = (
        ContextPair(text.article, text.paragraph, getattr(text, first), getattr(text, second))
        for text in read_parallel()
    )
    return ContextConcept(name, tuple(pairs))


def first_fillings(concepts: Iterable[ContextConcept]) -> list[ContextConcept]:
    """The same concepts with the first filling of each template only: a third of linrep's own pairs."""
    return [replace(each, pairs=tuple(pair for pair in each.pairs if pair.filler == 1)) for each in concepts]


def before_word(text: str, word: str) -> str:
    """The text up to a word that it ends with, or the whole text when it does not end with that word."""
    return text.removesuffix(f" {word}").rstrip()


def _data() -> Traversable:
    return resources.files("linrep.llm") / "data"


def _expanded(file: Traversable) -> Iterator[tuple[int, ContextPair]]:
    """The pairs of a template file: two templates with {} in each, then filler, word0 and word1 in turn."""
    for number, (template0, template1, *rest) in read_rows(file):
        for filler, columns in enumerate(zip(rest[::3], rest[1::3], rest[2::3], strict=True), start=1):
            text, word0, word1 = columns
            yield (
                number,
                ContextPair(number, filler, template0.replace("{}", text), template1.replace("{}", text), word0, word1),
            )


def _pair(columns: list[str], template: int, file: Path, number: int) -> ContextPair:
    """The pair of a line in a user's file."""
    if len(columns) not in (3, 5):
        raise InputError(
            f"{file}, line {number}: {len(columns)} column(s) with tabs between; "
            "allowed are 3 (concept, context0, context1) or 5 (and word0, word1)"
        )
    if not all(columns):
        raise InputError(f"{file}, line {number}: column {columns.index('') + 1} is empty; each must hold text")
    _, context0, context1, *words = columns
    if not words:
        return ContextPair(template, 1, context0, context1)
    word0, word1 = words
    return ContextPair(template, 1, before_word(context0, word0), before_word(context1, word1), word0, word1)


def _concept(name: str, numbered: Iterable[tuple[int, ContextPair]], file: Traversable) -> ContextConcept:
    """The concept of these pairs with their line numbers, without repeats."""
    kept: dict[tuple[str, str], tuple[int, ContextPair]] = {}
    repeated, number = 0, 0
    for number, pair in numbered:
        contexts = pair.context0, pair.context1
        if contexts[0] == contexts[1]:
            raise InputError(
                f"{file}, line {number}: the two contexts are equal, {quoted(contexts[0])}; they must differ"
            )
        if reverse := kept.get(contexts[::-1]):
            raise InputError(f"{file}, line {number}: this pair reverses that of line {reverse[0]}; keep one of them")
        if contexts in kept:
            repeated += 1
        else:
            kept[contexts] = number, pair
    if len(kept) < FEWEST_PAIRS:
        raise InputError(
            f"{file}, line {number}: the concept {quoted(name)} has {len(kept)} pair(s); "
            f"at least {FEWEST_PAIRS} are needed"
        )
    return ContextConcept(name, tuple(pair for _, pair in kept.values()), repeated)
