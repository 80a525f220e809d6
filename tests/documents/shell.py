"""The calls of programs in a shell's statement, as the shell would cut it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.documents.blocks import BrokenExample

_HEREDOC = re.compile(r"<<-?'?(\w+)'?(.*?)\n(.*?)^\1$", re.S | re.M)
_SUBSTITUTION = re.compile(r"\$\(([^()]*)\)")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.S)
_REDIRECTION = re.compile(r"[<>]+&?")
_LOOP = re.compile(r"for (\w+) in (\S+)")
_WORDS_OF_THE_SHELL = ("do", "done", "then", "fi")
RESULT = "RESULT"
"""Stands for what a command in the line would print."""


@dataclass(frozen=True)
class Call:
    """A program's call: its words, the program's name first, and the variables set before it."""

    page: str
    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def program(self) -> str:
        return self.words[0]


def heredocs(statement: str) -> Iterator[str]:
    """The texts that stand in the statement itself."""
    return (found[3] for found in _HEREDOC.finditer(statement))


def calls(page: str, statement: str) -> Iterator[Call]:
    """Of each program in the statement, those within `$(…)` first."""
    text = _HEREDOC.sub(r"\2", statement)
    if loop := _LOOP.match(text):
        text = text.replace(f"${loop[1]}", loop[2])
    while found := _SUBSTITUTION.search(text):
        yield from calls(page, found[1])
        text = text[: found.start()] + RESULT + text[found.end() :]
    for words in _cut(text):
        variables = {}
        while words and words[0] in _WORDS_OF_THE_SHELL:
            words.pop(0)
        if words and words[0] == "export":
            words.pop(0)
        while words and (assigned := _ASSIGNMENT.fullmatch(words[0])):
            variables[assigned[1]] = assigned[2]
            words.pop(0)
        if words and words[0] not in ("for", "while"):
            yield Call(page, tuple(words), variables)
        elif variables:
            yield Call(page, ("export",), variables)


def _cut(text: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars="|;&<>\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    try:
        parts = list(lexer)
    except ValueError as error:
        raise BrokenExample(f"{text}: {error}") from error
    words: list[str] = []
    rest = iter(parts)
    for part in rest:
        if _REDIRECTION.fullmatch(part):
            next(rest, None)
        elif part and not part.strip("|;&\n"):
            yield words
            words = []
        else:
            words.append(part)
    yield words


@dataclass(frozen=True)
class Options:
    """The options of a call by name, each with all its values, and the words that are none."""

    given: Mapping[str, Sequence[str]]
    words: Sequence[str]


def options(
    words: Sequence[str],
    *,
    switches: Collection[str] = (),
    valued: Collection[str] = (),
    before_words: bool = False,
) -> Options:
    """`before_words`: what comes after the first word that is no option belongs to that word.
    Raises BrokenExample for an option that the program does not know."""
    given: dict[str, list[str]] = {}
    others: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            others.append(word)
            if before_words:
                others += left
                break
        elif name in valued:
            if not equals and not left:
                raise BrokenExample(f"{name} has no value")
            given.setdefault(name, []).append(value if equals else left.pop(0))
        elif name in switches or _are_switches(word, switches):
            given.setdefault(name, [])
        else:
            raise BrokenExample(f"{name} is no known option in: {' '.join(words)}")
    return Options(given, others)


def _are_switches(word: str, switches: Collection[str]) -> bool:
    """Several letters behind one dash."""
    return re.fullmatch(r"-\w{2,}", word) is not None and {f"-{letter}" for letter in word[1:]} <= (
        set(switches)
    )
