"""Folders that must not be trusted: code, pickles, paths that lead out, and files that are not what they should be."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from llm_hub import fake_hub
from llm_tiny import save

from linrep.errors import LinrepError
from linrep.llm.folder import INDEX, SINGLE, inside
from linrep.llm.model import load_model, open_unembedding

OPENERS: list[Callable[[str], Any]] = [load_model, open_unembedding]


@pytest.fixture(params=OPENERS, ids=lambda opener: opener.__name__)
def opened(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    return request.param


def refused(opened: Callable[[str], Any], where: Path | str, complaint: str) -> None:
    with pytest.raises(LinrepError, match=complaint) as caught:
        opened(str(where))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"cannot load the model {str(where)!r}: ")


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


class _Planted:
    """A pickle of this runs code when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("model_type", ["evil", "llama"])
def test_code_in_the_folder_is_never_run(tmp_path: Path, opened: Callable[[str], Any], model_type: str) -> None:
    folder, mark = save(tmp_path / "m"), tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass C: pass\nM = T = C\n")
    edit(
        folder / "config.json",
        model_type=model_type,
        auto_map={"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"},
    )
    refused(opened, folder, r"config\.json has auto_map, which asks for code")
    assert not mark.exists()


@pytest.mark.parametrize("key", ["auto_map", "trust_remote_code"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_every_request_for_code_is_refused(tmp_path: Path, opened: Callable[[str], Any], key: str, name: str) -> None:
    folder = save(tmp_path / "m")
    value = {"AutoTokenizer": ["evil.T", None]} if key == "auto_map" else True
    edit(folder / name, **{key: value})
    refused(opened, folder, f"{name} has {key}, which asks for code")


def test_code_of_a_model_of_the_hub_is_not_even_fetched(
    tmp_path: Path, opened: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "m")
    (folder / "evil.py").write_text("1 / 0\n")
    edit(folder / "config.json", auto_map={"AutoConfig": "evil.C"})
    hub = fake_hub(tmp_path / "hub", {"org/m": folder}, monkeypatch)
    refused(opened, "org/m", "auto_map")
    assert not any(name.endswith((".py", ".safetensors")) for name in hub.asked)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_a_pickle_is_never_opened(tmp_path: Path, opened: Callable[[str], Any], name: str) -> None:
    folder, mark = save(tmp_path / "m"), tmp_path / "ran"
    (folder / SINGLE).unlink()
    (folder / name).write_bytes(pickle.dumps(_Planted(mark)))
    refused(opened, folder, rf"neither {SINGLE} nor {INDEX}; {name} is pickled, which can run code, and was not opened")
    assert not mark.exists()
    pickle.loads((folder / name).read_bytes())
    assert mark.exists()  # it would have run


def test_a_pickle_under_the_name_of_safetensors_is_none(tmp_path: Path, opened: Callable[[str], Any]) -> None:
    folder, mark = save(tmp_path / "m"), tmp_path / "ran"
    (folder / SINGLE).write_bytes(pickle.dumps(_Planted(mark)))
    refused(opened, folder, r"model\.safetensors is damaged, or no safetensors file")
    torch.save({"a": torch.ones(1)}, folder / SINGLE)
    refused(opened, folder, r"model\.safetensors is damaged, or no safetensors file")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", INDEX])
@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, '"text"', "\udcff"])
def test_json_that_is_none_is_one_line(tmp_path: Path, opened: Callable[[str], Any], name: str, content: str) -> None:
    folder = save(tmp_path / "m", shard="3KB")
    (folder / name).write_bytes(content.encode(errors="surrogateescape"))
    refused(opened, folder, rf"{name} is not (JSON|a JSON object)")


@pytest.mark.parametrize("names", [None, [], {}, {"lm_head.weight": 3}, "x"])
def test_an_index_without_a_map_is_refused(tmp_path: Path, opened: Callable[[str], Any], names: Any) -> None:
    folder = save(tmp_path / "m", shard="3KB")
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": names}))
    refused(opened, folder, f"{INDEX} has no weight_map of tensors to files")


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/tmp/x.safetensors", "a/b.safetensors", "..\\x.safetensors", "..", "", "x.bin"]
)
def test_an_index_that_points_outside_is_refused(tmp_path: Path, opened: Callable[[str], Any], name: str) -> None:
    folder = save(tmp_path / "m", shard="3KB")
    names = json.loads((folder / INDEX).read_text())["weight_map"]
    edit(folder / INDEX, weight_map=names | {"lm_head.weight": name})
    refused(opened, folder, r"is not the name of a \.safetensors file in the folder")


@pytest.mark.parametrize("shard", [None, "3KB"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, opened: Callable[[str], Any], shard: str | None) -> None:
    folder, outside = save(tmp_path / "m", shard=shard), tmp_path / "outside"
    outside.mkdir()
    for path in folder.glob("*.safetensors"):
        path.rename(outside / path.name)
        path.symlink_to(outside / path.name)
    refused(opened, folder, r"'model\S*\.safetensors' is a link that leads out of the folder")


def test_links_within_the_folder_and_the_hubs_own_are_followed(
    tmp_path: Path, opened: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "m")
    expected = opened(str(folder)).unembedding
    fake_hub(tmp_path / "hub", {"org/m": folder}, monkeypatch)
    assert torch.equal(opened("org/m").unembedding, expected)
    (snapshot,) = (tmp_path / "hub").glob("models--org--m/snapshots/*")
    assert (snapshot / SINGLE).is_symlink()
    assert torch.equal(opened(str(snapshot)).unembedding, expected)
    (folder / SINGLE).rename(folder / "real.safetensors")
    (folder / SINGLE).symlink_to("real.safetensors")
    assert torch.equal(opened(str(folder)).unembedding, expected)
    (tmp_path / "link").symlink_to(folder)
    assert inside(tmp_path / "link", SINGLE).is_file()


@pytest.mark.parametrize("size", [0, 4, 100, 1000, -1])
@pytest.mark.parametrize("shard", [None, "3KB"])
def test_cut_weights_are_one_line(tmp_path: Path, opened: Callable[[str], Any], size: int, shard: str | None) -> None:
    folder = save(tmp_path / "m", shard=shard)
    for path in folder.glob("*.safetensors"):
        os.truncate(path, size % path.stat().st_size)
    refused(opened, folder, r"model\S*\.safetensors is damaged, or no safetensors file")


def test_another_file_of_weights_than_the_usual_is_not_read(tmp_path: Path, opened: Callable[[str], Any]) -> None:
    folder = save(tmp_path / "m")
    edit(folder / "config.json", transformers_weights="../other.safetensors")
    refused(opened, folder, r"config\.json has transformers_weights")
