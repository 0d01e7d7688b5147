"""`linrep probe` as its users meet it, on a tiny model in a folder and on files that nobody has looked at before."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llm_tiny import save

from linrep.cli import main
from linrep.llm.products import PRODUCTS

GENDER = "king\tqueen\nman\twoman\nuncle\taunt\nactor\tactress\nboy\tgirl\n"
AGE = "boy\tman\ngirl\twoman\nuncle\truler\n"
CONTEXTS = (
    "gender\ta king man\ta queen man\ngender\ta boy ruler\ta girl ruler\ngender\ta man\ta woman\n"
    "age\ta boy\ta man\nage\ta girl king\ta woman king\nstranger\ta king\ta boy\nstranger\ta man\ta girl\n"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save(tmp_path_factory.mktemp("tiny") / "model"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An empty folder for what a run writes."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def pairs_folder(tmp_path: Path, **files: str | bytes) -> str:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.tsv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder)


def contexts_file(tmp_path: Path, content: str | bytes) -> str:
    path = tmp_path / "contexts.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one call."""
    with pytest.raises(SystemExit) as end:
        main(["probe", *arguments])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def record(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    status, out, err = run(capsys, *arguments, "--json", "-")
    assert (status, err) == (0, "")
    return json.loads(out)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status, out, err = run(capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("linrep: error: ")
    return err


def test_the_record_of_contexts_is_as_documented(model: str, tmp_path: Path, capsys) -> None:
    pairs = pairs_folder(tmp_path, gender=GENDER, age=AGE, alone="actor\tactress\nking\tman\n")
    found = record(capsys, "--model", model, "--pairs", pairs, "--contexts", contexts_file(tmp_path, CONTEXTS))
    alignment = found["alignment"]
    assert alignment["rows"] == ["gender", "age", "stranger"]
    assert alignment["columns"] == ["age", "alone", "gender"]
    by_name = {concept["name"]: concept for concept in alignment["concepts"]}
    assert (by_name["gender"]["read"], by_name["gender"]["kept"], by_name["gender"]["words"]) == (3, 3, 5)
    assert by_name["gender"]["smallest_p"] == 1 / 8
    assert by_name["gender"]["note"].startswith("too few pairs to tell: with 3 template(s) no p can be below 0.125")
    assert set(alignment["products"]) == set(PRODUCTS)
    for product in alignment["products"].values():
        cosines = np.array(product["cosines"])
        assert cosines.shape == (3, 3)
        gender, age, _ = product["concepts"]
        assert (gender["own"], age["own"]) == (cosines[0, 2], cosines[1, 0])
        assert gender["others"] == pytest.approx(np.abs(cosines[0, :2]).mean())
        assert product["own"] == pytest.approx((cosines[0, 2] + cosines[1, 0]) / 2)
        assert all(line["interval"][0] <= line["interval"][1] for line in (gender, age))
        assert gender["nearest"] == alignment["columns"][cosines[0].argmax()]
        assert gender["matched"] == (gender["nearest"] == "gender")
        assert product["matched"] == gender["matched"] + age["matched"]
        assert product["of"] == 2
        assert product["smallest_p"] == 0.5
        assert product["permuted"] == pytest.approx((cosines[:2][:, [2, 0]].mean()), abs=0.1 * np.abs(cosines).max())
        assert gender["p"] >= by_name["gender"]["smallest_p"]
        assert gender["holm"] >= gender["p"]


def test_a_context_concept_without_words_is_listed_with_null(model: str, tmp_path: Path, capsys) -> None:
    pairs, texts = pairs_folder(tmp_path, gender=GENDER, age=AGE), contexts_file(tmp_path, CONTEXTS)
    found = record(capsys, "--model", model, "--pairs", pairs, "--contexts", texts)["alignment"]
    line = found["products"]["euclidean"]["concepts"][2]
    assert line["name"] == "stranger"
    assert [line[key] for key in ("own", "interval", "p", "holm", "matched")] == [None] * 5
    assert line["nearest"] in found["columns"]
    assert line["others"] == pytest.approx(np.abs(found["products"]["euclidean"]["cosines"][2]).mean())
    note = found["concepts"][2]["note"]
    assert note == "no word concept of this name has 2 usable pairs"
    _, out, _ = run(capsys, "--model", model, "--pairs", pairs, "--contexts", texts)
    assert out.count(f"note: stranger (contexts): {note}\n") == 1


def test_contexts_without_any_word_concept_are_refused_in_one_line(model: str, tmp_path: Path, capsys) -> None:
    texts = contexts_file(tmp_path, "x\ta king\ta queen\nx\ta man\ta woman\n")
    said = refusal(capsys, "--model", model, "--pairs", pairs_folder(tmp_path, gender=GENDER), "--contexts", texts)
    assert "no context concept ('x') has a word concept of its name with 2 usable pairs ('gender')" in said


def test_a_word_concept_that_loses_its_pairs_does_not_count(model: str, tmp_path: Path, capsys) -> None:
    pairs = pairs_folder(tmp_path, gender="king\tqueen\nbull\tcow\n", age=AGE)
    found = record(capsys, "--model", model, "--pairs", pairs, "--contexts", contexts_file(tmp_path, CONTEXTS))
    assert found["alignment"]["columns"] == ["age"]
    gender, age, _ = found["alignment"]["products"]["euclidean"]["concepts"]
    assert gender["own"] is None
    assert age["others"] is None  # one word concept has no others
    assert found["alignment"]["products"]["euclidean"]["p"] is None


def test_contexts_that_the_model_does_not_tell_apart_are_dropped_with_the_reason(model, tmp_path, capsys) -> None:
    texts = "gender\ta king\ta queen\ngender\ta man\ta woman\ngender\ta Ж\ta Ю\n"  # both unknown to this tokenizer
    pairs = pairs_folder(tmp_path, gender=GENDER, age=AGE)
    found = record(capsys, "--model", model, "--pairs", pairs, "--contexts", contexts_file(tmp_path, texts))
    (concept,) = found["alignment"]["concepts"]
    assert (concept["read"], concept["kept"], concept["templates"]) == (3, 2, 2)
    assert concept["dropped"] == [{"pair": ["a Ж", "a Ю"], "reason": "both contexts are the same tokens"}]


def test_the_untrained_model_is_measured_alike(model: str, tmp_path: Path, capsys) -> None:
    pairs, texts = pairs_folder(tmp_path, gender=GENDER, age=AGE), contexts_file(tmp_path, CONTEXTS)
    given = ("--model", model, "--pairs", pairs, "--untrained")
    whole = record(capsys, *given, "--contexts", texts)
    control = whole["untrained"]
    assert control["model"].endswith("untrained, seed 0")
    assert [concept["name"] for concept in control["concepts"]] == ["age", "gender"]
    assert control["between"] != whole["between"]
    assert control["alignment"]["rows"] == whole["alignment"]["rows"]
    words = record(capsys, *given)
    assert "alignment" not in words
    assert words["untrained"]["between"] == control["between"]
    assert words["between"]["euclidean"] == pytest.approx(whole["between"]["euclidean"], abs=1e-6)


def test_few_pairs_are_told_in_table_and_record(model: str, tmp_path: Path, capsys) -> None:
    lines = GENDER.splitlines(keepends=True)
    counts = {"none": "bull\tcow\n", "one": lines[0]}
    counts |= {name: "".join(lines[:count]) for count, name in ((2, "two"), (3, "three"), (4, "four"))}
    pairs = pairs_folder(tmp_path, **counts)
    found = {concept["name"]: concept for concept in record(capsys, "--model", model, "--pairs", pairs)["concepts"]}
    assert [found[name]["within"] is None for name in counts] == [True, True, False, False, False]
    assert [found[name]["smallest_p"] for name in counts] == [None, None, *map(pytest.approx, (1 / 2, 1 / 6, 1 / 24))]
    assert [(found[name]["note"] or "")[:23] for name in counts] == [
        *["too few pairs for a num"] * 2, *["too few pairs to tell: "] * 2, "",
    ]  # fmt: skip
    _, out, _ = run(capsys, "--model", model, "--pairs", pairs)
    for name in ("none", "one", "two", "three"):
        assert f"note: {name}: {found[name]['note']}\n" in out
    assert "note: four" not in out


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
def test_pair_files_of_all_kinds_are_read(kind: str, model: str, tmp_path: Path, capsys) -> None:
    content, read, kept = TAKEN[kind]
    pairs = pairs_folder(tmp_path, gender=content)
    (concept,) = record(capsys, "--model", model, "--pairs", pairs)["concepts"]
    assert (concept["read"], concept["kept"], len(concept["dropped"])) == (read, kept, read - kept)
    clean = GENDER if kept == 5 else "king\tqueen\nman\twoman\n"
    (tmp_path / "pairs" / "gender.tsv").write_text(clean, encoding="utf-8")
    (expected,) = record(capsys, "--model", model, "--pairs", pairs)["concepts"]
    assert concept["within"] == expected["within"]
    _, out, _ = run(capsys, "--model", model, "--pairs", pairs)
    assert max(map(len, out.splitlines())) < 400


def test_what_a_terminal_gets_is_printable_and_short(model: str, tmp_path: Path, capsys) -> None:
    many = "".join(f"bull{number}\tcow\n" for number in range(300))
    pairs = pairs_folder(tmp_path, gender=GENDER + "\x1b[31mred\t\x07bell\n" + LONG.splitlines()[2] + "\n", many=many)
    status, out, _ = run(capsys, "--model", model, "--pairs", pairs)
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
def test_pair_files_that_cannot_be_used_are_one_line(kind: str, model: str, tmp_path: Path, capsys) -> None:
    content, said = NOT_TAKEN[kind]
    message = refusal(capsys, "--model", model, "--pairs", pairs_folder(tmp_path, gender=content))
    assert said in message
    assert len(message) < 400


def test_folders_of_all_kinds(model: str, tmp_path: Path, capsys) -> None:
    folder = Path(pairs_folder(tmp_path))
    assert "holds no .tsv or .txt file" in refusal(capsys, "--model", model, "--pairs", str(folder))
    (folder / "gender.tsv").mkdir()
    assert "holds no .tsv or .txt file" in refusal(capsys, "--model", model, "--pairs", str(folder))
    (folder / "kin.txt").write_text(GENDER, encoding="utf-8")
    (folder / ".hidden.tsv").write_bytes(b"\xff")
    found = record(capsys, "--model", model, "--pairs", str(folder))
    assert [concept["name"] for concept in found["concepts"]] == ["kin"]
    (folder / "a\udcff.tsv").write_text(GENDER, encoding="utf-8")
    assert "a file whose name is no printable text: 'a\\udcff'" in refusal(
        capsys, "--model", model, "--pairs", str(folder)
    )
    assert "is not a folder" in refusal(capsys, "--model", model, "--pairs", str(folder / "kin.txt"))


CONTEXTS_TAKEN = {
    "CRLF": CONTEXTS.replace("\n", "\r\n"),
    "byte-order mark": b"\xef\xbb\xbf" + CONTEXTS.encode(),
    "repeats": CONTEXTS + CONTEXTS,
    "blank lines": CONTEXTS.replace("\n", "\n\n  \n"),
    "with the next words": CONTEXTS.replace("a king man\ta queen man", "a king man boy\ta queen man girl\tboy\tgirl"),
}


@pytest.mark.parametrize("kind", CONTEXTS_TAKEN)
def test_context_files_of_all_kinds_are_read(kind: str, model: str, tmp_path: Path, capsys) -> None:
    pairs = pairs_folder(tmp_path, gender=GENDER, age=AGE)
    given = ("--model", model, "--pairs", pairs, "--contexts")
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
def test_context_files_that_cannot_be_used_are_one_line(kind: str, model: str, tmp_path: Path, capsys) -> None:
    content, said = CONTEXTS_NOT_TAKEN[kind]
    pairs = pairs_folder(tmp_path, gender=GENDER, age=AGE)
    message = refusal(capsys, "--model", model, "--pairs", pairs, "--contexts", contexts_file(tmp_path, content))
    assert said in message
    assert len(message) < 400


def test_batches_change_nothing_and_none_is_refused(model: str, tmp_path: Path, capsys) -> None:
    given = ("--model", model, "--pairs", pairs_folder(tmp_path, gender=GENDER, age=AGE))
    given += ("--contexts", contexts_file(tmp_path, CONTEXTS))
    one = record(capsys, *given, "--batch", "1")["alignment"]["products"]["causal"]["cosines"]
    for file in (tmp_path / "cache" / "states").glob("*.safetensors"):
        file.unlink()
    assert np.array(record(capsys, *given)["alignment"]["products"]["causal"]["cosines"]) == pytest.approx(
        np.array(one), abs=1e-5
    )
    assert "batch is 0; at least 1 is needed" in refusal(capsys, *given, "--batch", "0")
    assert "seed is -1" in refusal(capsys, *given, "--seed", "-1")
    assert f"seed is {2**70}" in refusal(capsys, *given, "--untrained", "--seed", str(2**70))
