"""The container tool that the targets use."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

TOOLS = ("docker", "podman", "buildah")


class NoTool(Exception):
    """There is no tool to build with; one line for the user."""


def container_tool(
    environment: Mapping[str, str], find: Callable[[str], str | None] = shutil.which
) -> str:
    """CONTAINER_TOOL, else the first of docker, podman and buildah that is there. Raises NoTool."""
    if chosen := environment.get("CONTAINER_TOOL"):
        if not find(chosen):
            raise NoTool(f"CONTAINER_TOOL={chosen}: there is no such command")
        return chosen
    for tool in TOOLS:
        if find(tool):
            return tool
    raise NoTool(
        "none of docker, podman and buildah is installed; install one, or set CONTAINER_TOOL"
    )
