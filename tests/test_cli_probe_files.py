"""`linrep probe` on pairs and contexts that nobody has looked at before: right numbers, or one clear line."""

from pathlib import Path

import pytest
from probe_runs import AGE, CONTEXTS, GENDER, contexts_file, pairs_folder, record, refusal, run

pytestmark = pytest.mark.usefixtures("own_cache")

LONG = "king\tqueen\nman\twoman\n" + "x" * 200_000 + "\ty\n"
TAKEN = {
    "CRLF": (GENDER.replace("\n", "\r\n"), 5, 5),
    "CR": (GENDER.replace("\n", "\r"), 5, 5),
    "byte-order mark": (b"\xef\xbb\xbf" + GENDER.encode(), 5, 5),
    "no last line end": (GENDER.rstrip("\n"), 5, 5),
    "spaces and blank lines": ("\n  king \t queen\n\n\nman\twoman \n", 2, 2),
    "more columns": ("king\tqueen\tof hearts\nman\twoman\t\t\n", 2, 2),
    "duplicates and reversed": (GENDER + "king\tqueen\nqueen\tking\n", 7, 5),
    "upper case": (GENDER + "King\tQueen\nKING\tQUEEN\n", 7, 5),
    "identical words": (GENDER + "king\tking\n", 6, 5),
    "many tokens": (GENDER + "kings\tqueens\na king\ta queen\n", 7, 5),
    "a very long word": (LONG, 3, 2),
    "other scripts": (GENDER + "король\tкоролева\n王\t女王\n", 7, 5),
    "escapes": (GENDER + "\x1b[31mred\t\x07bell\n", 6, 5),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_pair_files_of_all_kinds_are_read(kind: str, tiny_model: str, tmp_path: Path, capsys) -> None:
    content, read, kept = TAKEN[kind]
    pairs = pairs_folder(tmp_path, gender=content)
    (concept,) = record(capsys, "--model", tiny_model, "--pairs", pairs)["concepts"]
    assert (concept["read"], concept["kept"], len(concept["dropped"])) == (read, kept, read - kept)
    clean = GENDER if kept == 5 else "king\tqueen\nman\twoman\n"
    (tmp_path / "pairs" / "gender.tsv").write_text(clean, encoding="utf-8")
    (expected,) = record(capsys, "--model", tiny_model, "--pairs", pairs)["concepts"]
    assert concept["within"] == expected["within"]
    _, out, _ = run(capsys, "--model", tiny_model, "--pairs", pairs)
    assert max(map(len, out.splitlines())) < 400


def test_what_a_terminal_gets_is_printable_and_short(tiny_model: str, tmp_path: Path, capsys) -> None:
    many = "".join(f"bull{number}\tcow\n" for number in range(300))
    pairs = pairs_folder(tmp_path, gender=GENDER + "\x1b[31mred\t\x07bell\n" + LONG.splitlines()[2] + "\n", many=many)
    status, out, _ = run(capsys, "--model", tiny_model, "--pairs", pairs)
    assert status == 0
    assert not {sign for sign in out if not sign.isprintable()} - {"\n"}
    assert "\\x1b[31mred / \\x07bell" in out
    assert out.count("dropped: many") < 100
    assert "dropped: 202 more; --json and --html list all" in out


NOT_TAKEN: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "gender.tsv holds no pair"),
    "blank": (" \n\n", "gender.tsv holds no pair"),
    "one pair": ("king\tqueen\n", "gender keeps 1 of 1"),
    "no tab": ("king queen\n", "line 1: 'king queen' has no tab"),
    "a long line without a tab": ("king\tqueen\n" + "x" * 100_000, "line 2: 'xxxx"),
    "not UTF-8": (b"king\tqueen\ncaf\xe9\tx\n", "line 2: byte 0xe9 is not UTF-8"),
    "UTF-16": ("king\tqueen\n".encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
    "UTF-16 without a mark": ("king\tqueen\n".encode("utf-16-le"), "line 1: a NUL character"),
    "a NUL": (b"king\tqueen\nma\0n\twoman\n", "line 2: a NUL character; the file must be UTF-8 text"),
    "a circle": ("king\tqueen\nqueen\tman\nman\tking\n", "the pairs of the concept gender run in circles"),
    "all dropped": ("bull\tcow\nox\tbee\n", "gender keeps 0 of 2 ('bull' is"),
}


@pytest.mark.parametrize("kind", NOT_TAKEN)
def test_pair_files_that_cannot_be_used_are_one_line(kind: str, tiny_model: str, tmp_path: Path, capsys) -> None:
    content, said = NOT_TAKEN[kind]
    message = refusal(capsys, "--model", tiny_model, "--pairs", pairs_folder(tmp_path, gender=content))
    assert said in message
    assert len(message) < 400


def test_folders_of_all_kinds(tiny_model: str, tmp_path: Path, capsys) -> None:
    folder = Path(pairs_folder(tmp_path))
    assert "holds no .tsv or .txt file" in refusal(capsys, "--model", tiny_model, "--pairs", str(folder))
    (folder / "gender.tsv").mkdir()
    assert "holds no .tsv or .txt file" in refusal(capsys, "--model", tiny_model, "--pairs", str(folder))
    (folder / "kin.txt").write_text(GENDER, encoding="utf-8")
    (folder / ".hidden.tsv").write_bytes(b"\xff")
    found = record(capsys, "--model", tiny_model, "--pairs", str(folder))
    assert [concept["name"] for concept in found["concepts"]] == ["kin"]
    (folder / "a\udcff.tsv").write_text(GENDER, encoding="utf-8")
    assert "a file whose name is no printable text: 'a\\udcff'" in refusal(
        capsys, "--model", tiny_model, "--pairs", str(folder)
    )
    assert "is not a folder" in refusal(capsys, "--model", tiny_model, "--pairs", str(folder / "kin.txt"))


CONTEXTS_TAKEN = {
    "CRLF": CONTEXTS.replace("\n", "\r\n"),
    "byte-order mark": b"\xef\xbb\xbf" + CONTEXTS.encode(),
    "repeats": CONTEXTS + CONTEXTS,
    "blank lines": CONTEXTS.replace("\n", "\n\n  \n"),
    "with the next words": CONTEXTS.replace("a king man\ta queen man", "a king man boy\ta queen man girl\tboy\tgirl"),
}


@pytest.mark.parametrize("kind", CONTEXTS_TAKEN)
def test_context_files_of_all_kinds_are_read(kind: str, tiny_model: str, tmp_path: Path, capsys) -> None:
    pairs = pairs_folder(tmp_path, gender=GENDER, age=AGE)
    given = ("--model", tiny_model, "--pairs", pairs, "--contexts")
    plain = record(capsys, *given, contexts_file(tmp_path, CONTEXTS))["alignment"]
    found = record(capsys, *given, contexts_file(tmp_path, CONTEXTS_TAKEN[kind]))["alignment"]
    assert found["products"] == plain["products"]
    assert [concept["repeated"] for concept in found["concepts"]] == ([3, 2, 2] if kind == "repeats" else [0, 0, 0])


CONTEXTS_NOT_TAKEN: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "contexts.tsv holds no pair"),
    "one pair": ("gender\ta king\ta queen\n", "the concept 'gender' has 1 pair(s); at least 2 are needed"),
    "not UTF-8": (b"gender\ta\xff\tb\n", "line 1: byte 0xff is not UTF-8"),
    "a NUL": (b"gender\ta\0\tb\n", "line 1: a NUL character"),
    "two columns": ("gender\ta king\n", "line 1: 2 column(s)"),
    "equal": ("gender\t" + "a " * 5000 + "\t" + "a " * 5000 + "\n", "line 1: the two contexts are equal, 'a a a"),
    "too long": (CONTEXTS + "gender\t" + "king " * 90 + "\ta queen\n", "tokens; "),
}


@pytest.mark.parametrize("kind", CONTEXTS_NOT_TAKEN)
def test_context_files_that_cannot_be_used_are_one_line(kind: str, tiny_model: str, tmp_path: Path, capsys) -> None:
    content, said = CONTEXTS_NOT_TAKEN[kind]
    pairs = pairs_folder(tmp_path, gender=GENDER, age=AGE)
    message = refusal(capsys, "--model", tiny_model, "--pairs", pairs, "--contexts", contexts_file(tmp_path, content))
    assert said in message
    assert len(message) < 400
