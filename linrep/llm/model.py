"""Language models by name, by folder, or from the Hub; and the state of the known ones on this machine."""

import re
from dataclasses import replace
from pathlib import Path

import torch

from linrep.errors import InputError, LinrepError
from linrep.llm.cache import converted_folder, fault
from linrep.llm.convert import get_model
from linrep.llm.known import KnownModel, known_models
from linrep.llm.matrix import Unembedding, read_unembedding
from linrep.llm.network import AUTO, LanguageModel, first_device, open_model
from linrep.llm.registry import HUB_MODELS, SOURCES
from linrep.setting import check_device

__all__ = ["KnownModel", "LanguageModel", "Unembedding", "get_model", "known_models", "load_model", "open_unembedding"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def load_model(name_or_path: str, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> LanguageModel:
    """A language model: a known name, a local folder in transformers' format, or a Hub id such as org/name.

    Only safetensors weights are read, and no code that comes with a model is run. A known model or a folder is read
    without any connection.

    Args:
        name_or_path: llama-2-7b, for one, stands for its Hub id.
        device: cpu, cuda, cuda:N, or auto: accelerate then spreads the model over the cards and the memory.
        dtype: of the weights and of all that is computed from them.

    Raises:
        InputError: the name is none of the three, or the device does not exist.
        LinrepError: a known model that is not converted or damaged (the message names the command that mends it), a
            folder without a model, a Hub that does not answer, logits that are not a known head's of h Wᵀ.
    """
    where, local = _place(name_or_path)
    return open_model(where, name=name_or_path, device=device, dtype=dtype, local=local)


def open_unembedding(name_or_path: str, *, device: str = "cpu") -> Unembedding:
    """The unembedding and the tokenizer of a model, without its network; what `linrep.llm.probe.probe` needs.

    Of the weights one tensor is read, and of a sharded model of the Hub one file fetched: LLaMA-2-7B's words then
    need a quarter of a gigabyte. Names are those of `load_model`. The numbers keep the type they are stored in.

    Raises:
        InputError, LinrepError: as `load_model` does.
    """
    check_device(device, also=(AUTO,))
    where, local = _place(name_or_path)
    found = read_unembedding(where, name=name_or_path, local=local)
    return replace(found, unembedding=found.unembedding.to(first_device(device)))


def _place(name_or_path: str) -> tuple[str, bool]:
    """Where a model is: a folder (True) or an id of the Hub (False)."""
    if name_or_path in SOURCES:
        return _ready_folder(name_or_path), True
    if name_or_path in HUB_MODELS:
        return HUB_MODELS[name_or_path].repo, False
    path = Path(name_or_path)
    if name_or_path and path.is_dir():
        return name_or_path, True
    if not path.exists() and _HUB_ID.fullmatch(name_or_path):
        return name_or_path, False
    raise InputError(
        f"{name_or_path!r} is no model: allowed are {', '.join((*SOURCES, *HUB_MODELS))}, "
        "a folder with a model in transformers' format, or a Hub id such as org/name"
    )


def _ready_folder(name: str) -> str:
    source = SOURCES[name]
    if problem := fault(source):
        raise LinrepError(f"the model {name} is not ready ({problem}); run: {source.command}")
    return str(converted_folder(source))
