"""Lines of container tools: images that are built here, files and services that there are, and the
words for the program in the container."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.images.build import RECIPES, version
from tests.documents.blocks import CHECKOUT, BrokenExample
from tests.documents.command_lines import check_variables, device_agent
from tests.documents.shell import Call, options

_RUN_SWITCHES = ("-d", "--rm", "--read-only")
_RUN_VALUED = (
    *("--name", "--restart", "--runtime", "--group-add", "--tmpfs", "--shm-size", "--cap-drop"),
    *("--security-opt", "--memory", "-p", "-v", "-e"),
)
_BUILD_VALUED = ("--platform", "-f", "-t")
_DOCKERFILE = CHECKOUT / "services/device_agent/Dockerfile"
_OUR_IMAGE = re.compile(r"(?:registry\.example/)?(tierflow/[\w-]+):([\w.]+)")
_IN_IMAGE = re.compile(r"/opt/tierflow/models/[\w-]+")
_READ_BY_COMPOSE = re.compile(r"\$\{(\w+)")


def image(name: str) -> None:
    """Raises BrokenExample for an image that `make images` does not build."""
    found = _OUR_IMAGE.fullmatch(name)
    if not found or found[1] not in {recipe.image for recipe in RECIPES.values()}:
        raise BrokenExample(f"`make images` builds no {name}")
    if found[2] != version():
        raise BrokenExample(f"{name}: the images are of version {version()}")


def check_images(text: str) -> None:
    """Of all images of ours that the text names."""
    for found in _OUR_IMAGE.finditer(text):
        image(found[0])


def container_tool(call: Call) -> None:
    match call.words[1:]:
        case ["run", *words]:
            _run(words)
        case ["buildx", "build", *words]:
            given = options(words, switches=("--push",), valued=_BUILD_VALUED)
            for file in [*given.given.get("-f", ()), *given.words]:
                if not (CHECKOUT / file).exists():
                    raise BrokenExample(f"there is no {file}")
            for name in given.given.get("-t", ()):
                image(name)
        case ["compose", *words]:
            compose(Call(call.page, ("docker-compose", *words), call.variables))
        case _:
            raise BrokenExample(f"{' '.join(call.words)}: can't be understood")


def _run(words: list[str]) -> None:
    given = options(words, switches=_RUN_SWITCHES, valued=_RUN_VALUED, before_words=True)
    name, *inside = given.words
    image(name)
    if inside and "/device" in name:
        device_agent(inside)
        for path in filter(_IN_IMAGE.fullmatch, inside):
            if (
                path.rpartition("/")[2]
                not in (CHECKOUT / "services/device_agent/Dockerfile").read_text()
            ):
                raise BrokenExample(f"{name} has no {path}")
    elif inside:
        raise BrokenExample(f"nobody has said how {name} reads {' '.join(inside)}")
    mounted = [text.split(":")[1] for text in given.given.get("-v", ())]
    files = [each for each in inside if each.startswith(("/run/", "/models/", "/var/"))]
    if lost := [each for each in files if not any(Path(each).is_relative_to(m) for m in mounted)]:
        raise BrokenExample(f"not mounted: {', '.join(lost)}")


@cache
def _services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())[
        "services"
    ]
    return services


@cache
def _read_by_compose() -> set[str]:
    files = [CHECKOUT / "docker-compose.yml", *(CHECKOUT / "deploy/compose").glob("*.yml")]
    return {name for file in files for name in _READ_BY_COMPOSE.findall(file.read_text())}


def compose(call: Call) -> None:
    check_variables(call)
    if unread := call.variables.keys() - _read_by_compose() - {"COMPOSE_PROFILES"}:
        raise BrokenExample(f"docker-compose.yml does not read {', '.join(sorted(unread))}")
    given = options(call.words[1:], switches=("-d",), valued=("--profile",))
    command, *services = given.words
    if command not in ("up", "down", "ps", "logs"):
        raise BrokenExample(f"{command} is nothing that {call.program} does")
    if unknown := set(services) - _services().keys():
        raise BrokenExample(f"there are no services {', '.join(sorted(unknown))}")
    profiles = {name for each in _services().values() for name in each.get("profiles", ())}
    chosen = [
        *given.given.get("--profile", ()),
        *filter(None, [call.variables.get("COMPOSE_PROFILES")]),
    ]
    if unknown := set(chosen) - profiles:
        raise BrokenExample(f"there is no profile {', '.join(sorted(unknown))}")


def kind(call: Call) -> None:
    match call.words[1:]:
        case ["create", "cluster"]:
            pass
        case ["load", "docker-image", *images]:
            for name in images:
                image(name)
        case _:
            raise BrokenExample(f"{' '.join(call.words)}: can't be understood")
