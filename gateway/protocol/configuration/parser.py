"""The parser of every command: errors are one line, with the nearest right word."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from gateway.protocol.nearest import nearest

USAGE = 2
"""The exit code for what can't be understood."""
LIKENESS = 0.5
"""The commands' words are few and short: what is half the same was meant."""
_CHOICE = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)")
_OF_AN_ARGUMENT = re.compile(r"argument ([^:]*): (.*)", re.DOTALL)
_WORDS = (
    (re.compile(r"invalid int value: '(.*)'", re.DOTALL), "{0} {1}: must be a whole number"),
    (re.compile(r"invalid float value: '(.*)'", re.DOTALL), "{0} {1}: must be a number"),
    (re.compile(r"expected (?:one|at least one) argument"), "{0}: needs a value"),
    (re.compile(r"not allowed with argument (.*)"), "{0} and {1} exclude each other"),
)
"""What argparse says of an argument, and our words for it: of {0} and what was found."""
_MISSING = "the following arguments are required: "
_UNKNOWN = "unrecognized arguments: "


class Parser(argparse.ArgumentParser):
    """argparse's, but for its errors. Parsers of subcommands are of this kind as well."""

    def __init__(self, **arguments: Any) -> None:
        arguments.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**arguments, allow_abbrev=False)
        self._given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._given = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """One line, and exit code 2."""
        prog = self._named().prog
        print(f"{prog}: {self._sentence(message)}; see {prog} --help", file=sys.stderr)
        sys.exit(USAGE)

    def _sentence(self, message: str) -> str:
        # argparse takes the value of an option that it does not know for something else.
        options = self._options()
        for word in self._given:
            if word == "--":
                break
            if word.startswith("--") and (name := word.split("=")[0]) not in options:
                return f"{name} is unknown{self._nearest(name, options)}"
            # Of one dash and several letters argparse takes the first for an option.
            if re.match(r"-[A-Za-z]{2}", word) and word not in options and "explicit" in message:
                return f"{word} is unknown{self._nearest(f'-{word}', options)}"
        if found := _CHOICE.search(message):
            return f"{found[1]!r} is unknown{self._nearest(found[1], self._choices(found[2]))}"
        if message.startswith(_MISSING):
            return f"give {message.removeprefix(_MISSING)}"
        if message.startswith(_UNKNOWN):
            return f"{message.removeprefix(_UNKNOWN)}: not expected; quote a text of several words"
        return self._of_an_argument(message)

    def _of_an_argument(self, message: str) -> str:
        if found := _OF_AN_ARGUMENT.fullmatch(message):
            name = found[1].rpartition("/")[2]
            for pattern, words in _WORDS:
                if part := pattern.fullmatch(found[2]):
                    return words.format(name, *part.groups())
            return f"{name}: {found[2]}"
        return message

    def _named(self) -> Parser:
        """Of the subcommand that was named, whose help lists what it takes."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name in self._given:
                    if isinstance(parser := action.choices.get(name), Parser):
                        return parser._named()
        return self

    def _choices(self, listed: str) -> list[str]:
        return [word.strip(" '") for word in listed.split(",")]

    def _options(self) -> list[str]:
        """Of this parser and of the subcommands that were named."""
        options = list(self._option_string_actions)
        if (named := self._named()) is not self:
            options += named._option_string_actions
        return options

    def _nearest(self, word: str, known: Sequence[str]) -> str:
        if near := nearest(word, known, LIKENESS):
            return f"; did you mean {near}?"
        return f"; it may be {', '.join(known)}" if len(known) <= 12 else ""
