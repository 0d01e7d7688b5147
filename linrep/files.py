"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from linrep.errors import InputError, LinrepError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; it takes the place of `path` when the block ends well, else it is removed.

    A symbolic link is followed: its target is replaced, the link stays.

    Raises:
        LinrepError: the folder cannot be written.
    """
    path = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        part = Path(name)
        try:
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise LinrepError(f"cannot write {path}: {error.strerror}") from None


def write_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write some files of a folder, all of them or none; the folder is made where there is none.

    They are written in a folder of another name first, so that a full disk leaves nothing behind, then moved.

    Raises:
        LinrepError: the folder cannot be written.
    """
    folder = folder.resolve()
    home = folder if folder.is_dir() else folder.parent  # on the same file system as the files
    try:
        with tempfile.TemporaryDirectory(dir=home, prefix=f".{folder.name}.", suffix=".part") as name:
            for file, content in contents.items():
                (Path(name) / file).write_bytes(content)
            folder.mkdir(exist_ok=True)
            for file in contents:
                (Path(name) / file).replace(folder / file)
    except OSError as error:
        raise LinrepError(f"cannot write to {folder}: {error.strerror}") from None


def check_target(path: Path, option: str) -> None:
    """Refuse a place that cannot take a file, before the work whose result would go there.

    Raises:
        InputError: names the option and the path.
    """
    path = path.resolve()
    if path.is_dir():
        raise InputError(f"{option} is {path}, a folder; a file's name is needed")
    if path.exists() and not path.is_file():
        raise InputError(f"{option} is {path}, which is no regular file; a file's name is needed")
    _check_home(path, option)


def check_folder_target(folder: Path, option: str, names: Sequence[str]) -> None:
    """Refuse a place that cannot take these files in a folder, before the work.

    Raises:
        InputError: names the option and the path.
    """
    folder = folder.resolve()
    if not folder.exists():
        _check_home(folder, option)
    elif not folder.is_dir():
        raise InputError(f"{option} is {folder}, a file; a folder's name is needed")
    else:
        for name in names:
            check_target(folder / name, option)


def _check_home(path: Path, option: str) -> None:
    if not path.parent.is_dir():
        raise InputError(f"{option} is {path}, but there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{option} is {path}, but the folder {path.parent} cannot be written")
