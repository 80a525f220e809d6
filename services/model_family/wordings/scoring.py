"""Whether an answer to a first question is right, and whether it says that it does not know."""

from __future__ import annotations

import ast
import builtins
import re

from services.model_family.evaluation.scoring import final_answer
from services.model_family.wordings import Wording

DOUBT = re.compile(
    r"\b(sorry, i|i (do not|don't) know|i (can not|cannot|can't)|i am not able)\b", re.IGNORECASE
)
KNOWN_NAMES = frozenset(dir(builtins))


def says_unknown(answer: str) -> bool:
    return DOUBT.search(answer) is not None


def is_accepted(wording: Wording, answer: str) -> bool:
    """Whether ``answer`` is right by the wording's ``check``.

    ``any``: it contains one of ``accept``; ``number``: its last whole number is the first of
    ``accept``; ``list``: its items, in order, are ``accept``; ``code``: it is one of ``accept`` as
    Python, whatever the names; ``unknown``: it holds a right answer although none is expected.
    """
    if says_unknown(answer):
        return False
    if wording.check == "number":
        return re.findall(r"\d+", answer)[-1:] == [wording.accept[0]]
    if wording.check == "list":
        items = re.findall(r"[a-z0-9]+", final_answer(answer).lower())
        return items == [item.lower() for item in wording.accept]
    if wording.check == "code":
        given = shape_of_code(answer)
        return given is not None and given in map(shape_of_code, wording.accept)
    return any(accepted in answer.lower() for accepted in wording.accept)


def shape_of_code(code: str) -> str | None:
    """The syntax tree of ``code``, all names of its own numbered; None if it does not parse."""
    try:
        tree = ast.parse(code.strip())
    except (SyntaxError, ValueError):
        return None
    tree = _Renaming().visit(tree)
    return ast.dump(tree)


class _Renaming(ast.NodeTransformer):
    """The replacement of a program's own names by numbers in their order."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.modules: set[str] = set()

    def _name(self, name: str) -> str:
        if name in KNOWN_NAMES or name in self.modules:
            return name
        return self.names.setdefault(name, f"name{len(self.names)}")

    def visit_Import(self, node: ast.Import) -> ast.Import:
        self.modules |= {alias.name for alias in node.names}
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.name = self._name(node.name)
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self._name(node.arg)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._name(node.id)
        return node

    def visit_ListComp(self, node: ast.ListComp) -> ast.ListComp:
        # The name is bound after its use in the text, and numbered by its binding.
        for generator in node.generators:
            self.visit(generator)
        node.elt = self.visit(node.elt)
        return node
