"""The folder of converted models. A model appears in it whole, or not at all.

A model is written into a folder of another name, with a manifest of its files as the last of them, and moved into
place by one rename. A process that is killed leaves that other folder behind; it is never read, and the next
conversion removes it.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linrep.errors import LinrepError
from linrep.llm.registry import Source, sha256

MANIFEST = "manifest.json"
RECIPE = 1
"""Raised when the conversion writes other files than before, so that older conversions count as out of date."""


def cache_folder() -> Path:
    """Where converted models are kept: LINREP_CACHE, else the platform's cache folder for linrep."""
    import platformdirs

    given = os.environ.get("LINREP_CACHE")
    try:
        return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("linrep"))
    except RuntimeError:  # no such user, or no home
        raise LinrepError(f"LINREP_CACHE is {given!r}, which names no folder; give a path") from None


def converted_folder(source: Source) -> Path:
    """Where the converted model is, or would be."""
    return cache_folder() / source.name


def fault(source: Source, *, deep: bool = True) -> str | None:
    """What is wrong with the converted model, in a few words; None when all is well.

    Args:
        deep: compare the files' sha256 with the manifest, not only their sizes (0.6 s for a gigabyte).
    """
    folder = converted_folder(source)
    if not folder.exists():
        return "not converted"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["recipe"] != RECIPE or manifest["source"] != source.sha256:
            return "made from another file or by another version"
        entries = [(folder / name, size, digest) for name, (size, digest) in manifest["files"].items()]
        for path, size, digest in entries:
            if path.stat().st_size != size or (deep and sha256(path) != digest):
                return f"{path.name} is damaged"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} is damaged"
    return None


@contextmanager
def publishing(source: Source) -> Iterator[Path]:
    """A new empty folder to write a model to. When the block ends well it gets its manifest and becomes the model.

    Leftovers of a killed conversion are removed first. The caller holds the lock of `locked`.

    Raises:
        LinrepError: the cache folder cannot be written.
    """
    final = converted_folder(source)
    partial, old = final.with_name(f".{final.name}.partial"), final.with_name(f".{final.name}.old")
    try:
        for leftover in (partial, old):
            if leftover.exists():
                shutil.rmtree(leftover)
        partial.mkdir()
        yield partial
        _seal(partial, source)
        if final.exists():
            final.rename(old)
        partial.rename(final)
        _sync(final.parent)
    except OSError as error:
        raise _unwritable(error) from None
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def scratch(source: Source) -> Iterator[Path]:
    """An empty folder beside the model for files that are needed on the way; removed afterwards, whatever happens.

    Raises:
        LinrepError: the cache folder cannot be written.
    """
    folder = cache_folder() / f".{source.name}.scratch"
    try:
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
        folder.mkdir()
        yield folder
    except OSError as error:
        raise _unwritable(error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(source: Source) -> Iterator[None]:
    """One conversion at a time: other processes wait. The system frees the lock of a process that dies.

    Raises:
        LinrepError: the cache folder cannot be written.
    """
    import filelock

    lock = filelock.FileLock(cache_folder() / f".{source.name}.lock")
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _unwritable(error) from None
    try:
        yield
    finally:
        lock.release()


def _seal(folder: Path, source: Source) -> None:
    """Write the manifest, let others read what is here, and have the system put everything on the disk."""
    files = {path.name: (path.stat().st_size, sha256(path)) for path in sorted(folder.iterdir())}
    manifest = {"recipe": RECIPE, "source": source.sha256, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    """fsync; a folder is skipped where the system cannot open one (Windows)."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(error: OSError) -> LinrepError:
    reason = error.strerror or type(error).__name__
    return LinrepError(f"cannot write the cache folder {cache_folder()}: {reason}; LINREP_CACHE names another")
