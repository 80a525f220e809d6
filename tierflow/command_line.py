"""The tree of commands: what each is for, what it needs, and its exit code."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Protocol

from gateway.protocol.configuration.parser import USAGE, Parser
from tierflow.parts import PARTS, EnvironmentMissing, enter_environment, use_parts

DESCRIPTION = """\
Serve large models over devices, edge and cloud behind one OpenAI API.

exit codes:
  0    done
  1    it could not be done, or something is not as it should be
  2    the command line, a variable or a setting is wrong
  130  interrupted"""
EPILOG = "tierflow COMMAND --help tells what a command takes, with examples."
_GATEWAY = ("aiohttp", "fastapi", "psutil", "yaml")


class CommandModule(Protocol):
    """What the module of a command has. `EXAMPLES` are lines, each with what it does."""

    EXAMPLES: str

    def add_arguments(self, parser: Parser) -> None: ...

    def run(self, arguments: object) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: its module in `tierflow.commands`, and the packages without which it can't run
    where it was called."""

    name: str
    summary: str
    module: str
    needs: Sequence[str] = _GATEWAY


COMMANDS = (
    Command(name="up", summary="serve here: edge pool, cloud pool, gateway, devices", module="up"),
    Command(name="down", summary="stop what `up` started", module="down"),
    Command(
        name="status",
        summary="what is running: parts, addresses, health, since when, logs",
        module="status",
    ),
    Command(name="logs", summary="what the parts have logged", module="logs"),
    Command(
        name="ask",
        summary="ask a question, and see who wrote the answer",
        module="ask",
        needs=("httpx",),
    ),
    Command(
        name="device",
        summary="run a device: it answers, drafts, and works with others",
        module="device",
        needs=("httpx", "msgspec", "numpy", "onnxruntime", "starlette", "tokenizers", "websockets"),
    ),
    Command(name="admin", summary="administer devices and callers' keys", module="admin"),
    Command(
        name="calibrate",
        summary="fit the cascade to a running gateway, and measure it",
        module="calibrate",
        needs=(*_GATEWAY, "matplotlib"),
    ),
    Command(
        name="load",
        summary="ask a running gateway by many users, and print the figures",
        module="load",
        needs=(*_GATEWAY, "locust"),
    ),
    Command(
        name="preflight",
        summary="check a Kubernetes cluster before the install",
        module="preflight",
    ),
    Command(
        name="settings",
        summary="every setting: value, where it comes from, default, unit, meaning",
        module="settings",
    ),
    Command(
        name="completion",
        summary="the shell's lines that complete these commands",
        module="completion",
        needs=("argcomplete",),
    ),
)


def main(argv: Sequence[str]) -> int:
    """The exit code."""
    use_parts()
    if "_ARGCOMPLETE" in os.environ:
        return _complete()
    name = next((word for word in argv if not word.startswith("-")), "")
    command = next((each for each in COMMANDS if each.name == name), None)
    from deploy.local.variables import SettingError

    try:
        _check_variables()
        if command is not None:
            enter_environment(command.needs, argv, _next_environments(name))
            _check_gateway_variables()
        arguments = command_parser(name).parse_args(argv)
        if command is None:
            return _help()
        return _module(command).run(arguments)
    except SettingError as problem:
        print(f"tierflow {name}: {problem}", file=sys.stderr)
        return USAGE
    except EnvironmentMissing as missing:
        print(f"tierflow {name}: {missing}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read this has seen enough; Python would say so at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _next_environments(name: str) -> Sequence[str]:
    simulated = os.environ.get("TIERFLOW_ENGINE", "").strip() == "simulator"
    own = os.environ.get("TIERFLOW_ENGINE_PYTHON", "").strip()
    return () if name != "up" or simulated or own else ("engine",)


def _check_variables() -> None:
    """A variable of ours that no part reads was meant for one. Raises SettingError."""
    from deploy.local.variables import SettingError
    from gateway.protocol.configuration.variables import variables_problem

    if problem := variables_problem(os.environ):
        raise SettingError(problem)


def _check_gateway_variables() -> None:
    """Names alone: what a value has to be is for those who read it. The gateway's settings are
    asked where there are such variables and its packages. Raises SettingError."""
    from gateway.protocol.configuration.variables import SETTINGS_PREFIX

    if not any(name.upper().startswith(SETTINGS_PREFIX) for name in os.environ):
        return
    if not all(find_spec(package) for package in ("pydantic_settings", "yaml")):
        return
    from deploy.local.variables import SettingError
    from gateway.errors import ConfigError
    from gateway.settings import Settings
    from gateway.settings.checks.variables import check_variables

    try:
        check_variables(os.environ, Settings)
    except ConfigError as error:
        raise SettingError(error.message) from error


def command_parser(chosen: str) -> Parser:
    """The parser of all commands; of the `chosen` one it knows what it takes."""
    top = Parser(prog="tierflow", description=DESCRIPTION, epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"tierflow {_version()}")
    commands = top.add_subparsers(dest="tierflow_command", metavar="COMMAND")
    for command in COMMANDS:
        if command.name != chosen:
            commands.add_parser(command.name, help=command.summary, add_help=False)
            continue
        module = _module(command)
        parser = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=f"examples:\n{module.EXAMPLES.rstrip()}",
        )
        module.add_arguments(parser)
    return top


def _version() -> str:
    """Of the installation, or of the checkout."""
    try:
        return version("tierflow")
    except PackageNotFoundError:
        with (PARTS / "pyproject.toml").open("rb") as file:
            return str(tomllib.load(file)["project"]["version"])


def _module(command: Command) -> CommandModule:
    module: CommandModule = import_module(f"tierflow.commands.{command.module}")
    return module


def _help() -> int:
    command_parser("").print_help(sys.stderr)
    return USAGE


def _complete() -> int:
    """What may come next on the line that a shell shows. Silent where a command's packages are
    not here: a key press installs nothing."""
    import argcomplete

    words = os.environ.get("COMP_LINE", "").split()[1:]
    name = next((word for word in words if not word.startswith("-")), "")
    try:
        parser = command_parser(name)
    except ImportError:
        parser = command_parser("")
    argcomplete.autocomplete(parser)
    return 0
