"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
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
    if not path.parent.is_dir():
        raise InputError(f"{option} is {path}, but there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{option} is {path}, but the folder {path.parent} cannot be written")
