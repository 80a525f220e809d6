"""What a lock file pins, and the part of it that an image installs.

python locked.py LOCK pins              name==version, one a line: constraints for pip's resolver
python locked.py LOCK chosen REPORT…    the entries of the packages in reports of `pip --report`
python locked.py LOCK without FILE      the entries whose names match no pattern of FILE's lines

An entry is a pin with the SHA-256 of each wheel that may be installed for it, as
`pip install --require-hashes` reads it: a package from elsewhere, or of other bytes, is refused.
Runs in the images' build stages on nothing but Python's library.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class LockedPackage:
    """A package as a lock file pins it."""

    name: str
    version: str
    marker: str
    """Where it is installed, such as `platform_machine == "x86_64"`; empty: everywhere."""
    hashes: tuple[str, ...]
    """The SHA-256 of each of its files that may be installed, in hex."""

    @property
    def key(self) -> str:
        """The name as indexes compare it."""
        return normalized(self.name)

    @property
    def pin(self) -> str:
        return f"{self.name}=={self.version}" + (f"; {self.marker}" if self.marker else "")

    @property
    def entry(self) -> str:
        """Its lines in a lock file."""
        return " \\\n".join([self.pin, *(f"    --hash=sha256:{digest}" for digest in self.hashes)])


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_packages(text: str) -> list[LockedPackage]:
    """What a lock file pins, in its order. Raises ValueError for a line that is no entry."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = lines.replace("\\\n", " ")
    return [_package(line) for line in joined.splitlines() if line.strip()]


def _package(line: str) -> LockedPackage:
    found = re.fullmatch(
        r"([\w.-]+)==([^\s;]+)(?:; *(.*?))?((?: +--hash=sha256:[0-9a-f]{64})*)", line
    )
    if found is None:
        raise ValueError(f"no entry of a lock file: {line[:80]!r}")
    hashes = tuple(re.findall(r"sha256:([0-9a-f]{64})", found[4]))
    return LockedPackage(
        name=found[1], version=found[2], marker=(found[3] or "").strip(), hashes=hashes
    )


def reported(reports: Iterable[Mapping[str, object]]) -> set[str]:
    """The names, as indexes compare them, of what pip's reports would install."""
    names = set()
    for report in reports:
        installed = report["install"]
        assert isinstance(installed, list)
        names |= {normalized(item["metadata"]["name"]) for item in installed}
    return names


def part(packages: list[LockedPackage], command: str, files: list[Path]) -> Iterator[str]:
    """The lines that a command prints. Raises KeyError for one that is not there, and ValueError
    for a package that the lock does not pin."""
    if command == "pins":
        return (package.pin for package in packages)
    return (package.entry for package in filter(_filter(packages, command, files), packages))


def _filter(
    packages: list[LockedPackage], command: str, files: list[Path]
) -> Callable[[LockedPackage], bool]:
    if command == "without":
        patterns = "|".join(line for file in files for line in file.read_text().split())
        return lambda package: re.fullmatch(patterns, package.key) is None
    if command != "chosen":
        raise KeyError(command)
    names = reported(json.loads(file.read_text()) for file in files)
    if missing := names - {package.key for package in packages}:
        raise ValueError(f"not in the lock: {', '.join(sorted(missing))}")
    return lambda package: package.key in names


if __name__ == "__main__":
    lock, command, *files = sys.argv[1:]
    pinned = locked_packages(Path(lock).read_text())
    print(*part(pinned, command, [Path(file) for file in files]), sep="\n")
