"""The examples that README and docs/ show: what a reader copies out of their code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
_PROGRAMS = ("curl", "docker", "helm", "kubectl", "make", "pip", "python", "tierflow(?! is)")
_BEGIN = re.compile(rf"(?:[A-Z][A-Z0-9_]*=\S* )*(?:{'|'.join(_PROGRAMS)})\b")


@dataclass(frozen=True)
class Example:
    """A command, or a program in Python, as the page has it. `in_python`: which of both it is."""

    page: str
    text: str
    in_python: bool = False

    def __str__(self) -> str:
        first = next(line for line in self.text.splitlines() if "import" not in line and line)
        return f"{self.page}: {first[:60]}"


def examples() -> Iterator[Example]:
    """All of them, page by page."""
    for path in PAGES:
        page = str(path.relative_to(CHECKOUT))
        for block in _BLOCK.finditer(path.read_text()):
            if block[1] == "python":
                yield Example(page, block[2], in_python=True)
            elif block[1] in ("", "sh"):
                for command in _commands(block[2]):
                    yield Example(page, command)


def _commands(block: str) -> Iterator[str]:
    """The block's commands, each with its further lines: those after a backslash, those within
    quotes."""
    command = ""
    for line in block.splitlines():
        if command:
            command += "\n" + line
        elif _BEGIN.match(line.removeprefix("$ ")):
            command = line.removeprefix("$ ")
        if command and not command.endswith("\\") and command.count("'") % 2 == 0:
            yield command
            command = ""
