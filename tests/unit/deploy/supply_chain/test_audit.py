"""An audit names every locked version that an advisory covers, and none beside."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from deploy.images.locked import LockedPackage
from deploy.supply_chain.audit import main, names_version, read_lock, shipped_locks


def advisory(name: str = "Torch_X", **more: Any) -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": "2.14.0"}]
    entry = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
        **more.pop("entry", {}),
    }
    return {
        "id": "PYSEC-1",
        "aliases": ["CVE-1"],
        "summary": "Reads files.",
        "affected": [entry],
    } | more


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "some.txt"
    packages = (
        LockedPackage(name="numpy", version="2.4.6", marker="", hashes=("a" * 64,)),
        LockedPackage(name="torch-x", version="2.13.0+cpu", marker="", hashes=("b" * 64,)),
    )
    file.write_text("".join(f"{package.entry}\n" for package in packages))
    return file


def audit(lock: Path, content: object) -> int:
    file = lock.with_name("advisories.json")
    file.write_text(json.dumps(content))
    return main([str(file), str(lock)])


def test_an_affected_version_is_named_with_what_mends_it(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(lock, [advisory()]) == 1
    told = capsys.readouterr().out.splitlines()[0]
    assert told == "some.txt: torch-x 2.13.0+cpu: PYSEC-1 (CVE-1), fixed in 2.14.0: Reads files."


@pytest.mark.parametrize(
    "harmless",
    [
        advisory(name="other"),
        advisory(withdrawn="2026-01-01T00:00:00Z"),
        advisory(entry={"package": {"ecosystem": "npm", "name": "torch-x"}}),
        advisory(entry={"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}),
    ],
    ids=["another package", "withdrawn", "another ecosystem", "commits alone"],
)
def test_what_concerns_no_locked_version_is_passed_over(lock: Path, harmless: object) -> None:
    assert audit(lock, [harmless]) == 0


def test_the_lock_of_an_npm_client_is_read_with_ranges_of_its_own_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "package-lock.json"
    packages = {"": {"name": "ours"}, "node_modules/a/node_modules/@scope/b": {"version": "1.4.0"}}
    lock.write_text(json.dumps({"packages": packages}))
    events = [{"introduced": "0"}, {"fixed": "1.4.1"}]
    entry = {
        "package": {"ecosystem": "npm", "name": "@scope/b"},
        "ranges": [{"type": "SEMVER", "events": events}],
    }
    assert audit(lock, advisory(entry=entry)) == 1
    assert "@scope/b 1.4.0: PYSEC-1 (CVE-1), fixed in 1.4.1" in capsys.readouterr().out


def test_the_locks_of_environments_images_and_clients_are_audited() -> None:
    names = {path.name for path in shipped_locks()}
    assert names >= {"engine.txt", "gateway.txt", "litellm.txt", "package-lock.json"}
    for path in shipped_locks():
        lock = read_lock(path)
        assert lock.packages
        for package in lock.packages:
            assert not names_version({}, package.version)


def test_a_lock_that_is_none_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "odd.txt"
    lock.write_text("numpy>=2\n")
    assert audit(lock, advisory()) == 2
    assert "no entry of a lock file" in capsys.readouterr().err


@pytest.mark.parametrize("wrap", [lambda a: a, lambda a: [a], lambda a: {"vulns": [a]}])
def test_one_record_a_list_and_an_answer_of_osv_are_read(lock: Path, wrap: Any) -> None:
    assert audit(lock, wrap(advisory())) == 1


def test_a_folder_and_an_archive_are_read(lock: Path, tmp_path: Path) -> None:
    folder, archive = tmp_path / "all", tmp_path / "all.zip"
    folder.mkdir()
    (folder / "PYSEC-1.json").write_text(json.dumps(advisory()))
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("PYSEC-1.json", json.dumps(advisory()))
    assert [main([str(path), str(lock)]) for path in (folder, archive)] == [1, 1]


@pytest.mark.parametrize("content", ["x", 5, [{"no": "id"}], {"vulns": 3}])
def test_what_holds_no_advisories_is_refused(
    lock: Path, content: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(lock, content) == 2
    assert "OSV's form" in capsys.readouterr().err


def test_a_missing_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.json")]) == 2
    assert "none.json: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "events", "covered"),
    [
        ("1.5", [{"introduced": "1.0"}, {"fixed": "2.0"}], True),
        ("2.0", [{"introduced": "1.0"}, {"fixed": "2.0"}], False),
        ("2.0", [{"introduced": "1.0"}, {"last_affected": "2.0"}], True),
        ("2.1", [{"introduced": "1.0"}, {"last_affected": "2.0"}], False),
        ("3.5", [{"introduced": "0"}, {"fixed": "2"}, {"introduced": "3"}, {"fixed": "4"}], True),
        ("0.9", [{"introduced": "1.0"}], False),
        ("1.10", [{"introduced": "1.9"}], True),
        ("1.5", [{"introduced": "0"}, {"fixed": "not a version"}], True),
        ("1.5", [{"introduced": "r3-beta"}, {"fixed": "2"}], False),
    ],
)
def test_ranges_are_read_as_osv_reads_them(
    version: str, events: list[dict[str, str]], covered: bool
) -> None:
    assert names_version({"ranges": [{"type": "ECOSYSTEM", "events": events}]}, version) == covered


def test_listed_versions_count_too() -> None:
    assert names_version({"versions": ["1.0.0", "not a version"]}, "1.0")
    assert not names_version({"versions": ["1.0.1"]}, "1.0")
