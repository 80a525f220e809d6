"""The table of conditions has all that `/ready` can name, and nothing else."""

from __future__ import annotations

import ast

from gateway.api.conditions import CONDITIONS
from tests.servers import CHECKOUT


def reported() -> set[str]:
    """The names under which the composition root reports conditions: keys of `conditions`."""
    return {
        node.slice.value
        for file in (CHECKOUT / "gateway/wiring").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == "conditions"
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    }


def test_every_condition_that_is_reported_is_listed_and_the_other_way_round() -> None:
    assert reported() == CONDITIONS.keys()


def test_every_condition_says_what_it_means_and_what_to_do() -> None:
    for name, condition in CONDITIONS.items():
        assert condition.meaning.endswith(".") and condition.remedy.endswith("."), name
