"""One noun for one thing: a reader who greps for a class finds one definition."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import gateway

ROOT = Path(gateway.__file__).parent


def test_a_public_class_name_stands_once_in_the_gateway() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert places, "no class was found: the test looks in the wrong place"
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
