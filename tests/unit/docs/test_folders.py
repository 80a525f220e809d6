"""docs/architecture.md says of every folder what it owns, and names no folder that is gone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
LINE = re.compile(r"^\| `([\w/-]+)` \| \S", re.M)


def folders() -> set[str]:
    """Every package that says something of itself, and what lies in charts, deploy and tests."""
    packages = {
        module.parent
        for top in ("gateway", "services", "k8s", "loadtest")
        for module in (ROOT / top).rglob("*.py")
        if module.name != "__init__.py" or module.read_text()
    }
    others = {
        path.parent
        for top in ("charts", "deploy", "tests")
        for path in (ROOT / top).glob("*/*")
        if path.is_file() and path.suffix != ".pyc"
    }
    return {str(folder.relative_to(ROOT)) for folder in packages | others}


def test_every_folder_has_its_line() -> None:
    lines = LINE.findall(PAGE)
    assert sorted(lines) == sorted(folders())
