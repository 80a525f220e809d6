"""Prints what the images install: the project's dependencies and those of some extras.

python requirements.py pyproject.toml EXTRA…

One requirement a line, for `pip install -r`; the lock file is the constraint. The project itself is
not installed in an image but copied, so that a change of its code leaves the packages' layer alone.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """Raises KeyError for an extra that the project does not have."""
    project = tomllib.loads(pyproject.read_text())["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(line for extra in extras for line in optional[extra])]


if __name__ == "__main__":
    print(*requirements(Path(sys.argv[1]), sys.argv[2:]), sep="\n")
