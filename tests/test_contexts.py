"""Reading context pairs from anybody's files."""

from pathlib import Path

import pytest

from linrep.errors import InputError
from linrep.llm.contexts import ContextConcept, ContextPair, before_word, read_contexts


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "mine.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


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
