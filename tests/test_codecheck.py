"""codecheck.yml: it is what the ledger gives, names files that exist, and every claim with its numbers."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from linrep import cli
from linrep.claims import recorded_claims, shown
from linrep.codecheck import SPECIFICATION, codecheck
from linrep.experiments.catalogue import EXPERIMENTS, OPTIONAL

ROOT = Path(__file__).resolve().parent.parent


def test_the_file_is_what_the_ledger_gives() -> None:
    text = (ROOT / "codecheck.yml").read_text("utf-8")
    assert text == codecheck(recorded_claims()), "write it again: linrep claims --codecheck codecheck.yml"


def test_it_names_records_that_exist_and_all_claims() -> None:
    content = yaml.safe_load((ROOT / "codecheck.yml").read_text("utf-8"))
    assert content["version"] == SPECIFICATION
    files = [entry["file"] for entry in content["manifest"]]
    assert files == [f"results/{name}.json" for name in EXPERIMENTS | OPTIONAL]
    assert all((ROOT / name).is_file() for name in files)
    assert all(len(entry["comment"].split(";")[0]) > 10 for entry in content["manifest"])
    claims = {claim.key: claim for claim in recorded_claims()}
    assert [entry["key"] for entry in content["claims"]] == list(claims)
    for entry in content["claims"]:
        claim = claims[entry["key"]]
        assert entry["verdict"] == claim.verdict
        assert entry["number"].startswith(shown(claim.number))
        assert entry["control"].startswith(shown(claim.control))


def test_a_turned_verdict_changes_the_file() -> None:
    claims = recorded_claims()
    turned = [replace(claims[0], verdict="undecided" if claims[0].verdict != "undecided" else "new"), *claims[1:]]
    assert codecheck(turned) != codecheck(claims)


def test_the_command_writes_it_whole_or_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, status in ((["--codecheck", str(tmp_path / "c.yml")], 0), (["--codecheck", str(tmp_path)], 2)):
        with pytest.raises(SystemExit) as ended:
            cli.main(["claims", *arguments])
        assert ended.value.code == status
    assert (tmp_path / "c.yml").read_text("utf-8") == codecheck(recorded_claims())
    assert capsys.readouterr().err == f"linrep: error: --codecheck is {tmp_path}, a folder; a file's name is needed\n"
