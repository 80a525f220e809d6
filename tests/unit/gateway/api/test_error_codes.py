"""The tables of error codes have all that the gateway uses, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import errors
from gateway.api.device_error_codes import FRAME_ERRORS, SESSION_ERRORS, WORK_ERRORS
from gateway.api.error_codes import HTTP_ERRORS, INTERNAL_ERRORS
from gateway.api.error_handlers import status_and_type

GATEWAY = Path(errors.__file__).parent
TABLES = {GATEWAY / "api/error_codes.py", GATEWAY / "api/device_error_codes.py"}
LISTED = {*HTTP_ERRORS, *FRAME_ERRORS, *WORK_ERRORS, *INTERNAL_ERRORS}


@dataclass(frozen=True)
class Use:
    """An argument for a parameter named `code`."""

    code: str
    function: str
    place: str


def trees() -> dict[Path, ast.Module]:
    files = [file for file in GATEWAY.rglob("*.py") if file not in TABLES]
    return {file: ast.parse(file.read_text()) for file in files}


TREES = trees()
NODES = {file: tuple(ast.walk(tree)) for file, tree in TREES.items()}
TEXTS = {
    node.value
    for nodes in NODES.values()
    for node in nodes
    if isinstance(node, ast.Constant) and isinstance(node.value, str)
}


def constants() -> dict[str, str]:
    """Texts with a name of their own, such as LOST, by that name."""
    found: dict[str, str] = {}
    for tree in TREES.values():
        for node in tree.body:
            if isinstance(node, ast.Assign):
                found.update(_assigned(node.targets[0], node.value))
    return found


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, str]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(target.elts, value.elts, strict=True):
            yield from _assigned(one, its)
    elif isinstance(target, ast.Name) and isinstance(value, ast.Constant):
        if isinstance(value.value, str):
            yield target.id, value.value


NAMED = constants()


def positions() -> dict[str, int]:
    """Where functions and classes take a text named `code`, by their name."""
    found: dict[str, int] = {}
    for nodes in NODES.values():
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                        found.update(_position(node.name, method))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.update(_position(node.name, node))
    return found


def _position(
    name: str, function: ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[tuple[str, int]]:
    arguments = [each for each in function.args.args if each.arg not in ("self", "cls")]
    for place, argument in enumerate(arguments):
        # A WebSocket's own close code is a number.
        if argument.arg == "code" and argument.annotation is not None:
            if ast.unparse(argument.annotation).startswith("str"):
                yield name, place


def uses() -> Iterator[Use]:
    places = positions()
    for file, nodes in NODES.items():
        for node in nodes:
            # `log.error` is another `error` than the one that takes a code.
            if not isinstance(node, ast.Call) or _of_the_log(node.func):
                continue
            function = _last_name(node.func)
            given = [each.value for each in node.keywords if each.arg == "code"]
            if function in places and len(node.args) > places[function]:
                given.append(node.args[places[function]])
            for argument in given:
                for code in _texts(argument):
                    yield Use(code, function, f"{file.relative_to(GATEWAY)}:{node.lineno}")


def _of_the_log(function: ast.expr) -> bool:
    owner = function.value if isinstance(function, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id == "log"


def _last_name(function: ast.expr) -> str:
    """Of `errors.refused` that is `refused`; "" where what is called has no name."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _texts(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.IfExp):
        yield from _texts(value.body)
        yield from _texts(value.orelse)
    elif isinstance(value, ast.Name) and value.id in NAMED:
        yield NAMED[value.id]


USES = tuple(uses())


def test_every_code_that_is_used_is_listed() -> None:
    assert len({use.code for use in USES}) > 60
    missing = [f"{use.code} ({use.place})" for use in USES if use.code not in LISTED]
    assert not missing, "list them in one of the two tables and run `make docs`"


@pytest.mark.parametrize("code", sorted(LISTED))
def test_every_code_that_is_listed_is_used(code: str) -> None:
    assert code in TEXTS, f"take {code} out of gateway/api/error_codes.py and run `make docs`"


@pytest.mark.parametrize("code", sorted(HTTP_ERRORS))
def test_the_listed_error_is_the_one_that_is_raised(code: str) -> None:
    listed = HTTP_ERRORS[code].error
    raised = [
        getattr(errors, use.function)
        for use in USES
        if use.code == code and isinstance(getattr(errors, use.function, None), type)
    ]
    if isinstance(listed, int):
        assert not raised
    elif raised:
        assert listed in raised
        assert all(issubclass(each, errors.GatewayError) for each in raised)


def test_every_error_that_a_caller_sees_has_a_code() -> None:
    """A GatewayError without a code would reach the caller as null."""
    without = [
        f"{file.relative_to(GATEWAY)}:{node.lineno}"
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and _is_error(ast.unparse(node.func).rpartition(".")[2])
        and not any(keyword.arg == "code" for keyword in node.keywords)
    ]
    assert without == []


def _is_error(name: str) -> bool:
    cls = getattr(errors, name, None)
    internal = (errors.ConfigError,)
    return isinstance(cls, type) and issubclass(cls, errors.GatewayError) and cls not in internal


def test_a_session_ends_with_codes_that_are_explained() -> None:
    assert set(SESSION_ERRORS) <= set(HTTP_ERRORS)


def test_statuses_come_from_the_most_specific_class() -> None:
    assert status_and_type(errors.BodyTooLarge) == (413, "invalid_request_error")
    assert status_and_type(errors.ConnectFailed) == (503, "service_unavailable_error")
