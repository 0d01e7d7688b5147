"""What a result depends on beside its arguments: the sources of linrep and the versions of the numerical packages."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

NUMERICAL_PACKAGES = ("torch", "numpy", "scipy", "numba")
SOURCES = (".py", ".tsv")
"""The endings of the package's files that a result can depend on."""


def digest_of(root: Path, files: Iterable[Path], packages: Iterable[str]) -> str:
    """Sixteen hexadecimal digits of files, named from `root`, and of the installed versions of packages."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for package in packages:
        digest.update(f"{package}=={_version(package)}\0".encode())
    return digest.hexdigest()[:16]


@cache
def fingerprint() -> str:
    """Sixteen hexadecimal digits of linrep's own sources and data and of the numerical packages' versions.

    Taken once in a process, which goes on with the code that it has loaded when a file is changed under it.
    """
    package = Path(__file__).resolve().parent.parent
    files = sorted(path for path in package.rglob("*") if path.suffix in SOURCES and path.is_file())
    return digest_of(package, files, NUMERICAL_PACKAGES)


def _version(package: str) -> str | None:
    """The installed version; None without one, as numba is optional."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
