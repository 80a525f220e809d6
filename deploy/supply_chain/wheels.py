"""`python -m deploy.supply_chain.wheels LOCK…`: write the wheels' hashes into lock files.

`make locks` calls it after a pin was changed. The hashes are what the package index publishes, as
`uv pip compile` (of the tools' environment) lists them. A pin that is on no such index, as torch's
CPU build, or that has no wheel there, keeps the hashes that stand in the lock.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.images.locked import LockedPackage, locked_packages, normalized

OLDEST_PYTHON = "3.11"
PYTHONS = r"cp3(?:11|12|13|14)"
WHEEL = re.compile(
    rf".*-(?:(?:py2\.)?py3\d*|cp3\d+)"  # the interpreter
    rf"-(?:none|abi3|{PYTHONS})"
    r"-(?:any|.*manylinux.*_(?:x86_64|aarch64)|linux_(?:x86_64|aarch64))\.whl"
)
"""The wheels that our environments and images may install: Linux with glibc, x86-64 and arm64."""


def with_hashes(packages: Sequence[LockedPackage], index: Mapping[str, Any]) -> list[LockedPackage]:
    """The packages with the hashes of their wheels in `index`, a pylock.toml. Raises ValueError for
    one without any."""
    published = {normalized(item["name"]): item for item in index["packages"]}
    hashed = []
    for package in packages:
        wheels = published.get(package.key, {}).get("wheels", [])
        hashes = tuple(sorted(_hashes(wheels))) or package.hashes
        if not hashes:
            raise ValueError(
                f"no hash of a wheel of {package.pin} is known: write it into the lock"
            )
        hashed.append(replace(package, hashes=hashes))
    return hashed


def _hashes(wheels: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for wheel in wheels:
        name = wheel.get("name") or wheel["url"].rsplit("/", 1)[-1]
        if WHEEL.fullmatch(name):
            yield wheel["hashes"]["sha256"]


def ask_index(packages: Sequence[LockedPackage]) -> dict[str, Any]:
    """What the index publishes of these pins, as a pylock.toml."""
    with tempfile.TemporaryDirectory() as folder:
        pins, lock = Path(folder, "pins.in"), Path(folder, "pylock.toml")
        pins.write_text("".join(f"{package.pin}\n" for package in packages))
        command = ["uv", "pip", "compile", "--quiet", "--no-deps", "--universal"]
        command += ["--python-version", OLDEST_PYTHON, "--format", "pylock.toml"]
        beside = Path(sys.executable).parent / command[0]
        command[0] = str(beside) if beside.exists() else command[0]
        subprocess.run([*command, "--output-file", str(lock), str(pins)], check=True)
        return tomllib.loads(lock.read_text())


def written(text: str, packages: Sequence[LockedPackage]) -> str:
    """The lock file `text` with these entries below its comment."""
    head = [line for line in text.splitlines() if line.startswith("#")]
    return "\n".join([*head, *(package.entry for package in packages)]) + "\n"


def main(locks: Sequence[str]) -> int:
    for lock in map(Path, locks):
        text = lock.read_text()
        packages = locked_packages(text)
        index = ask_index([package for package in packages if "+" not in package.version])
        lock.write_text(written(text, with_hashes(packages, index)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
