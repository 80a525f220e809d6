"""Command lines of Tierflow's own programs, each read by that program's own parser."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib import import_module
from importlib.util import find_spec
from unittest import mock

import pytest
from _pytest.config import get_config

from deploy.images.build import RECIPES
from gateway.protocol.configuration.variables import variables_problem
from services.device_agent.arguments import enrolment_parser, parser
from tests.documents.blocks import CHECKOUT, BrokenExample
from tests.documents.shell import Call
from tierflow.command_line import command_parser

PARSED = (
    "deploy.charts",
    "gateway",
    "loadtest.chaos",
    "loadtest.link",
    "loadtest.soak",
    "loadtest.tiers",
    "services.engine_simulator",
    "services.model_family",
    "tests.fuzz",
)
"""Modules whose `main` reads the command line before it does anything."""
OF_PYTEST = ("pytest", "tests", "tests.clients")
"""They hand their words to pytest."""
WITHOUT_WORDS = (
    "deploy.compose.secrets",
    "deploy.local.settings",
    "deploy.reference",
    "deploy.supply_chain.image_packages",
    "loadtest.bench",
    "loadtest.capacity",
    "loadtest.collective",
    "loadtest.keys",
    "loadtest.load",
    "loadtest.poison",
    "loadtest.rounds",
    "loadtest.speculation",
    "loadtest.speculation.ideal",
    "loadtest.speculation.readiness",
    "tests.containers",
)


class _Understood(Exception):
    """The words have been read; nothing else is to happen."""


def check_variables(call: Call) -> None:
    """Each variable that begins as ours do is one that a part reads."""
    if problem := variables_problem(call.variables):
        raise BrokenExample(problem)


def tierflow(call: Call) -> None:
    """A synopsis, with brackets around what may be left out, is read as if all were given."""
    words = [word.strip("[]…") or "…" for word in call.words[1:]]
    name = next((word for word in words if not word.startswith("-")), "")
    check_variables(call)
    with _understood(words):
        parsed = command_parser(name).parse_args(words)
    if name == "preflight":
        for file in parsed.values:
            if not (CHECKOUT / file).is_file():
                raise BrokenExample(f"there is no {file}")


def python(call: Call) -> None:
    check_variables(call)
    if call.words[1] == "-m":
        python_module(call.words[2], list(call.words[3:]))
    elif not (CHECKOUT / call.words[1]).is_file():
        raise BrokenExample(f"there is no {call.words[1]}")


def python_module(module: str, words: list[str]) -> None:
    """Raises BrokenExample for words that the module can't read."""
    if not _can_be_run(module):
        raise BrokenExample(f"there is no {module} to run")
    if module == "tierflow":
        tierflow(Call("", ("tierflow", *words)))
    elif module == "services.device_agent":
        device_agent(words)
    elif module == "deploy.images":
        if unknown := set(words) - set(RECIPES):
            raise BrokenExample(f"there is no image {', '.join(sorted(unknown))}")
    elif module in OF_PYTEST:
        _of_pytest(words)
    elif module in PARSED:
        _parsed(module, words)
    elif module in WITHOUT_WORDS:
        if words:
            raise BrokenExample(f"{module} takes no words: {' '.join(words)}")
    else:
        raise BrokenExample(f"nobody has said how {module} reads its words: see {__name__}")


def _can_be_run(module: str) -> bool:
    """Whether it is a module, or a package with a main program."""
    try:
        found = find_spec(module)
        return found is not None and (
            found.submodule_search_locations is None or find_spec(f"{module}.__main__") is not None
        )
    except ModuleNotFoundError:
        return False


def device_agent(words: Sequence[str]) -> None:
    with _understood(words):
        if words[:1] == ["enrol"]:
            enrolment_parser().parse_args(words[1:])
        else:
            parser().parse_args(words)


def _of_pytest(words: Sequence[str]) -> None:
    config = get_config()
    config.pluginmanager.import_plugin("_hypothesis_pytestplugin")
    try:
        config._parser.parse(words)
    except pytest.UsageError as error:
        raise BrokenExample(str(error)) from error


def _parsed(module: str, words: Sequence[str]) -> None:
    read = argparse.ArgumentParser.parse_args

    def read_and_stop(self: argparse.ArgumentParser, *given: object) -> None:
        read(self, *given)  # type: ignore[call-overload]
        raise _Understood

    main = import_module(f"{module}.__main__").main
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", read_and_stop),
        mock.patch.object(sys, "argv", [module, *words]),
        _understood(words),
    ):
        main()
        raise BrokenExample(f"{module} has read no words")


@contextmanager
def _understood(words: Sequence[str]) -> Iterator[None]:
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            yield
    except _Understood:
        pass
    except SystemExit as stopped:
        problem = said.getvalue().strip().rpartition("\n")[2]
        raise BrokenExample(f"{' '.join(words)}: {problem}") from stopped
