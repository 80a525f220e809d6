"""`python -m deploy.supply_chain.audit ADVISORIES [LOCK…]`: locked versions that advisories name.

ADVISORIES are records in OSV's form, as OSV and PyPA's advisory database give them: a JSON file
with one, with a list of them or with `vulns`, a folder of such files, or a zip archive of them.
Nothing is fetched. Exit code 1 where a locked version is affected, 2 where the advisories can't be
read.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from deploy.images.locked import LockedPackage, locked_packages, normalized

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = (REPOSITORY / "deploy/locks", REPOSITORY / "tests/clients/locks")
NPM_LOCK = "package-lock.json"
RANGES = {"PyPI": "ECOSYSTEM", "npm": "SEMVER"}
"""The ecosystems of the locks, each with the type of range that its advisories give."""


class UnreadableAdvisories(Exception):
    """A file that holds no advisories; one line for the user."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock: its file's name, and what it pins. `ecosystem` is a key of `RANGES`."""

    name: str
    ecosystem: str
    packages: tuple[LockedPackage, ...]


def shipped_locks() -> list[Path]:
    return [
        path
        for folder in FOLDERS
        for path in (*sorted(folder.glob("*.txt")), folder / NPM_LOCK)
        if path.is_file()
    ]


def read_lock(path: Path) -> Lock:
    """Raises ValueError for what is no lock, OSError for what can't be read."""
    text = path.read_text(encoding="utf-8")
    if path.name != NPM_LOCK:
        return Lock(name=path.name, ecosystem="PyPI", packages=tuple(locked_packages(text)))
    packages = tuple(
        LockedPackage(
            name=place.rpartition("node_modules/")[2],
            version=package["version"],
            marker="",
            # Another digest than wheels have, which npm compares itself.
            hashes=(),
        )
        for place, package in json.loads(text)["packages"].items()
        if place
    )
    return Lock(name=path.name, ecosystem="npm", packages=packages)


@dataclass(frozen=True, kw_only=True)
class Affected:
    """A locked version that an advisory names. `fixed` are the versions that mend it."""

    lock: str
    package: LockedPackage
    id: str
    aliases: tuple[str, ...]
    fixed: tuple[str, ...]
    summary: str

    def __str__(self) -> str:
        also = f" ({', '.join(self.aliases)})" if self.aliases else ""
        mended = f"fixed in {', '.join(self.fixed)}" if self.fixed else "no version mends it yet"
        words = f"{self.package.name} {self.package.version}: {self.id}{also}, {mended}"
        return f"{self.lock}: {words}" + (f": {self.summary}" if self.summary else "")


def advisories(path: Path) -> Iterator[Mapping[str, Any]]:
    """The records in a file, a folder or a zip archive. Raises UnreadableAdvisories."""
    try:
        if path.is_dir():
            texts = [file.read_bytes() for file in sorted(path.rglob("*.json"))]
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".json")]
                texts = [archive.read(name) for name in names]
        else:
            texts = [path.read_bytes()]
        loaded = [json.loads(text) for text in texts]
    except OSError as error:
        raise UnreadableAdvisories(f"{path}: {error.strerror}") from error
    except (ValueError, zipfile.BadZipFile) as error:
        raise UnreadableAdvisories(f"{path}: is no JSON: {error}") from error
    for found in loaded:
        yield from _records(found, path)


def _records(found: Any, path: Path) -> Iterator[Mapping[str, Any]]:
    records = found.get("vulns", [found]) if isinstance(found, dict) else found
    if not isinstance(records, list):
        raise UnreadableAdvisories(f"{path}: expected advisories in OSV's form")
    for record in records:
        if not isinstance(record, dict) or "id" not in record:
            raise UnreadableAdvisories(f"{path}: expected advisories in OSV's form, with an `id`")
        yield record


def affected(lock: Lock, records: Sequence[Mapping[str, Any]]) -> list[Affected]:
    """The packages of a lock that the records name in their locked version."""
    by_name = {package.key: package for package in lock.packages}
    found = []
    for record in records:
        if record.get("withdrawn"):
            continue
        for entry in record.get("affected", ()):
            of = entry.get("package", {})
            package = by_name.get(normalized(str(of.get("name", ""))))
            if (
                package
                and of.get("ecosystem") == lock.ecosystem
                and names_version(entry, package.version, RANGES[lock.ecosystem])
            ):
                found.append(
                    Affected(
                        lock=lock.name,
                        package=package,
                        id=record["id"],
                        aliases=tuple(record.get("aliases", ())),
                        fixed=tuple(_fixed(entry, RANGES[lock.ecosystem])),
                        summary=str(record.get("summary", "")),
                    )
                )
    return found


def names_version(entry: Mapping[str, Any], locked: str, kind: str = RANGES["PyPI"]) -> bool:
    """Whether an `affected` entry covers the version: by its list, or by its ranges of this `kind`
    (OSV's own evaluation). A build's own label, such as +cpu, does not matter."""
    version = Version(Version(locked).public)
    if any(_same(version, listed) for listed in entry.get("versions", ())):
        return True
    ranges = (each for each in entry.get("ranges", ()) if each.get("type") == kind)
    return any(_within(version, each.get("events", ())) for each in ranges)


def _within(version: Version, events: Sequence[Mapping[str, str]]) -> bool:
    inside = False
    for kind, at in sorted(_events(events), key=lambda event: event[1]):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _events(events: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, Version]]:
    """Those whose version is one: an advisory may hold others."""
    for event in events:
        for kind, at in event.items():
            with suppress(InvalidVersion):
                yield kind, Version(at)


def _same(version: Version, listed: str) -> bool:
    try:
        return Version(listed) == version
    except InvalidVersion:
        return False


def _fixed(entry: Mapping[str, Any], kind: str) -> Iterator[str]:
    for each in entry.get("ranges", ()):
        if each.get("type") == kind:
            yield from (event["fixed"] for event in each.get("events", ()) if "fixed" in event)


def main(argv: Sequence[str]) -> int:
    if not argv:
        print("audit: give a file of advisories: make audit ADVISORIES=file.json", file=sys.stderr)
        return 2
    try:
        records = list(advisories(Path(argv[0])))
        locks = [read_lock(Path(lock)) for lock in argv[1:] or shipped_locks()]
    except (UnreadableAdvisories, ValueError, OSError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    found = [problem for lock in locks for problem in affected(lock, records)]
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(found)} found by {len(records)} advisories in {len(locks)} locks")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
