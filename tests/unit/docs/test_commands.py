"""Every `tierflow` and `make` line of the documents is one that command and Makefile take."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.documents import CHECKOUT, Example, examples
from tierflow.command_line import command_parser

LINES = [example for example in examples() if not example.in_python]
TARGETS = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.M))
SYNOPSIS = re.compile(r"\[|…|\.\.\.|[A-Z]+$")
"""In a line that shows what may be given, and is no example."""


def words_of(example: Example, program: str) -> list[list[str]]:
    """The words behind the program's name, for each time that the command runs it."""
    found = []
    for part in re.split(r"[|;&]+", example.text.replace("\\\n", " ")):
        words = shlex.split(part, comments=True)
        while words and re.fullmatch(r"[A-Z][A-Z0-9_]*=.*", words[0]):
            words.pop(0)
        if words and words[0] == program:
            found.append(words[1:])
    return found


def lines_of(program: str) -> list[Example]:
    return [each for each in LINES if re.match(rf"(?:\S+=\S* )*{program}\b", each.text)]


def test_the_documents_have_examples() -> None:
    assert len(lines_of("tierflow")) >= 10 and len(lines_of("make")) >= 10


@pytest.mark.parametrize("example", lines_of("tierflow"), ids=str)
def test_a_tierflow_line_is_understood(example: Example) -> None:
    if SYNOPSIS.search(example.text):
        pytest.skip("it shows what may be given, and is no line to copy")
    for words in words_of(example, "tierflow"):
        command_parser(words[0]).parse_args(words)


@pytest.mark.parametrize("example", lines_of("make"), ids=str)
def test_a_make_line_names_targets_that_there_are(example: Example) -> None:
    for words in words_of(example, "make"):
        assert {word for word in words if "=" not in word} <= TARGETS
