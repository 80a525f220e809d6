"""The fenced blocks of README and docs/, the commands in their sentences, and what readers copy
from both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.documents.listed import OUTPUT, reason

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md")))
SHELL = ("", "sh", "bash", "console")
WITH_COMMANDS_IN_SENTENCES = ("README.md", "docs/benchmarks.md", "docs/command-line.md")
"""Pages whose sentences and tables say what to type. Elsewhere a command in a sentence is only
talked of."""
_BLOCK = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^ *```", re.S | re.M)
_IN_A_SENTENCE = re.compile(
    r"`((?:QUICK=1 )?(?:make|python -m) [^`\n]+"
    r"|TIERFLOW_\w+=\w+ [^`\n]+"
    r"|tierflow [a-z]+ [^`\n]*-[^`\n]*)`"  # Without an option it is a command's name.
)
_PROMPT = "$ "
_HEREDOC = re.compile(r"<<-?'?(\w+)'?")


class BrokenExample(AssertionError):
    """An example that does not do what it says; tells what is wrong with it."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the paragraph before it, its text without the fences, and where on
    the page it begins."""

    page: str
    language: str
    text: str
    before: str = ""
    at: int = 0

    def __str__(self) -> str:
        return f"{self.page}: {self.text.strip().splitlines()[0][:60]}"

    @property
    def reason(self) -> str:
        """Why it is neither run nor checked here; empty for all others."""
        return reason(self.page, self.language, self.text)

    @property
    def is_shell(self) -> bool:
        return self.language in SHELL and not self.reason


@dataclass(frozen=True)
class Example:
    """A command, or a program in Python, as the page has it. `in_python`: which of both it is.
    `shown`: the lines that the page shows as its output."""

    page: str
    text: str
    in_python: bool = False
    shown: str = ""

    def __str__(self) -> str:
        first = next(line for line in self.text.splitlines() if "import" not in line and line)
        return f"{self.page}: {first[:60]}"


def blocks_of(page: str, text: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(text):
        lines = [line.removeprefix(found[1]) for line in found[3].splitlines(keepends=True)]
        before = text[: found.start()].rstrip().rpartition("\n\n")[2]
        yield Block(page, found[2], "".join(lines), before, found.start())


def blocks() -> Iterator[Block]:
    """All of them, page by page."""
    for path in PAGES:
        yield from blocks_of(str(path.relative_to(CHECKOUT)), path.read_text())


def examples_of(block: Block) -> Iterator[Example]:
    if block.language == "python":
        yield Example(block.page, block.text, in_python=True)
    elif block.is_shell:
        yield from _statements(block)


def examples() -> Iterator[Example]:
    """All of them, page by page, each with its output where the page shows it."""
    for path in PAGES:
        yield from examples_on(str(path.relative_to(CHECKOUT)), path.read_text())


def examples_on(page: str, text: str) -> Iterator[Example]:
    """Those of a page, in its order."""
    placed = list(_in_sentences(page, text))
    fenced = list(blocks_of(page, text))
    for n, block in enumerate(fenced):
        found = list(examples_of(block))
        if found and n + 1 < len(fenced) and fenced[n + 1].reason == OUTPUT:
            found[-1] = replace(found[-1], shown=fenced[n + 1].text)
        placed += ((block.at, example) for example in found)
    yield from (example for _, example in sorted(placed, key=lambda each: each[0]))


def examples_in_sentences() -> list[Example]:
    """Of all pages, those that stand in no block."""
    return [
        example
        for path in PAGES
        for _, example in _in_sentences(str(path.relative_to(CHECKOUT)), path.read_text())
    ]


def _in_sentences(page: str, text: str) -> Iterator[tuple[int, Example]]:
    """Where each begins. Each is there once, and none that a block of the page has with all that it
    needs."""
    if page not in WITH_COMMANDS_IN_SENTENCES:
        return
    fenced = "".join(block.text for block in blocks_of(page, text))
    found = _IN_A_SENTENCE.finditer(_BLOCK.sub(lambda block: " " * len(block[0]), text))
    for command, at in {each[1]: each.start() for each in reversed(list(found))}.items():
        if not re.search(rf"^(\$ )?{re.escape(command)}(\s|$)", fenced, re.M):
            yield at, Example(page, command)


def shown(page: str, begin: str) -> str:
    """The block of the page that begins so."""
    texts = [block.text for block in blocks() if block.page == page]
    return next(text for text in texts if text.startswith(begin))


def _statements(block: Block) -> Iterator[Example]:
    """The block's commands, each with its further lines. In a block with prompts, what has none is
    output; without any prompt every line is a command."""
    prompted = any(line.startswith(_PROMPT) for line in block.text.splitlines())
    statement, shown = "", ""
    for line in block.text.splitlines():
        if statement and not _whole(statement):
            statement += "\n" + line
        elif not line.strip():
            continue
        elif prompted and not line.startswith(_PROMPT):
            shown += line + "\n"
        else:
            if statement:
                yield Example(block.page, statement, shown=shown)
            statement, shown = line.removeprefix(_PROMPT), ""
    if statement:
        yield Example(block.page, statement, shown=shown)


def _whole(statement: str) -> bool:
    """Whether the shell would not wait for another line."""
    code = re.sub(r"(^|\s)#.*", "", statement)
    if code.endswith("\\") or code.replace('\\"', "").count("'") % 2 or code.count('"') % 2:
        return False
    here = _HEREDOC.search(code)
    if here and not re.search(rf"\n{here[1]}$", statement):
        return False
    return not (re.match(r"(for|while|if)\b", code) and not re.search(r"\b(done|fi)\s*$", code))
