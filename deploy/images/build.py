"""The container images, the tool that builds them, and the command line that builds each."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INDEXES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
TOOLS = ("docker", "podman", "buildah")


@dataclass(frozen=True)
class Recipe:
    """The recipe of an image."""

    image: str
    """The image's name without registry and tag."""
    dockerfile: str
    """Relative to the repository's root, which is the build's context."""


RECIPES = {
    "gateway": Recipe("tierflow/gateway", "gateway/Dockerfile"),
    "vllm-cpu": Recipe("tierflow/vllm-cpu", "services/vllm_server/Dockerfile.cpu"),
    "vllm": Recipe("tierflow/vllm", "services/vllm_server/Dockerfile"),
    "device": Recipe("tierflow/device", "services/device_agent/Dockerfile"),
    "device-jetson": Recipe("tierflow/device-jetson", "services/device_agent/Dockerfile.jetson"),
}


class ToolMissing(Exception):
    """A machine without a tool to build images; one line for the user."""


def container_tool(
    environment: Mapping[str, str], find: Callable[[str], str | None] = shutil.which
) -> str:
    """CONTAINER_TOOL, else the first installed one of docker, podman and buildah.

    Raises ToolMissing.
    """
    if chosen := environment.get("CONTAINER_TOOL"):
        if not find(chosen):
            raise ToolMissing(f"CONTAINER_TOOL={chosen}: there is no such command")
        return chosen
    for tool in TOOLS:
        if find(tool):
            return tool
    raise ToolMissing(
        "none of docker, podman and buildah is installed; install one, or set CONTAINER_TOOL"
    )


def version(pyproject: Path = ROOT / "pyproject.toml") -> str:
    """The project's version, which tags its images."""
    return str(tomllib.loads(pyproject.read_text())["project"]["version"])


def revision() -> str:
    """The checkout's commit; `unknown` outside a repository."""
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        head = subprocess.run(git, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return head.stdout.strip() if head.returncode == 0 else "unknown"


def reference(recipe: Recipe, registry: str, tag: str) -> str:
    """The image's full name, as the charts compose it."""
    return f"{registry.rstrip('/')}/{recipe.image}:{tag}" if registry else f"{recipe.image}:{tag}"


def build_command(
    tool: str, recipe: Recipe, environment: Mapping[str, str], *, tag: str, commit: str
) -> list[str]:
    """The command that builds `recipe` from the repository's root.

    Indexes are named without their addresses, which the tool reads from its environment: an address
    may hold a password, and command lines are visible to everybody.
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
