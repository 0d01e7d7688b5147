"""A model's folder, judged before a library opens it: no code of its own, no pickle, no path that leads out of it.

Each complaint is one line without the model's name, which the caller puts in front.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from linrep.errors import LinrepError

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_REFUSED = ("auto_map", "trust_remote_code", "transformers_weights")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def check_folder(folder: Path) -> None:
    """Refuse a folder with code of its own, without safetensors weights, or whose index is not in order.

    Raises:
        LinrepError: what is wrong.
    """
    check_settings(folder)
    for path in weight_files(folder):
        with opened_weights(path):
            pass


def check_settings(folder: Path) -> None:
    """Refuse a configuration that is missing, is no JSON object, or asks for code that comes with the model.

    Raises:
        LinrepError: what is wrong.
    """
    if not (folder / CONFIG).is_file():
        raise LinrepError(f"the folder has no {CONFIG}")
    for path in sorted(folder.glob("*.json")):
        if path.name in (CONFIG, "tokenizer_config.json", "generation_config.json"):
            asked = [key for key in _REFUSED if key in read_object(path)]
            if asked:
                raise LinrepError(f"{path.name} has {asked[0]}, which asks for code or files of the model's own: "
                                  "linrep runs and reads none")  # fmt: skip


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that a folder's weights are in, as its index names them, or the single one.

    Raises:
        LinrepError: there are none; else as `weight_map` and `inside` do.
    """
    names = weight_map(folder)
    if names is None and not (folder / SINGLE).is_file():
        pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
        also = f"; {pickled[0]} is pickled, which can run code, and was not opened" if pickled else ""
        raise LinrepError(f"the folder has neither {SINGLE} nor {INDEX}{also}")
    return [inside(folder, name) for name in ([SINGLE] if names is None else sorted(set(names.values())))]


@contextmanager
def opened_weights(path: Path) -> Iterator[Any]:
    """A safetensors file, opened; its header says where each tensor lies, and that the file is as long as they need.

    Raises:
        LinrepError: the file is not there, or is not one.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise LinrepError(f"the folder lacks {path.name}, which holds weights")
    try:
        with safe_open(path, framework="pt") as tensors:
            yield tensors
    except SafetensorError as error:
        raise LinrepError(f"{path.name} is damaged, or no safetensors file: {error}") from None


def weight_map(folder: Path) -> dict[str, str] | None:
    """The file of each tensor, from the index; None for a folder without one. A single file goes first.

    Raises:
        LinrepError: an index that is no index, or that names a file elsewhere.
    """
    if not (folder / INDEX).is_file() or (folder / SINGLE).is_file():
        return None
    names = read_object(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise LinrepError(f"{INDEX} has no weight_map of tensors to files")
    for name in names.values():
        inside(folder, name)
    return names


def inside(folder: Path, name: str) -> Path:
    """The file of that name in the folder itself.

    A link may lead within the folder, or, as the Hub's own cache is laid out, from snapshots/COMMIT to blobs.

    Raises:
        LinrepError: a path instead of a name, a name of another kind of file, or a link that leads elsewhere.
    """
    if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
        raise LinrepError(f"the weights' file {name!r} is not the name of a .safetensors file in the folder")
    path, home = folder / name, folder.resolve()
    allowed = [home, *([home.parent.parent / "blobs"] if home.parent.name == "snapshots" else [])]
    if path.resolve().parent not in allowed:
        raise LinrepError(f"the weights' file {name!r} is a link that leads out of the folder")
    return path


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        LinrepError: the file cannot be read, or holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LinrepError(f"cannot read {path.name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise LinrepError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise LinrepError(f"{path.name} is not a JSON object")
    return found
