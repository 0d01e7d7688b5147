"""Records: whole or not at all, read back as written, never a NaN."""

import json
import os
from pathlib import Path

import pytest

from linrep import __version__
from linrep.errors import InputError, LinrepError
from linrep.files import check_target, replacing
from linrep.memory import describe_bytes, require_memory
from linrep.results import Record, read_record, write_record


def record(value: float = 1.5) -> Record:
    return Record("test", {"m": 3}, [1, 2], "per_seed", {"per_seed": [{"seed": 1, "u": value}], "mean": value}, 0.1)


def test_a_record_reads_back_as_written(tmp_path: Path) -> None:
    write_record(record(), tmp_path / "r.json")
    again = read_record(tmp_path / "r.json")
    assert again.to_dict() == record().to_dict()
    assert again.to_frame().to_dict("records") == [{"seed": 1, "u": 1.5}]
    assert again.version == __version__


def test_a_record_tells_where_it_comes_from() -> None:
    origin = record().to_dict()["provenance"]
    assert origin["libraries"]["torch"].startswith("2.13")
    assert origin["processor"]
    assert origin["commit"] is None or len(origin["commit"].rstrip("+")) == 40


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_that_is_not_finite_is_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(LinrepError, match="not finite; nothing written"):
        write_record(record(value), tmp_path / "r.json")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_record(tmp_path: Path) -> None:
    write_record(record(1.0), tmp_path / "r.json")

    def interrupted() -> None:
        with replacing(tmp_path / "r.json") as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read_record(tmp_path / "r.json").body["mean"] == 1.0
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"schema": 1}', "\udcff"])
def test_what_is_no_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_bytes(os.fsencode(content))
    with pytest.raises(InputError, match="is not a record"):
        read_record(tmp_path / "r.json")


def test_another_schema_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(record().to_dict() | {"schema": 99}))
    with pytest.raises(InputError, match="has schema 99; this version reads 1"):
        read_record(tmp_path / "r.json")
    with pytest.raises(InputError, match="cannot read"):
        read_record(tmp_path / "none.json")


def test_a_body_may_not_hide_the_envelope() -> None:
    with pytest.raises(InputError, match="must hold the list 'rows_here'"):
        Record("test", {}, [], "rows_here", {"rows_here": 3}, 0.0)
    with pytest.raises(InputError, match="none of schema, kind"):
        Record("test", {}, [], "x", {"x": [], "version": 2}, 0.0)


def test_targets_are_checked_before_the_work(tmp_path: Path) -> None:
    check_target(tmp_path / "new.json", "--json")
    with pytest.raises(InputError, match=r"--json is .* a folder"):
        check_target(tmp_path, "--json")
    with pytest.raises(InputError, match="there is no folder"):
        check_target(tmp_path / "a" / "b.json", "--save")


def test_a_symbolic_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "real" / "r.json")
    write_record(record(), tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert read_record(tmp_path / "real" / "r.json").body["mean"] == 1.5


def test_sizes_read_well_and_are_refused_at_the_limit() -> None:
    assert [describe_bytes(size) for size in (12, 1.5e4, 2.5e9, 3e21)] == ["12 bytes", "15.0 kB", "2.5 GB", "3e+03 EB"]
    require_memory(10, "ten bytes", limit=10)
    with pytest.raises(InputError, match="eleven bytes would take 11 bytes of memory; 10 bytes is available"):
        require_memory(11, "eleven bytes", limit=10)
