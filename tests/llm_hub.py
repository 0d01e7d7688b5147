"""A Hub without a network: folders stand in for its models."""

import shutil
from pathlib import Path
from typing import Any

import pytest


class FakeHub:
    """What `hf_hub_download` would give, copied from folders into a cache that is laid out like the Hub's own.

    Attributes:
        models: the folder of each model by its id.
        asked: every file that was asked for and was there.
    """

    def __init__(self, cache: Path, models: dict[str, Path]) -> None:
        self.cache, self.models = cache, models
        self.asked: list[str] = []

    def download(self, repo: str, name: str, **_: Any) -> str:
        """As hf_hub_download: a link in snapshots/COMMIT to a file in blobs."""
        from huggingface_hub.errors import LocalEntryNotFoundError

        source = self.models[repo] / name if repo in self.models else None
        if source is None or not source.is_file():
            raise LocalEntryNotFoundError(f"no {name} in\n{repo}")
        self.asked.append(name)
        home = self.cache / f"models--{repo.replace('/', '--')}"
        link, blob = home / "snapshots" / "0123abcd" / name, home / "blobs" / f"of-{name}"
        for path in (link, blob):
            path.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            shutil.copy(source, blob)
            link.symlink_to(Path("..", "..", "blobs", blob.name))
        return str(link)


def fake_hub(cache: Path, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """Put one in the place of the real downloader."""
    hub = FakeHub(cache, models)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", hub.download)
    return hub
