"""The folder of a sweep: one file for each finished task, whole or not at all, and locks for those under way."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from linrep.errors import InputError
from linrep.files import replacing
from linrep.sweep.task import Task, as_json, canonical


@dataclass(frozen=True)
class Store:
    """Finished tasks in a folder, `KEY.json` each: function, arguments, fingerprint, result and a digest of them all.

    Attributes:
        fingerprint: of the sources; results of other sources are neither served nor overwritten.
    """

    folder: Path
    fingerprint: str

    def key(self, task: Task) -> str:
        """The name of a task's file: a hash of function, arguments and sources."""
        return _sha256(canonical([task.function, json.loads(task.text), self.fingerprint]))[:32]

    def read(self, task: Task) -> tuple[Any] | None:
        """The result, in a tuple since it may be None; None for a file that is missing, damaged or foreign."""
        try:
            content = json.loads((self.folder / f"{self.key(task)}.json").read_text(encoding="utf-8"))
            if content == self._content(task, content["result"]):
                return (content["result"],)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass
        return None

    def write(self, task: Task, text: str) -> Any:
        """Put a result, written as JSON, on disk; returns it.

        Raises:
            LinrepError: the folder cannot be written.
        """
        result = json.loads(text)
        with replacing(self.folder / f"{self.key(task)}.json") as part:
            part.write_text(as_json(self._content(task, result)) + "\n", encoding="utf-8")
        return result

    def claim(self, task: Task) -> BaseFileLock | None:
        """The right to do a task; None while another sweep has it. It ends with the process, however that ends."""
        lock = FileLock(self.folder / f"{self.key(task)}.lock", thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        return lock

    def _content(self, task: Task, result: Any) -> dict[str, Any]:
        """What is in the file of a task with this result."""
        content = {
            "function": task.function,
            "arguments": json.loads(task.text),
            "fingerprint": self.fingerprint,
            "result": result,
        }
        return content | {"digest": _sha256(canonical(content))}


def release(claim: BaseFileLock) -> None:
    """Give a claim back, and leave no lock's file behind.

    The file is removed while the lock is held: who opened it meanwhile sees that it is gone, and opens a new one.
    """
    with suppress(OSError):  # Windows removes no file that is open
        Path(claim.lock_file).unlink()
    claim.release()


@contextmanager
def released(claims: Mapping[str, BaseFileLock]) -> Iterator[None]:
    """Give back what is still claimed when the block ends, however it ends."""
    try:
        yield
    finally:
        for claim in claims.values():
            release(claim)


def prepare_folder(folder: Path) -> None:
    """Make the folder, or refuse one that cannot hold results.

    Raises:
        InputError: names the folder.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the results folder is {folder}, which is a file; a folder's name is needed")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the results folder {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"the results folder {folder} cannot be written")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
