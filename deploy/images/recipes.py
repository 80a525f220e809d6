"""Which images there are, and the Dockerfile of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
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
