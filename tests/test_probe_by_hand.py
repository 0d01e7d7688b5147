"""The numbers of `linrep probe` against a computation of a few lines that shares no code with it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from llm_tiny import save

from linrep.cli import main
from linrep.llm.cache import converted_folder, fault
from linrep.llm.contexts import read_contexts
from linrep.llm.registry import SOURCES
from linrep.llm.words import read_pairs

SMOLLM = SOURCES["smollm2-135m"]
needs_model = pytest.mark.skipif(
    fault(SMOLLM, deep=False) is not None, reason=f"smollm2-135m is not converted; run: {SMOLLM.command}"
)
Words = dict[str, list[tuple[str, str]]]
Lines = list[tuple[str, str, str]]

TINY: Words = {
    "gender": [("king", "queen"), ("man", "woman"), ("uncle", "aunt"), ("actor", "actress"), ("boy", "girl")],
    "age": [("boy", "man"), ("girl", "woman"), ("uncle", "ruler")],
}
TINY_LINES: Lines = [
    ("gender", "a king man", "a queen man"),
    ("gender", "a boy ruler", "a girl ruler"),
    ("gender", "a man", "a woman"),
    ("age", "a boy", "a man"),
    ("age", "a girl king", "a woman king"),
]


def by_hand(folder: Path, words: Words) -> dict[str, Any]:
    """Mean cosines within concepts, mean absolute cosine between them, and their directions, under three products."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tensors, tokens = load_file(folder / "model.safetensors"), Tokenizer.from_file(str(folder / "tokenizer.json"))
    table = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"]).astype(np.float64)
    table = table[: tokens.get_vocab_size()]
    values, vectors = np.linalg.eigh(np.cov(table.T, bias=True))
    first = np.outer(vectors[:, -1], vectors[:, -1])
    maps = {"euclidean": np.eye(len(first)), "pc1_removed": np.eye(len(first)) - first}
    maps["causal"] = vectors @ np.diag(values**-0.5) @ vectors.T
    found: dict[str, Any] = {}
    for product, linear in maps.items():
        within, directions = {}, {}
        for name, pairs in words.items():
            ids = [[tokens.encode(f"a {word}", add_special_tokens=False).ids[1:] for word in pair] for pair in pairs]
            kept = np.array([[zero[0], one[0]] for zero, one in ids if len(zero) == len(one) == 1])
            moved = (table[kept[:, 1]] - table[kept[:, 0]]) @ linear
            units = moved / np.linalg.norm(moved, axis=1, keepdims=True)
            within[name] = (units @ units.T)[~np.eye(len(units), dtype=bool)].mean()
            directions[name] = moved.mean(axis=0) / np.linalg.norm(moved.mean(axis=0))
        cosines = np.array([[one @ other for one in directions.values()] for other in directions.values()])
        between = np.abs(cosines[~np.eye(len(cosines), dtype=bool)]).mean()
        found[product] = {"within": within, "between": between, "directions": directions, "map": linear}
    return found


def shifts_by_hand(folder: Path, lines: Lines) -> dict[str, np.ndarray]:
    """Mean difference of the last hidden states of each concept's contexts, one text at a time."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def state(text: str) -> np.ndarray:
        return network(**tokens(text, return_tensors="pt"), output_hidden_states=True).hidden_states[-1][0, -1].numpy()

    moves: dict[str, list[np.ndarray]] = {}
    for name, zero, one in lines:
        moves.setdefault(name, []).append(state(one).astype(np.float64) - state(zero))
    return {name: np.mean(each, axis=0) for name, each in moves.items()}


def probed(model: str, tmp_path: Path, words: Words, lines: Lines) -> dict[str, Any]:
    """The record that the command writes for these words and contexts."""
    folder, texts, target = tmp_path / "pairs", tmp_path / "contexts.tsv", tmp_path / "probe.json"
    folder.mkdir()
    for name, pairs in words.items():
        (folder / f"{name}.tsv").write_text("".join(f"{zero}\t{one}\n" for zero, one in pairs), encoding="utf-8")
    texts.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
    arguments = ["probe", "--model", model, "--pairs", str(folder), "--contexts", str(texts), "--json", str(target)]
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert not end.value.code
    return json.loads(target.read_text(encoding="utf-8"))


def compare(record: dict[str, Any], folder: Path, words: Words, lines: Lines) -> None:
    hand, moves = by_hand(folder, words), shifts_by_hand(folder, lines)
    for product, expected in hand.items():
        for concept in record["concepts"]:
            assert concept["within"][product] == pytest.approx(expected["within"][concept["name"]], abs=1e-4)
        assert record["between"][product] == pytest.approx(expected["between"], abs=1e-4)
        inverse = np.linalg.inv(expected["map"]) if product == "causal" else expected["map"]
        found = record["alignment"]["products"][product]
        for row, name in enumerate(record["alignment"]["rows"]):
            toward = moves[name] @ inverse
            for column, other in enumerate(record["alignment"]["columns"]):
                cosine = toward @ expected["directions"][other] / np.linalg.norm(toward)
                assert found["cosines"][row][column] == pytest.approx(cosine, abs=1e-4)
                if name == other:
                    assert found["concepts"][row]["own"] == pytest.approx(cosine, abs=1e-4)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_a_tiny_model_agrees_with_numpy(tied: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path / "cache"))
    folder = save(tmp_path / "model", tied=tied)
    compare(probed(str(folder), tmp_path, TINY, TINY_LINES), folder, TINY, TINY_LINES)


@pytest.mark.model
@pytest.mark.slow
@needs_model
def test_smollm2_agrees_with_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = converted_folder(SMOLLM)
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path / "cache"))  # where hidden states go
    names = ("male-female", "noun-plural", "verb-ved")
    words = {each.name: list(each.pairs) for each in read_pairs() if each.name in names}
    lines = [
        (each.name, pair.context0, pair.context1)
        for each in read_contexts()
        if each.name in names
        for pair in each.pairs[:2]
    ]
    compare(probed(str(folder), tmp_path, words, lines), folder, words, lines)
