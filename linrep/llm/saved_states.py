"""Hidden states on disk, so that the same contexts need no second pass through the same model.

One file holds the states of one call. Its name is the hash of everything that decides them: the weights and settings
of the network, its number type, the layers, and the token ids, which hold the texts, the tokenizer's doing and the
special tokens. A file appears whole or not at all, and carries a checksum: one that is damaged is not used, and
written again. The folder may be deleted at any time.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from linrep.errors import CacheWarning, LinrepError
from linrep.files import replacing
from linrep.llm.cache import cache_folder

RECIPE = 1
"""Raised when states are computed in another way than before, so that older files are not found."""

_VOLATILE = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures")
_known: WeakKeyDictionary[Any, tuple[object, str]] = WeakKeyDictionary()


def saved_or_computed(
    network: Any, ids: Sequence[Sequence[int]], options: Sequence[Any], compute: Callable[[], Tensor]
) -> Float[Tensor, "*layers texts dim"]:
    """The states of a call from the cache folder; computed, and put there, when they are not in it.

    A folder that cannot be read or written, or a full disk, is one CacheWarning; the states are computed all the same.

    Args:
        network: the model, none of whose weights are on another machine or only on disk.
        ids: the tokens of each context.
        options: what else decides the states, ready for JSON: layers, lens.
        compute: gives the states.
    """
    if any(tensor.is_meta for tensor in network.parameters()):
        warnings.warn("hidden states are not saved: not all weights are in memory", CacheWarning, stacklevel=2)
        return compute()
    path = cache_folder() / "states" / f"{states_key(network, ids, options)}.safetensors"
    saved = read_states(path)
    if saved is not None:
        return saved.to(network.get_output_embeddings().weight.device)
    states = compute()
    try:
        write_states(path, states)
    except (LinrepError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        warnings.warn(f"hidden states are not saved: {reason}; LINREP_CACHE names another folder", CacheWarning,
                      stacklevel=2)  # fmt: skip
    return states


def states_key(network: Any, ids: Sequence[Sequence[int]], options: Sequence[Any]) -> str:
    """SHA-256, in hexadecimal, of all that decides the states."""
    what = [RECIPE, fingerprint(network), str(network.dtype), list(options), [list(map(int, row)) for row in ids]]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def fingerprint(network: Any) -> str:
    """SHA-256 of a network's class, configuration, parameters and buffers.

    It is kept until a tensor is replaced or changed in place; 0.4 s for half a gigabyte otherwise.
    """
    tensors = [*network.named_parameters(), *network.named_buffers()]
    marks = [(name, tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for name, tensor in tensors]
    if network in _known and _known[network][0] == marks:
        return _known[network][1]
    config = {key: value for key, value in network.config.to_dict().items() if key not in _VOLATILE}
    digest = hashlib.sha256(json.dumps([type(network).__name__, config], sort_keys=True, default=str).encode())
    for name, tensor in tensors:
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    _known[network] = (marks, digest.hexdigest())
    return digest.hexdigest()


def read_states(path: Path) -> Float[Tensor, "*layers texts dim"] | None:
    """The states in a file; None when there is none, or it is not whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            states: Tensor = file.get_tensor("states").clone()  # of its own: the file may be replaced
            return states if file.metadata()["sha256"] == _checksum(states) else None
    except (OSError, SafetensorError, KeyError, TypeError):
        return None


def write_states(path: Path, states: Float[Tensor, "*layers texts dim"]) -> None:
    """Write states whole or not at all, and remove what killed processes left behind.

    Raises:
        LinrepError, OSError: the folder cannot be written.
    """
    import filelock
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    states = states.cpu().contiguous()
    content = save({"states": states}, metadata={"sha256": _checksum(states)})
    with filelock.FileLock(path.parent / ".lock"):  # under it, every unfinished file is a leftover
        _remove(path.parent.glob(".*.part"))
        with replacing(path) as part:
            part.write_bytes(content)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _checksum(states: Tensor) -> str:
    return hashlib.sha256(_bytes(states)).hexdigest()


def _bytes(tensor: Tensor) -> Any:
    """The numbers of a tensor as a buffer of bytes, of any type, numpy's or not."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy()
