"""Records: what was asked, what came out, and where it was computed. One schema for every experiment.

A record is a JSON object. `kind`, `config`, `seeds`, `seconds`, `version` and `provenance` are always there; `rows`
names the list that holds one flat row per observation; everything else belongs to the kind.
"""

import json
import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from linrep import __version__
from linrep.errors import InputError, LinrepError
from linrep.files import replacing

SCHEMA = 1
_ENVELOPE = ("schema", "kind", "config", "seeds", "seconds", "version", "provenance", "rows")


@dataclass(frozen=True, eq=False)
class Record:
    """One experiment's record.

    Attributes:
        kind: the experiment: "simulate", "probe", or a table's name.
        config: every setting, as resolved.
        seeds: the seeds that were reported on.
        rows: the key in `body` of the list with one row per observation.
        body: what the kind reports.
        seconds: wall time.
    """

    kind: str
    config: Mapping[str, Any]
    seeds: Sequence[int]
    rows: str
    body: Mapping[str, Any]
    seconds: float
    version: str = __version__
    provenance: Mapping[str, Any] = field(default_factory=lambda: provenance())

    def __post_init__(self) -> None:
        """Refuse a body that hides the envelope, or whose rows are missing."""
        clash = sorted(set(_ENVELOPE) & set(self.body))
        if clash or not isinstance(self.body.get(self.rows), list):
            raise InputError(f"a record's body must hold the list {self.rows!r} and none of {', '.join(_ENVELOPE)}")

    def to_dict(self) -> dict[str, Any]:
        """The JSON object, body and envelope side by side."""
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "config": dict(self.config),
            "seeds": list(self.seeds),
            "rows": self.rows,
            **self.body,
            "seconds": self.seconds,
            "version": self.version,
            "provenance": dict(self.provenance),
        }

    def to_json(self) -> str:
        """Text of the record.

        Raises:
            LinrepError: a NaN or an infinity is in it.
        """
        try:
            return json.dumps(self.to_dict(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        except ValueError:
            raise LinrepError(f"the record {self.kind!r} holds a number that is not finite; nothing written") from None

    def to_frame(self) -> pd.DataFrame:
        """One row per observation."""
        return pd.DataFrame(self.body[self.rows])


def provenance() -> dict[str, Any]:
    """Versions, commit and processor of this run."""
    import torch

    libraries = ("torch", "numpy", "numba", "scipy", "pandas", "transformers")
    return {
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in libraries if _installed(name)},
        "commit": _commit(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }


def write_record(record: Record, path: Path) -> None:
    """Write a record whole or not at all: to a file beside it first, then moved into place.

    Raises:
        LinrepError: a number that is not finite, or a folder that cannot be written.
    """
    text = record.to_json()
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def read_record(path: Path) -> Record:
    """The record in a file.

    Raises:
        InputError: a file that is missing or is no record of this schema.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise InputError(f"{path} has schema {content['schema']}; this version reads {SCHEMA}")
        envelope = {name: content[name] for name in _ENVELOPE if name != "schema"}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise InputError(f"{path} is not a record: it lacks one of {', '.join(_ENVELOPE)}") from None
    return Record(**envelope, body={name: value for name, value in content.items() if name not in _ENVELOPE})


def results_folder() -> Path:
    """The folder of the recorded results, beside the package in its source tree.

    Raises:
        InputError: linrep is installed away from its source tree, which has the records.
    """
    folder = Path(__file__).resolve().parent.parent / "results"
    if not folder.is_dir():
        raise InputError(f"no recorded results in {folder}; run from a clone of the repository")
    return folder


def unfinished_folder(name: str) -> Path:
    """Where the finished parts of a long experiment wait until its record is made."""
    return results_folder() / ".unfinished" / name


def require_agreement(
    recorded: pd.DataFrame, live: pd.DataFrame, *, on: Sequence[str], columns: Sequence[str], tolerance: float
) -> None:
    """Hold rows computed here and now to those of a record: every live row must be on record, with the same numbers.

    Args:
        on: the columns that name a row. columns: the numbers compared.
        tolerance: the largest difference allowed, absolute for numbers below 1 and relative above.

    Raises:
        LinrepError: no live row, a live row that is not on record, or a number that differs; names the first one.
    """
    keys = list(on)
    if live.empty:
        raise LinrepError("no live row to hold to the record")
    both = live.merge(recorded, on=keys, how="left", suffixes=("", " recorded"), indicator=True, validate="one_to_one")
    for row in both.to_dict("records"):
        name = ", ".join(f"{key} = {row[key]}" for key in keys)
        if row["_merge"] != "both":
            raise LinrepError(f"{name} is not on record")
        for column in columns:
            now, then = row[column], row[f"{column} recorded"]
            if not abs(now - then) <= tolerance * max(1.0, abs(then)):
                raise LinrepError(f"{name}: {column} is {now:.6g}, on record it is {then:.6g}")


def short(value: float) -> float:
    """Six significant digits: what records keep of a number."""
    return float(f"{value:.6g}")


def json_rows(table: pd.DataFrame, *, unknown: str = "monotone") -> list[dict[str, Any]]:
    """The rows of a table for JSON, numbers shortened.

    Args:
        unknown: the column in which a missing value is null; elsewhere it stays NaN, which no record takes.
    """
    rows = table.to_dict("records")
    found = [{str(key): short(v) if isinstance(v, float) else v for key, v in row.items()} for row in rows]
    return [{key: None if key == unknown and value != value else value for key, value in row.items()} for row in found]


def finite_or_none(value: float) -> float | None:
    """The number, or None (JSON's null) for one that is not known."""
    return value if math.isfinite(value) else None


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _commit() -> str | None:
    """The commit of the source tree that linrep runs from, with "+" when it has changes; None outside git."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        run = [
            subprocess.run(["git", "-C", str(root), *args], capture_output=True, text=True, check=True, timeout=10)
            for args in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return run[0].stdout.strip() + ("+" if run[1].stdout.strip() else "")


def _processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
