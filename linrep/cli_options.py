"""What several commands share: types of options, and where their results go."""

import sys
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linrep import __version__
from linrep.errors import InputError

if TYPE_CHECKING:  # results imports pandas and torch, which --help does not need
    from linrep.results import Record


INTERRUPTED = 130
"""The exit status of Ctrl-C, which typer returns."""


def _version(wanted: bool) -> bool:
    if wanted:
        print(f"linrep {__version__}")
        raise typer.Exit
    return wanted


def _count_or_all(text: str | int) -> int:
    """A number, or 0 for "all"."""
    if text in ("all", 0):
        return 0
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise InputError(f"{text!r} is neither a number from 1 nor 'all'")
    return count


Version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
]
Count = Annotated[int, typer.Option(parser=_count_or_all, metavar="N|all")]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write a record; - for stdout.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
ModelDevice = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: what this machine has.")]


def check_targets(json: Path | None, **others: Path | None) -> None:
    """Refuse places that cannot take the results, before the work.

    Args:
        others: places of other options, by the option's name; only --json may be -, stdout.
    """
    from linrep.files import check_target

    given = {f"--{name}": path for name, path in {"json": json, **others}.items() if path is not None}
    for (option, path), (other, second) in combinations(given.items(), 2):
        if path.resolve() == second.resolve():
            raise InputError(f"{option} and {other} are both {path}; two files are needed")
    for option, path in given.items():
        if str(path) != "-":
            check_target(path, option)
        elif option != "--json":
            raise InputError(f"{option} is -; a file's name is needed")


def emit(record: "Record", path: Path) -> None:
    """Write a record to a file, or to stdout for -."""
    from linrep.results import write_record

    if str(path) == "-":
        sys.stdout.write(record.to_json())
    else:
        write_record(record, path)
