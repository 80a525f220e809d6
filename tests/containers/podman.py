"""The container tool, as far as the proof needs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.containers.rendering import Manifest


class PodmanFailed(Exception):
    """A command of the tool ended in an error; the message is its last line."""


class Podman:
    """`podman`, or what CONTAINER_TOOL names in its place. Docker has no `kube play`."""

    def __init__(self) -> None:
        self.tool = os.environ.get("CONTAINER_TOOL") or "podman"
        if not shutil.which(self.tool):
            raise PodmanFailed(
                f"{self.tool} is not installed; install podman or set CONTAINER_TOOL"
            )

    def run(self, *arguments: str) -> str:
        """What it prints. Raises PodmanFailed."""
        done = subprocess.run([self.tool, *arguments], capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["no output"]
            raise PodmanFailed(f"{' '.join(arguments[:3])}: {said[-1]}")
        return done.stdout

    def has_image(self, name: str) -> bool:
        done = subprocess.run([self.tool, "image", "exists", name], capture_output=True)
        return done.returncode == 0

    def inspect(self, container: str) -> dict[str, Any]:
        (found,) = json.loads(self.run("container", "inspect", container))
        return dict(found)

    def running(self, container: str) -> bool:
        return bool(self.inspect(container)["State"]["Running"])

    def logs(self, container: str) -> str:
        """What the container wrote, both streams."""
        done = subprocess.run(
            [self.tool, "logs", container],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout

    def names(self, kind: str) -> set[str]:
        """Of all pods, volumes, secrets or networks."""
        field = "{{.Spec.Name}}" if kind == "secret" else "{{.Name}}"
        arguments = ["pod", "ps"] if kind == "pod" else [kind, "ls"]
        return set(self.run(*arguments, "--format", field).split())


class Played:
    """Manifests that run as pods, on a network of their own, until `remove`."""

    def __init__(self, podman: Podman, manifests: list[Manifest], folder: Path) -> None:
        self.podman, self.manifests = podman, manifests
        self.network = f"{folder.name}-network"
        self.file = folder / "pods.json"
        # Every YAML reader takes JSON, one document a line.
        self.file.write_text("\n---\n".join(json.dumps(manifest) for manifest in manifests))
        self.file.chmod(0o600)

    def start(self) -> None:
        """Raises PodmanFailed, also where something of the same name is there already."""
        taken = self.podman.names("pod") & set(self.pods)
        taken |= self.podman.names("secret") & set(self._named("Secret"))
        if taken:
            raise PodmanFailed(f"{', '.join(sorted(taken))} exists already; remove it first")
        self.volumes_before = self.podman.names("volume")
        self.podman.run("network", "create", self.network)
        self.podman.run("kube", "play", "--network", self.network, str(self.file))

    @property
    def pods(self) -> list[str]:
        return [f"{name}-pod" for name in self._named("Deployment")]

    @property
    def images(self) -> set[str]:
        return {container["image"] for _, container in self._containers}

    @property
    def containers(self) -> list[str]:
        return [f"{pod}-pod-{container['name']}" for pod, container in self._containers]

    @property
    def _containers(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (deployment["metadata"]["name"], container)
            for deployment in self._deployments
            for container in deployment["spec"]["template"]["spec"]["containers"]
        ]

    @property
    def _deployments(self) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == "Deployment"]

    def remove(self) -> None:
        """Takes away pods, volumes, secrets and network; goes on where one can't be removed."""
        steps = [["kube", "down", str(self.file)]]
        steps += [["secret", "rm", name] for name in self._named("Secret")]
        self._tried(steps)
        new = self.podman.names("volume") - self.volumes_before
        self._tried([["volume", "rm", name] for name in sorted(new) if self._is_ours(name)])
        self._tried([["network", "rm", self.network]])

    def _is_ours(self, volume: str) -> bool:
        """podman names volumes by the pod's volume or its ConfigMap, alone or after the pod."""
        own = {
            known["name"]
            for deployment in self._deployments
            for known in deployment["spec"]["template"]["spec"]["volumes"]
        }
        return volume in own | set(self._named("ConfigMap")) or volume.startswith(tuple(self.pods))

    def _tried(self, steps: list[list[str]]) -> None:
        for step in steps:
            try:
                self.podman.run(*step)
            except PodmanFailed as failure:
                print(f"left behind: {failure}", flush=True)

    def _named(self, kind: str) -> list[str]:
        return [m["metadata"]["name"] for m in self.manifests if m["kind"] == kind]
