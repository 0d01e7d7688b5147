"""The known models, and what is there of them on this machine."""

from dataclasses import dataclass

from linrep.llm.cache import fault
from linrep.llm.hub import is_fetched
from linrep.llm.registry import HUB_MODELS, SOURCES, HubModel, Source, installed, source_of


@dataclass(frozen=True)
class KnownModel:
    """One row of `linrep models`.

    Attributes:
        name: the name that `linrep` uses.
        package: pinned, as pip writes it; of a model of the Hub its id.
        licence: its identifier or name.
        bytes, sha256: of the GGUF file in the package; None for a model of the Hub.
        present: the package is installed in that version; the Hub's configuration is in the Hub's cache.
        converted: the converted model is in the cache folder; None for a model of the Hub, which is read as it is.
        terms: where the terms are that `linrep models get` asks the user to accept; None when there are none.
    """

    name: str
    package: str
    licence: str
    bytes: int | None
    sha256: str | None
    present: bool
    converted: bool | None
    terms: str | None = None


def known_models() -> list[KnownModel]:
    """The known models and their state on this machine; sizes of converted files are checked, not their contents."""
    return [*map(_packaged, SOURCES.values()), *map(_of_the_hub, HUB_MODELS.values())]


def origin(name: str) -> dict[str, str]:
    """What a record says of a known model: its name, package and licence, and the SHA-256 of its weights file.

    Raises:
        InputError: no packaged model has this name.
    """
    source = source_of(name)
    return {"name": name, "package": source.requirement, "licence": source.licence, "sha256": source.sha256}


def _packaged(source: Source) -> KnownModel:
    return KnownModel(
        name=source.name,
        package=source.requirement,
        licence=source.licence,
        bytes=source.bytes,
        sha256=source.sha256,
        present=installed(source),
        converted=fault(source, deep=False) is None,
        terms=source.terms,
    )


def _of_the_hub(model: HubModel) -> KnownModel:
    return KnownModel(model.name, model.repo, model.licence, None, None, is_fetched(model.repo), None)
