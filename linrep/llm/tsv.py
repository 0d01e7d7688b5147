"""Reading tab-separated text that people write by hand."""

from collections.abc import Iterator
from importlib.resources.abc import Traversable
from io import StringIO

from linrep.errors import InputError


def read_rows(file: Traversable) -> Iterator[tuple[int, list[str]]]:
    """Each line's number, from 1, and its columns without the white space around them; blank lines are left out.

    UTF-8, with or without a byte-order mark; any line ends.

    Raises:
        InputError: a file that cannot be read or is not UTF-8, with the line.
    """
    for number, line in enumerate(StringIO(_text(file), newline=None), start=1):
        row = line.rstrip("\n")
        if row.strip(" "):
            yield number, [column.strip() for column in row.split("\t")]


def _text(file: Traversable) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{file}, line {line}: byte {error.object[error.start]:#04x} is not UTF-8") from None
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from None
