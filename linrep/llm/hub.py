"""Models of the Hub, fetched file by file into its own cache folder: what is needed, and nothing else."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from linrep.errors import LinrepError
from linrep.llm.folder import CONFIG, INDEX, SINGLE, check_settings, weight_map
from linrep.llm.quiet import one_line, require_transformers

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)


def fetch_settings(repo: str) -> Path:
    """Fetch a model's configuration, tokenizer and index, without weights.

    Returns:
        The folder they are in; the weights come into the same one.

    Raises:
        LinrepError: a configuration that `check_settings` refuses.
        Exception: the Hub's own, when the model is not there, closed to the user, or the Hub does not answer.
    """
    folder = _fetch(repo, CONFIG).parent
    for name in (*TOKENIZER_FILES, INDEX):
        _fetch_if_there(repo, name)
    check_settings(folder)
    return folder


def fetch_weights(repo: str, folder: Path, names: Iterable[str] | None = None) -> None:
    """Fetch weights: the files named, or all of them.

    Args:
        folder: what `fetch_settings` gave.
        names: checked names of safetensors files.

    Raises:
        LinrepError, Exception: as `fetch_settings` does.
    """
    index = weight_map(folder)
    wanted = names if names is not None else [SINGLE] if index is None else sorted(set(index.values()))
    for name in wanted:
        _fetch(repo, name)


def fetch_all(repo: str) -> Path:
    """Settings and all weights; the folder they are in.

    Raises:
        LinrepError, Exception: as `fetch_settings` does.
    """
    folder = fetch_settings(repo)
    fetch_weights(repo, folder)
    return folder


def fetched_model(repo: str, *, name: str) -> Path:
    """Fetch a whole model, for a user who asked for it.

    Returns:
        Its folder.

    Raises:
        LinrepError: one line with the reason.
    """
    require_transformers()
    try:
        return fetch_all(repo)
    except Exception as error:  # the Hub raises of every kind
        raise LinrepError(f"cannot fetch the model {name!r}: {one_line(error)}") from error


def is_fetched(repo: str) -> bool:
    """Whether a model's configuration is in the Hub's cache; no connection is made."""
    if find_spec("huggingface_hub") is None:
        return False
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repo, CONFIG), str)


def _fetch(repo: str, name: str) -> Path:
    import huggingface_hub

    hub: Any = huggingface_hub
    return Path(hub.hf_hub_download(repo, name))


def _fetch_if_there(repo: str, name: str) -> None:
    from huggingface_hub.errors import EntryNotFoundError

    try:
        _fetch(repo, name)
    except EntryNotFoundError:  # also without a connection, when the file was never fetched
        return
