"""Lines of make: their targets and variables, and what the recipes then run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache

from deploy.images import __main__ as images
from deploy.images.build import RECIPES
from deploy.local.settings import read_settings
from deploy.local.variables import VARIABLES, SettingError
from tests.documents.blocks import CHECKOUT, BrokenExample
from tests.documents.command_lines import check_variables, python_module
from tests.documents.containers import check_images
from tests.documents.shell import Call

_MAKEFILE = (CHECKOUT / "Makefile").read_text()
_TARGET = re.compile(r"^([a-z-]+):", re.M)
MAKE_VARIABLES = tuple(re.findall(r"^([A-Z]+) \?=", _MAKEFILE, re.M))
_MODULE = re.compile(r"(?:^|[\s'\"])-m ([\w.]+)([^;&|\n]*)")
_SHELL_VARIABLE = re.compile(r"(\w+)=\"([^\"]*)\"")
_NAMED = re.compile(r"\b[A-Z][A-Z0-9_]+\b")
_BUILD_ARGUMENT = re.compile(r"--build-arg (\w+)")


def make(call: Call) -> None:
    """Raises BrokenExample for a target that there is not, a variable that no target of the line
    reads, and words that a program can't read which a target runs."""
    check_variables(call)
    given = dict(word.split("=", 1) for word in call.words[1:] if "=" in word)
    targets = [word for word in call.words[1:] if "=" not in word]
    if unknown := set(targets) - set(_TARGET.findall(_MAKEFILE)):
        raise BrokenExample(f"there is no target {', '.join(sorted(unknown))}")
    assigned = {**call.variables, **given}
    read = {name for target in targets for name in _variables_of(target)}
    if unread := {name for name in assigned if not name.startswith("TIERFLOW_")} - read:
        raise BrokenExample(f"{' '.join(targets)}: nothing reads {', '.join(sorted(unread))}")
    if "up" in targets:
        _check_settings(assigned)
    if "images" in targets:
        _check_build_arguments(assigned)
    for target in targets:
        for module, words in _run_by(target, tuple(sorted(assigned.items()))):
            python_module(module, words)


def _check_settings(assigned: Mapping[str, str]) -> None:
    """But for folders, which are the reader's."""
    names = {variable.name for variable in VARIABLES}
    given = {name: text for name, text in assigned.items() if name in names}
    try:
        read_settings({k: text for k, text in given.items() if not text.startswith(("~", "/"))})
    except SettingError as error:
        raise BrokenExample(str(error)) from error


def _check_build_arguments(assigned: Mapping[str, str]) -> None:
    arguments = assigned.get("IMAGE_ARGS", "")
    check_images(arguments)
    for name in assigned.get("IMAGES", "").split():
        known = (CHECKOUT / RECIPES[name].dockerfile).read_text() if name in RECIPES else ""
        for argument in _BUILD_ARGUMENT.findall(arguments):
            if known and not re.search(rf"^ARG {argument}\b", known, re.M):
                raise BrokenExample(f"the image {name} has no build argument {argument}")


def _recipe(target: str) -> str:
    parts = re.findall(rf"^({target}:.*\n)((?:\t.*\n)*)", _MAKEFILE, re.M)
    return "".join(head + body for head, body in parts)


def _variables_of(target: str) -> set[str]:
    """Those that stand in the recipe, and those that the docstring of `make images` names."""
    recipe = _recipe(target)
    read = {
        name for name in MAKE_VARIABLES if f"$({name})" in recipe or f"$(value {name})" in recipe
    }
    if "-m deploy.images " in recipe:
        read |= set(_NAMED.findall(images.__doc__ or ""))
    return read


@cache
def _run_by(target: str, assigned: tuple[tuple[str, str], ...]) -> Sequence[tuple[str, list[str]]]:
    """The modules that the recipe runs, each with its words."""
    done = subprocess.run(
        ["make", "-n", target, *(f"{name}={text}" for name, text in assigned)],
        cwd=CHECKOUT,
        env={**os.environ, **dict(assigned)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise BrokenExample(f"make -n {target}: {done.stderr.strip()}")
    recipe = done.stdout.replace("\\\n", " ")
    for name, text in _SHELL_VARIABLE.findall(recipe):
        recipe = recipe.replace(f"${name} ", text + " ")
    return [(module, shlex.split(words)) for module, words in _MODULE.findall(recipe)]
