"""The record on Gemma: made of tiny models here; that on disk is of one piece; and who has no Gemma gets one line."""

import sys
from pathlib import Path

import numpy as np
import pytest
from llm_tiny import WORDS, network, tokenizer

from linrep import cli
from linrep.experiments import gemma, gemma_views, winograd
from linrep.experiments.catalogue import EXPERIMENTS, OPTIONAL, experiment
from linrep.llm.contexts import LANGUAGE_CONCEPTS, ContextConcept, ContextPair
from linrep.llm.known import origin
from linrep.llm.network import LanguageModel
from linrep.llm.registry import SOURCES
from linrep.llm.words import WordPairs
from linrep.results import Record, read_record, results_folder

MODELS = list(gemma_views.MODELS)


def tiny(name: str, *, seed: int, architecture: str) -> LanguageModel:
    tokens = tokenizer()
    made = network(len(tokens), tied=False, seed=seed, architecture=architecture)
    return LanguageModel(name, 16, made.get_output_embeddings().weight.detach(), tokens, made)


def inputs() -> gemma.Inputs:
    """Texts of 20 words and more, and six concepts of three pairs each, from the words of the tiny tokenizer."""
    draw = np.random.default_rng(0)

    def text(length: int) -> str:
        return " ".join(["a", *draw.choice(WORDS, size=length)])

    def concept(name: str, length: int) -> ContextConcept:
        return ContextConcept(name, tuple(ContextPair(i // 2, i % 2, text(length), text(length)) for i in range(6)))

    names = (*LANGUAGE_CONCEPTS, "male-female", "verb-ved")
    words = tuple(
        WordPairs(name, tuple((WORDS[i], WORDS[(i + shift) % 11]) for i in (0, 3, 6)))
        for shift, name in enumerate(names, start=1)
    )
    pairs = tuple(ContextPair(i, 1, f"a king {WORDS[i]} boy", f"a queen {WORDS[i]} boy", *WORDS[i : i + 2]) for i in
                  range(2, 8))  # fmt: skip
    english = (concept("male-female", 4), concept("verb-ved", 5))
    return gemma.Inputs(tuple(concept(name, 24) for name in LANGUAGE_CONCEPTS), english, pairs, words, shuffles=20)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """A record of tiny models: Gemma's architecture, and Llama's for the small one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINREP_CACHE", str(tmp_path_factory.mktemp("cache")))
        large = tiny(gemma.MODEL, seed=0, architecture="gemma3")
        body = gemma.measure(large, tiny(gemma.SMALL, seed=1, architecture="llama"), inputs())
    return Record(gemma.NAME, {}, (0,), "evidence", body, 1.0)


def of_one_piece(monkeypatch: pytest.MonkeyPatch, found: Record) -> None:
    """Tables that say the same thing say it with the same numbers."""
    monkeypatch.setattr(gemma_views, "recorded", lambda _: found)
    for model in MODELS:
        for text in ("whole", "cut"):
            evidence, cosines = gemma_views.evidence(model, text), gemma_views.cosines(model, text)
            assert list(evidence.index) == list(cosines.index) == list(LANGUAGE_CONCEPTS)
            np.testing.assert_allclose(evidence["own"], np.diagonal(cosines[list(LANGUAGE_CONCEPTS)]), atol=2e-6)
            assert list(cosines.abs().idxmax(axis=1)) == list(evidence["|nearest|"])
            assert ((evidence["|nearest|"] == evidence.index) == evidence["|matched|"]).all()
            summary = gemma_views.products(model, text).loc["euclidean"]
            assert summary["own"] == pytest.approx(evidence["own"].mean(), abs=2e-6)
            assert summary["matched"] == evidence["matched"].sum()
        np.testing.assert_allclose(gemma_views.nulls(model)["own"], gemma_views.evidence(model)["own"], atol=2e-6)
        rows = gemma_views.part("paragraphs", model=model).groupby("concept").size()
        kept = gemma_views.part("kept", model=model).set_index("concept")
        assert rows.to_dict() == kept["paragraphs"].to_dict()
        assert (kept["word pairs"] <= kept["read"]).all()
    for model in MODELS[:2]:
        english = gemma_views.english_evidence(model)
        assert gemma_views.english()["own"][model] == pytest.approx(english["own"].mean(), abs=2e-6)
        within = gemma_views.within(model)
        assert gemma_views.unembedding()["within"][model] == pytest.approx(within["within"].mean(), abs=2e-6)
        matrix = gemma_views.matrix(model, "euclidean", list(within.index))
        np.testing.assert_allclose(np.diagonal(matrix), within["within"], atol=2e-6)
        np.testing.assert_allclose(matrix, matrix.T, atol=2e-6)
    pairs = found.body[winograd.NAME]
    own = [row["own"] for row in pairs["pairs"] if row["arm"] == gemma.MODEL]
    plain = next(row for row in pairs["summary"] if (row["arm"], row["product"]) == (gemma.MODEL, "euclidean"))
    assert plain["own"] == pytest.approx(np.mean(own), abs=2e-6)


def test_a_record_of_tiny_models_is_of_one_piece(monkeypatch: pytest.MonkeyPatch, made: Record) -> None:
    assert made.to_json()
    of_one_piece(monkeypatch, made)


def test_a_record_in_pieces_is_noticed(monkeypatch: pytest.MonkeyPatch, made: Record) -> None:
    rows = [dict(row) for row in made.body["evidence"]]
    rows[0]["own"] += 0.01
    broken = Record(gemma.NAME, {}, (0,), "evidence", {**made.body, "evidence": rows}, 1.0)
    with pytest.raises(AssertionError):
        of_one_piece(monkeypatch, broken)


def test_without_gemma_one_line_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path))
    target = tmp_path / "gemma.json"
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "gemma", "--json", str(target)])
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "the model gemma-3-270m is not ready" in said[0]
    assert said[0].endswith("run: linrep models get gemma-3-270m")
    assert not target.exists()


def test_gemma_is_optional() -> None:
    assert gemma.NAME in OPTIONAL
    assert gemma.NAME not in EXPERIMENTS
    assert callable(experiment(gemma.NAME))
    assert SOURCES[gemma.MODEL].terms is not None
    assert "linrep.experiments.gemma" in sys.modules


def test_the_record_on_disk_is_of_one_piece_and_of_the_known_models(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_record(results_folder() / f"{gemma.NAME}.json")
    of_one_piece(monkeypatch, found)
    assert found.kind == gemma.NAME
    assert found.config == {"size": "paper", "shuffles": 1000}
    assert found.body["models"] == [origin(gemma.MODEL), origin(gemma.SMALL)]
    assert found.provenance["commit"]
    kept = gemma_views.part("kept")
    assert sorted(kept["model"].unique()) == sorted(MODELS)
    assert kept["paragraphs"].min() >= 30
