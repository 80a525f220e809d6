"""Many values of one call are named where they are given: none can take another's place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "services", "loadtest", "deploy", "k8s")

MOST_POSITIONAL = 3

EXCEPTIONS = {
    # An exception begins with its message, as those of Python do.
    ("services/engine_simulator/errors.py", "EngineError"),
    ("gateway/errors.py", "UpstreamError"),
    # A row of a table: what it says stands in the order of its columns.
    ("gateway/api/error_codes.py", "ErrorCode"),
    # uvicorn makes its protocols by position.
    ("gateway/api/connections/http.py", "HttpConnection"),
    ("gateway/api/connections/websocket.py", "WebSocketConnection"),
    # An optimizer of torch begins with its parameters.
    ("services/model_family/training/optimizers.py", "Muon"),
}


def positional_parameters(node: ast.FunctionDef) -> bool:
    """Whether the constructor has too many parameters, and takes one of them without its name."""
    positional = [*node.args.posonlyargs, *node.args.args][1:]
    return bool(positional) and len(positional) + len(node.args.kwonlyargs) > MOST_POSITIONAL


def positional_fields(node: ast.ClassDef) -> bool:
    """The same of a dataclass."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    decorator = next((text for text in decorators if "dataclass" in text), None)
    fields = [
        statement
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
        and not ast.unparse(statement.annotation).startswith("ClassVar")
        and not (statement.value and "init=False" in ast.unparse(statement.value))
    ]
    return (
        decorator is not None and "kw_only=True" not in decorator and len(fields) > MOST_POSITIONAL
    )


def positional_classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        constructors = (
            statement
            for statement in node.body
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__"
        )
        if positional_fields(node) or any(map(positional_parameters, constructors)):
            yield node


def test_a_constructor_with_more_than_three_parameters_takes_them_by_name() -> None:
    found = {
        (str(path.relative_to(ROOT)), node.name)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in positional_classes(ast.parse(path.read_text()))
    }
    assert found >= EXCEPTIONS, "an exception is no longer one"
    assert found - EXCEPTIONS == set()
