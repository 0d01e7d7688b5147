"""Reading tab-separated text that people write by hand."""

from collections.abc import Iterator
from importlib.resources.abc import Traversable
from io import StringIO

from linrep.errors import InputError

SHOWN = 60
"""Characters of a text that a message quotes."""


def read_rows(file: Traversable) -> Iterator[tuple[int, list[str]]]:
    """Each line's number, from 1, and its columns without the white space around them; blank lines are left out.

    UTF-8, with or without a byte-order mark; any line ends.

    Raises:
        InputError: a file that cannot be read, is not UTF-8 or holds a NUL, as no text does; with the line.
    """
    for number, line in enumerate(StringIO(_text(file), newline=None), start=1):
        row = line.rstrip("\n")
        if "\0" in row:
            raise InputError(f"{file}, line {number}: a NUL character; the file must be UTF-8 text")
        if row.strip(" "):
            yield number, [column.strip() for column in row.split("\t")]


def quoted(text: str) -> str:
    """The text in quotation marks, control characters written out, cut after `SHOWN` characters."""
    return repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r}..."


def plain(text: str) -> str:
    """The text as a report shows it: control characters written out, cut after `SHOWN` characters."""
    cut = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in cut)


def _text(file: Traversable) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{file}, line {line}: byte {error.object[error.start]:#04x} is not UTF-8") from None
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from None
