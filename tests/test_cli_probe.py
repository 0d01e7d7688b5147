"""`linrep probe` as its users meet it, on a tiny model in a folder."""

from pathlib import Path

import numpy as np
import pytest
from probe_runs import AGE, CONTEXTS, GENDER, contexts_file, pairs_folder, record, refusal, run

from linrep.llm.products import PRODUCTS

pytestmark = pytest.mark.usefixtures("own_cache")


def test_the_record_of_contexts_is_as_documented(tiny_model: str, tmp_path: Path, capsys) -> None:
    pairs = pairs_folder(tmp_path, gender=GENDER, age=AGE, alone="actor\tactress\nking\tman\n")
    found = record(capsys, "--model", tiny_model, "--pairs", pairs, "--contexts", contexts_file(tmp_path, CONTEXTS))
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


def test_a_context_concept_without_words_is_listed_with_null(tiny_model: str, tmp_path: Path, capsys) -> None:
    pairs, texts = pairs_folder(tmp_path, gender=GENDER, age=AGE), contexts_file(tmp_path, CONTEXTS)
    found = record(capsys, "--model", tiny_model, "--pairs", pairs, "--contexts", texts)["alignment"]
    line = found["products"]["euclidean"]["concepts"][2]
    assert line["name"] == "stranger"
    assert [line[key] for key in ("own", "interval", "p", "holm", "matched")] == [None] * 5
    assert line["nearest"] in found["columns"]
    assert line["others"] == pytest.approx(np.abs(found["products"]["euclidean"]["cosines"][2]).mean())
    note = found["concepts"][2]["note"]
    assert note == "no word concept of this name has 2 usable pairs"
    _, out, _ = run(capsys, "--model", tiny_model, "--pairs", pairs, "--contexts", texts)
    assert out.count(f"note: stranger (contexts): {note}\n") == 1


def test_contexts_without_any_word_concept_are_refused_in_one_line(tiny_model: str, tmp_path: Path, capsys) -> None:
    texts = contexts_file(tmp_path, "x\ta king\ta queen\nx\ta man\ta woman\n")
    said = refusal(capsys, "--model", tiny_model, "--pairs", pairs_folder(tmp_path, gender=GENDER), "--contexts", texts)
    assert "no context concept ('x') has a word concept of its name with 2 usable pairs ('gender')" in said


def test_a_word_concept_that_loses_its_pairs_does_not_count(tiny_model: str, tmp_path: Path, capsys) -> None:
    pairs = pairs_folder(tmp_path, gender="king\tqueen\nbull\tcow\n", age=AGE)
    found = record(capsys, "--model", tiny_model, "--pairs", pairs, "--contexts", contexts_file(tmp_path, CONTEXTS))
    assert found["alignment"]["columns"] == ["age"]
    gender, age, _ = found["alignment"]["products"]["euclidean"]["concepts"]
    assert gender["own"] is None
    assert age["others"] is None  # one word concept has no others
    assert found["alignment"]["products"]["euclidean"]["p"] is None


def test_contexts_that_the_model_does_not_tell_apart_are_dropped_with_the_reason(tiny_model, tmp_path, capsys) -> None:
    texts = "gender\ta king\ta queen\ngender\ta man\ta woman\ngender\ta Ж\ta Ю\n"  # both unknown to this tokenizer
    pairs = pairs_folder(tmp_path, gender=GENDER, age=AGE)
    found = record(capsys, "--model", tiny_model, "--pairs", pairs, "--contexts", contexts_file(tmp_path, texts))
    (concept,) = found["alignment"]["concepts"]
    assert (concept["read"], concept["kept"], concept["templates"]) == (3, 2, 2)
    assert concept["dropped"] == [{"pair": ["a Ж", "a Ю"], "reason": "both contexts are the same tokens"}]


def test_the_untrained_model_is_measured_alike(tiny_model: str, tmp_path: Path, capsys) -> None:
    pairs, texts = pairs_folder(tmp_path, gender=GENDER, age=AGE), contexts_file(tmp_path, CONTEXTS)
    given = ("--model", tiny_model, "--pairs", pairs, "--untrained")
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


def test_few_pairs_are_told_in_table_and_record(tiny_model: str, tmp_path: Path, capsys) -> None:
    lines = GENDER.splitlines(keepends=True)
    counts = {"none": "bull\tcow\n", "one": lines[0]}
    counts |= {name: "".join(lines[:count]) for count, name in ((2, "two"), (3, "three"), (4, "four"))}
    pairs = pairs_folder(tmp_path, **counts)
    found = {
        concept["name"]: concept for concept in record(capsys, "--model", tiny_model, "--pairs", pairs)["concepts"]
    }
    assert [found[name]["within"] is None for name in counts] == [True, True, False, False, False]
    assert [found[name]["smallest_p"] for name in counts] == [None, None, *map(pytest.approx, (1 / 2, 1 / 6, 1 / 24))]
    assert [(found[name]["note"] or "")[:23] for name in counts] == [
        *["too few pairs for a num"] * 2, *["too few pairs to tell: "] * 2, "",
    ]  # fmt: skip
    _, out, _ = run(capsys, "--model", tiny_model, "--pairs", pairs)
    for name in ("none", "one", "two", "three"):
        assert f"note: {name}: {found[name]['note']}\n" in out
    assert "note: four" not in out


def test_batches_change_nothing_and_none_is_refused(tiny_model: str, tmp_path: Path, capsys) -> None:
    given = ("--model", tiny_model, "--pairs", pairs_folder(tmp_path, gender=GENDER, age=AGE))
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
