"""Saved states: found again only for the very same question, never damaged, never in the way."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from llm_tiny import network, tokenizer

from linrep.errors import CacheWarning
from linrep.llm.model import LanguageModel
from linrep.llm.saved_states import fingerprint, read_states, write_states
from linrep.llm.states import last_states

TEXTS = ["a king", "a man woman", "queen"]


def language_model(around: tuple[bool, bool] = (True, False), **options: Any) -> LanguageModel:
    tokens = tokenizer(around=around)
    net = network(len(tokens), tied=True, **options)
    return LanguageModel("tiny", 16, net.get_output_embeddings().weight.detach(), tokens, net)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of states in an empty cache folder."""
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "states"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One number for each time that states are really computed."""
    seen: list[int] = []

    def counted(*given: Any, **options: Any) -> Any:
        seen.append(len(given[1]))
        return last_states(*given, **options)

    monkeypatch.setattr("linrep.llm.network.last_states", counted)
    return seen


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != ".lock")


def test_the_second_call_reads_what_the_first_wrote(folder: Path, passes: list[int]) -> None:
    model = language_model()
    first, second = (model.hidden_states(TEXTS, cache=True) for _ in range(2))
    assert torch.equal(first, second)
    assert passes == [3]
    assert len(files(folder)) == 1
    model.hidden_states(TEXTS)
    assert passes == [3, 3]
    again = language_model()  # the same weights in another object, as in another process
    assert torch.equal(again.hidden_states(TEXTS, cache=True), first)
    assert passes == [3, 3]


def test_every_other_question_is_another_file(folder: Path, passes: list[int]) -> None:
    model = language_model()
    asked: list[torch.Tensor] = [
        model.hidden_states(TEXTS, cache=True),
        model.hidden_states(TEXTS[::-1], cache=True),
        model.hidden_states(TEXTS[:2], cache=True),
        model.hidden_states(TEXTS, special="none", cache=True),
        model.hidden_states(TEXTS, layers=True, cache=True),
        model.hidden_states(TEXTS, layers=[0, 1], cache=True),
        model.hidden_states(TEXTS, layers=True, lens=True, cache=True),
        language_model(seed=1).hidden_states(TEXTS, cache=True),
        language_model(rms_norm_eps=0.1).hidden_states(TEXTS, cache=True),
        language_model(around=(False, True)).hidden_states(TEXTS, cache=True),
    ]
    model.network.to(torch.float64)
    asked.append(model.hidden_states(TEXTS, cache=True))
    assert asked[-1].dtype == torch.float64
    assert torch.equal(asked[9], asked[3])  # with nothing in front both are the same tokens
    assert len(passes) == len(files(folder)) == len(asked) - 1


def test_a_change_of_the_weights_is_seen(folder: Path, passes: list[int]) -> None:
    model = language_model()
    first = model.hidden_states(TEXTS, cache=True)
    before = fingerprint(model.network)
    assert fingerprint(model.network) == before
    with torch.no_grad():
        model.network.model.norm.weight[3] += 1
    assert fingerprint(model.network) != before
    assert not torch.equal(model.hidden_states(TEXTS, cache=True), first)
    model.network.model.norm = torch.nn.Identity()
    model.hidden_states(TEXTS, cache=True)
    assert passes == [3, 3, 3]


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "text", "other", "folder"])
def test_a_damaged_file_is_computed_again(folder: Path, passes: list[int], harm: str) -> None:
    model = language_model()
    first = model.hidden_states(TEXTS, cache=True)
    (path,) = files(folder)
    content = bytearray(path.read_bytes())
    if harm == "cut":
        path.write_bytes(content[:-7])
    elif harm == "flip":
        content[-5] ^= 1
        path.write_bytes(content)
    elif harm == "other":
        from safetensors.torch import save_file

        save_file({"states": torch.zeros(3, 16)}, path)
    elif harm == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(b"" if harm == "empty" else b"no tensors " * 100)
    assert read_states(path) is None
    if harm == "folder":  # cannot be replaced by a file: the states are given all the same
        with pytest.warns(CacheWarning, match="not saved"):
            assert torch.equal(model.hidden_states(TEXTS, cache=True), first)
        return
    assert torch.equal(model.hidden_states(TEXTS, cache=True), first)
    assert passes == [3, 3]
    found = read_states(path)
    assert found is not None
    assert torch.equal(found, first)


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
@pytest.mark.parametrize("place", ["mkdir", "write_bytes", "replace"])
def test_a_disk_that_takes_nothing_is_one_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, place: str
) -> None:
    def fail(self: Path, *given: Any, **options: Any) -> None:
        if place == "write_bytes":
            with self.open("wb") as file:
                file.write(given[0][:10])
        raise OSError(number, os.strerror(number), str(self))

    model = language_model()
    expected = model.hidden_states(TEXTS)
    monkeypatch.setattr(Path, place, fail)
    with pytest.warns(CacheWarning, match=os.strerror(number)) as caught:
        found = model.hidden_states(TEXTS, cache=True)
    assert torch.equal(found, expected)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert not folder.exists() or files(folder) == []


def test_leftovers_of_killed_processes_are_removed(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / ".abc.safetensors.x1.part").write_bytes(b"half")
    write_states(folder / "abc.safetensors", torch.ones(2, 3))
    assert [path.name for path in files(folder)] == ["abc.safetensors"]


def test_processes_that_write_the_same_file_at_once_never_show_a_broken_one(folder: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path\n"
        "from linrep.llm.saved_states import read_states, write_states\n"
        "path, states = Path(sys.argv[1]), torch.arange(20000.0).reshape(2, 10000)\n"
        "for _ in range(40):\n"
        "    write_states(path, states)\n"
        "    assert torch.equal(read_states(path), states)\n"
    )
    command = [sys.executable, "-c", code, str(folder / "both.safetensors")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        assert process.communicate(timeout=60)[1] == b""
        assert process.returncode == 0
    assert [path.name for path in files(folder)] == ["both.safetensors"]


def test_nothing_is_pickled(folder: Path) -> None:
    language_model().hidden_states(TEXTS, cache=True)
    assert {path.suffix for path in files(folder)} == {".safetensors"}
