"""What checks each block: the table of programs, and of the languages of blocks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping

import yaml

from gateway.protocol.paths import ROUTES
from gateway.protocol.requests.collective import FEEDBACK_PATH
from tests.documents import charts, command_lines, containers, data
from tests.documents.blocks import CHECKOUT, Block, BrokenExample, Example, examples_of
from tests.documents.make_lines import make
from tests.documents.python_programs import run_without_gateway
from tests.documents.shell import Call, calls, heredocs, options

SYSTEM: Mapping[str, str] = {
    **dict.fromkeys(("base64", "cat", "cut", "echo", "export", "getent"), "the system's own"),
    **dict.fromkeys(("kill", "nc", "openssl", "pgrep", "pkill", "tail"), "the system's own"),
    **dict.fromkeys(("redis-cli", "redis-server"), "Redis's own"),
}
"""Programs whose words are not checked, and why."""
_CURL_SWITCHES = ("-s", "-S", "-N", "-i")
_CURL_VALUED = ("-H", "-d", "-D", "-X", "-w")
_URL = re.compile(r"(?:http://)?(?:127\.0\.0\.1|localhost):(\d+)(/\S*)")
_STREAM = re.compile(r"/v1/streams/[\w-]+")
_EXTRAS = re.compile(r"\.\[([\w,-]+)\]")
OTHER_PATHS = ("/ready", "/v1/devices/enrol", FEEDBACK_PATH, data.FAULTS)


def curl(call: Call) -> None:
    given = options(call.words[1:], switches=_CURL_SWITCHES, valued=_CURL_VALUED)
    for url in given.words:
        if not (found := _URL.fullmatch(url)):
            raise BrokenExample(f"{url} is no address of ours")
        path = found[2]
        if path not in (*ROUTES, *OTHER_PATHS) and not _STREAM.fullmatch(path):
            raise BrokenExample(f"there is no route {path}")
        for body in given.given.get("-d", ()):
            data.read_body(path, body)


def pip(call: Call) -> None:
    match call.words[1:]:
        case ["install", what] if found := _EXTRAS.fullmatch(what):
            project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
            if unknown := set(found[1].split(",")) - project["optional-dependencies"].keys():
                raise BrokenExample(f"there is no extra {', '.join(sorted(unknown))}")
        case _:
            raise BrokenExample(f"{' '.join(call.words)}: can't be understood")


PROGRAMS: Mapping[str, Callable[[Call], None]] = {
    "$PY": command_lines.python,
    "curl": curl,
    "docker": containers.container_tool,
    "helm": charts.helm,
    "kind": containers.kind,
    "kubectl": charts.kubectl,
    "make": make,
    "pip": pip,
    "podman": containers.container_tool,
    "podman-compose": containers.compose,
    "python": command_lines.python,
    "python3": command_lines.python,
    "tierflow": command_lines.tierflow,
}


def check(block: Block) -> None:
    """Raises BrokenExample, also for what nobody has said how to check."""
    if block.reason:
        return
    if block.language == "yaml":
        data.read_yaml(block)
    elif block.language == "json":
        data.read_json(block)
    elif block.language == "python":
        run_without_gateway(block)
    elif block.is_shell:
        for example in examples_of(block):
            check_example(example)
    else:
        raise BrokenExample(f"{block}: nobody has said how to check {block.language}")


def check_example(example: Example) -> None:
    """Of a command. Raises BrokenExample."""
    for text in heredocs(example.text):
        data.load_settings(yaml.safe_load(text))
    for call in calls(example.page, example.text):
        check_call(call)


def check_call(call: Call) -> None:
    if call.program in SYSTEM:
        command_lines.check_variables(call)
    elif program := PROGRAMS.get(call.program):
        program(call)
    else:
        raise BrokenExample(
            f"{call.page}: {' '.join(call.words)[:80]}: nobody has said how to check "
            f"{call.program}: add it to {__name__}, or the block to tests.documents.listed"
        )
