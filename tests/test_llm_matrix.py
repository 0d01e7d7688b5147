"""The output matrix alone: the same as the whole model's, from one file, in little memory, with the same probe."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from llm_hub import fake_hub
from llm_tiny import ARCHITECTURES, save
from safetensors.torch import load_file, save_file

from linrep.cli import main
from linrep.errors import InputError, LinrepError
from linrep.llm.folder import INDEX, SINGLE
from linrep.llm.model import LanguageModel, load_model, open_unembedding
from linrep.llm.probe import probe
from linrep.llm.words import WordPairs

PAIRS = [
    WordPairs("male-female", (("king", "queen"), ("man", "woman"), ("boy", "girl"))),
    WordPairs("other", (("ruler", "uncle"), ("naïve", "actor"))),
]


def shards(folder: Path) -> dict[str, str]:
    return json.loads((folder / INDEX).read_text())["weight_map"]


@pytest.mark.parametrize("shard", [None, "3KB"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_matrix_alone_is_that_of_the_model(
    tmp_path: Path, architecture: str, tied: bool, shard: str | None
) -> None:
    folder = save(tmp_path / "m", architecture=architecture, tied=tied, shard=shard)
    assert (folder / INDEX).exists() is (shard is not None)
    whole, alone = load_model(str(folder)), open_unembedding(str(folder))
    assert not isinstance(alone, LanguageModel)
    assert torch.equal(alone.unembedding, whole.unembedding)
    assert (alone.hidden_size, alone.name) == (whole.hidden_size, whole.name)
    assert alone.tokenizer.get_vocab() == whole.tokenizer.get_vocab()
    assert len(alone.unembedding) == max(alone.tokenizer.get_vocab().values()) + 1
    assert probe(alone, PAIRS, shuffles=20) == probe(whole, PAIRS, shuffles=20)


@pytest.mark.parametrize("tied", [True, False])
def test_the_other_files_of_a_sharded_model_are_not_needed(tmp_path: Path, tied: bool) -> None:
    folder = save(tmp_path / "m", tied=tied, shard="3KB")
    expected = load_model(str(folder)).unembedding
    needed = shards(folder)["model.embed_tokens.weight" if tied else "lm_head.weight"]
    for path in folder.glob("*.safetensors"):
        if path.name != needed:
            path.unlink()
    assert torch.equal(open_unembedding(str(folder)).unembedding, expected)
    with pytest.raises(LinrepError, match=r"the folder lacks model-\d+-of-\d+\.safetensors, which holds weights"):
        load_model(str(folder))
    (folder / needed).unlink()
    with pytest.raises(LinrepError, match=rf"the folder lacks {needed}, which holds weights"):
        open_unembedding(str(folder))


def test_names_without_the_outer_module_are_found(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", architecture="gpt2")
    tensors = {key.removeprefix("transformer."): tensor for key, tensor in load_file(folder / SINGLE).items()}
    save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
    assert torch.equal(open_unembedding(str(folder)).unembedding, load_model(str(folder)).unembedding)


def test_a_half_precision_matrix_keeps_its_type_and_gives_the_same_numbers(tmp_path: Path) -> None:
    folder = save(tmp_path / "m")
    load_model(str(folder), dtype=torch.float16).network.save_pretrained(folder)
    alone = open_unembedding(str(folder))
    assert alone.unembedding.dtype == torch.float16
    one, other = (probe(model, PAIRS, shuffles=20)["cosines"] for model in (alone, load_model(str(folder))))
    for product, cosines in one.items():
        assert np.array(cosines) == pytest.approx(np.array(other[product]), abs=1e-6)


def test_a_matrix_that_is_not_there_or_of_another_shape_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", tied=False)
    tensors = load_file(folder / SINGLE)
    save_file(tensors | {"lm_head.weight": torch.zeros(3, 16)}, folder / SINGLE)
    with pytest.raises(LinrepError, match=r"of shape \(3, 16\), not numbers of \(\d+, 16\)"):
        open_unembedding(str(folder))
    save_file(tensors | {"lm_head.weight": tensors["lm_head.weight"].to(torch.int8)}, folder / SINGLE)
    with pytest.raises(LinrepError, match=r"output matrix is torch\.int8"):
        open_unembedding(str(folder))
    del tensors["lm_head.weight"]
    save_file(tensors, folder / SINGLE)
    with pytest.raises(LinrepError, match=r"its weights lack the output matrix lm_head\.weight"):
        open_unembedding(str(folder))
    with pytest.raises(InputError, match="device is 'toaster'; on this machine allowed are: cpu"):
        open_unembedding(str(folder), device="toaster")
    with pytest.raises(InputError, match="is no model: allowed are"):
        open_unembedding("nope")


def test_of_a_sharded_model_of_the_hub_one_file_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "m", tied=False, shard="3KB")
    hub = fake_hub(tmp_path / "hub", {"org/m": folder}, monkeypatch)
    found = open_unembedding("org/m")
    weights = [name for name in hub.asked if name.endswith(".safetensors")]
    assert weights == [shards(folder)["lm_head.weight"]]
    assert {"config.json", "tokenizer.json", INDEX} <= set(hub.asked)
    whole = load_model("org/m")
    assert torch.equal(found.unembedding, whole.unembedding)
    assert whole.name == "org/m"
    assert {name for name in hub.asked if name.endswith(".safetensors")} == set(shards(folder).values())


def test_a_single_file_of_the_hub_and_a_name_for_llama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "m")
    hub = fake_hub(tmp_path / "hub", {"meta-llama/Llama-2-7b-hf": folder}, monkeypatch)
    found = open_unembedding("llama-2-7b")
    assert found.name == "llama-2-7b"
    assert [name for name in hub.asked if name.endswith(".safetensors")] == [SINGLE]
    assert torch.equal(load_model("llama-2-7b").unembedding, found.unembedding)


def test_a_model_that_the_hub_does_not_have_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(tmp_path / "hub", {}, monkeypatch)
    for opened in (open_unembedding, load_model):
        with pytest.raises(LinrepError, match=r"cannot load the model 'org/m': no config\.json in org/m") as caught:
            opened("org/m")
        assert "\n" not in str(caught.value)


def test_the_command_reads_no_more_than_the_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, pairs = save(tmp_path / "m", tied=False, shard="3KB"), tmp_path / "pairs"
    expected = probe(load_model(str(folder)), PAIRS[:1])
    for path in folder.glob("*.safetensors"):
        if path.name != shards(folder)["lm_head.weight"]:
            path.unlink()
    pairs.mkdir()
    (pairs / "male-female.tsv").write_text("".join(f"{zero}\t{one}\n" for zero, one in PAIRS[0].pairs))
    with pytest.raises(SystemExit) as end:
        main(["probe", "--model", str(folder), "--pairs", str(pairs), "--device", "auto", "--json", "-"])
    assert not end.value.code
    assert json.loads(capsys.readouterr().out)["concepts"] == expected["concepts"]
