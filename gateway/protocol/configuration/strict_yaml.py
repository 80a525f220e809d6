"""YAML as people write it for Tierflow: a key that stands twice is wrong.

YAML's own readers keep the last one, so that a pool or a limit would be lost without a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class RepeatedKey:
    """A key that stands twice in one map. `path`: with a dot between two levels; lines from 1."""

    path: str
    first_line: int
    line: int

    def __str__(self) -> str:
        return (
            f"{self.path} stands in line {self.first_line} and again in line {self.line}; keep one"
        )


class RepeatedKeys(ValueError):
    """YAML in which keys stand twice."""

    def __init__(self, keys: tuple[RepeatedKey, ...]) -> None:
        self.keys = keys
        super().__init__("; ".join(map(str, keys)))


def read_yaml(text: str | bytes) -> Any:
    """The one document that `text` holds; None where it is empty.

    Raises RepeatedKeys, yaml.YAMLError, ValueError for a date or a number that is none or for bytes
    that are no UTF-8, and RecursionError for what is nested too deep.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if repeated := tuple(_repeated(node, (), set())):
            raise RepeatedKeys(repeated)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def yaml_problem(error: yaml.YAMLError | ValueError) -> str:
    """What `read_yaml` has raised in words, with the line. They quote nothing: text that can't be
    read may be a secret."""
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None)
    if mark is None:
        return str(what or "a date or a number that is none")
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}"


def _repeated(node: yaml.Node, path: tuple[str, ...], seen: set[int]) -> Iterator[RepeatedKey]:
    """Of this node and those inside. `seen`: nodes by identity, as an alias is the node again."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _repeated(item, (*path, str(place)), seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            # Of several `<<`, each adds to the map.
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                yield from _repeated(value, path, seen)
                continue
            inner, line, name = (
                (*path, str(key.value)),
                key.start_mark.line + 1,
                (key.tag, key.value),
            )
            if name in lines:
                yield RepeatedKey(".".join(inner), lines[name], line)
            lines.setdefault(name, line)
            yield from _repeated(value, inner, seen)
