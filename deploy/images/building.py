"""The command line that builds an image."""

from __future__ import annotations

import shlex
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

from deploy.images.recipes import Recipe

ROOT = Path(__file__).resolve().parents[2]
INDEXES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")


def version(pyproject: Path = ROOT / "pyproject.toml") -> str:
    return str(tomllib.loads(pyproject.read_text())["project"]["version"])


def revision() -> str:
    """The checkout's commit; `unknown` outside a repository."""
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(git, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return answer.stdout.strip() if answer.returncode == 0 else "unknown"


def reference(recipe: Recipe, registry: str, tag: str) -> str:
    """The image's full name, as the chart puts it together."""
    return f"{registry.rstrip('/')}/{recipe.image}:{tag}" if registry else f"{recipe.image}:{tag}"


def command(
    tool: str, recipe: Recipe, environment: Mapping[str, str], tag: str, commit: str
) -> list[str]:
    """What builds `recipe`, from the repository's root.

    Indexes are named and not given, so that the tool reads them from its environment: an address
    may hold a password, and command lines are for everybody to see.
    """
    arguments = ["--build-arg", f"VERSION={tag}", "--build-arg", f"REVISION={commit}"]
    for index in INDEXES:
        if environment.get(index):
            arguments += ["--build-arg", index]
    if pip_conf := environment.get("PIP_CONF"):
        arguments += ["--secret", f"id=pip,src={Path(pip_conf).expanduser()}"]
    arguments += shlex.split(environment.get("IMAGE_ARGS", ""))
    name = reference(recipe, environment.get("IMAGE_REGISTRY", ""), tag)
    return [tool, "build", *arguments, "--file", recipe.dockerfile, "--tag", name, "."]
