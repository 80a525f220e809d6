"""The table of conditions has all that `/ready` can name, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gateway.api.operators.conditions import CONDITIONS
from tests.servers import CHECKOUT


def made() -> list[ast.expr]:
    """The keys of `conditions`, and of what a function named so gives, anywhere in the gateway."""
    keys: list[ast.expr] = []
    for file in (CHECKOUT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "conditions":
                keys.append(node.slice)
            elif isinstance(node, ast.FunctionDef) and node.name.endswith("conditions"):
                keys += _keys(node)
    return keys


def _keys(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """Those of the maps that it returns as they are written out."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Return):
            continue
        if isinstance(node.value, ast.DictComp):
            yield node.value.key
        elif isinstance(node.value, ast.Dict):
            yield from (key for key in node.value.keys if key is not None)


def reported() -> set[str]:
    """The names under which conditions are reported. Each stands there as a text, so that it can
    be looked up."""
    names = {key.value if isinstance(key, ast.Constant) else ast.unparse(key) for key in made()}
    return {str(name) for name in names}


def test_every_condition_that_is_reported_is_listed_and_the_other_way_round() -> None:
    assert reported() == CONDITIONS.keys()


def test_every_condition_says_what_it_means_and_what_to_do() -> None:
    for name, condition in CONDITIONS.items():
        assert condition.meaning.endswith(".") and condition.remedy.endswith("."), name
