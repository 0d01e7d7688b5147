"""Language models by name, by folder, or from the Hub; and the state of the known ones on this machine."""

import re
from pathlib import Path

import torch

from linrep.errors import InputError, LinrepError
from linrep.llm.cache import converted_folder, fault
from linrep.llm.convert import KnownModel, get_model, known_models
from linrep.llm.network import LanguageModel, open_model
from linrep.llm.registry import SOURCES

__all__ = ["KnownModel", "LanguageModel", "get_model", "known_models", "load_model"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def load_model(name_or_path: str, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> LanguageModel:
    """A language model: a known name, a local folder in transformers' format, or a Hub id such as org/name.

    Only safetensors weights are read, and no code that comes with a model is run. A known model or a folder is read
    without any connection.

    Raises:
        InputError: the name is none of the three, or the device does not exist.
        LinrepError: a known model that is not converted or damaged (the message names the command that mends it), a
            folder without a model, a Hub that does not answer.
    """
    if name_or_path in SOURCES:
        return _load_known(name_or_path, device, dtype)
    path = Path(name_or_path)
    if name_or_path and path.is_dir():
        return open_model(name_or_path, name=name_or_path, device=device, dtype=dtype, local=True)
    if not path.exists() and _HUB_ID.fullmatch(name_or_path):
        return open_model(name_or_path, name=name_or_path, device=device, dtype=dtype, local=False)
    raise InputError(
        f"{name_or_path!r} is no model: allowed are {', '.join(SOURCES)}, "
        "a folder with a model in transformers' format, or a Hub id such as org/name"
    )


def _load_known(name: str, device: str, dtype: torch.dtype) -> LanguageModel:
    source = SOURCES[name]
    if problem := fault(source):
        raise LinrepError(f"the model {name} is not ready ({problem}); run: {source.command}")
    return open_model(str(converted_folder(source)), name=name, device=device, dtype=dtype, local=True)
