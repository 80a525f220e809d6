"""The container tool, as far as the proof needs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.containers.kube_play import Playable


class PodmanFailed(Exception):
    """A command of the tool ended in an error; the message is what it said."""


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
            said = done.stderr.strip() or "no output"
            raise PodmanFailed(f"{' '.join(arguments[:3])}: {said[-2000:]}")
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
    """The chart's parts, running as pods on a network of their own until `remove`."""

    def __init__(self, podman: Podman, parts: Playable, folder: Path) -> None:
        self.podman, self.parts, self.folder = podman, parts, folder
        self.network = f"{folder.name}-network"
        self.volumes_before = podman.names("volume")

    def check_names(self) -> None:
        """Raises PodmanFailed where something of the same name is there already."""
        taken = self.podman.names("pod") & set(self.pods)
        taken |= self.podman.names("secret") & set(self.parts.secrets)
        if taken:
            raise PodmanFailed(f"{', '.join(sorted(taken))} exists already; remove it first")

    def start(self) -> None:
        """Raises PodmanFailed."""
        for name, values in self.parts.secrets.items():
            self.podman.run("secret", "create", name, self._written(f"{name}.json", values))
        for folder in self.parts.in_memory:
            folder.mkdir()
            folder.chmod(0o1777)
        self.podman.run("network", "create", self.network)
        documents = [*self.parts.others, *self.parts.pods]
        self.podman.run(
            *("kube", "play", "--network", self.network),
            self._written("pods.yaml", *documents),
        )

    def remove(self) -> None:
        """Takes away all that was started; goes on where a part can't be removed."""
        steps = [["pod", "rm", "--force", pod] for pod in self.pods]
        steps += [["secret", "rm", name] for name in self.parts.secrets]
        self._tried(steps)
        new = self.podman.names("volume") - self.volumes_before
        self._tried([["volume", "rm", name] for name in sorted(new & self._volumes)])
        self._tried([["network", "rm", self.network]])

    @property
    def pods(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.parts.pods]

    @property
    def containers(self) -> list[str]:
        return [f"{pod}-{container['name']}" for pod, container in self._containers]

    @property
    def images(self) -> set[str]:
        return {container["image"] for _, container in self._containers}

    @property
    def _containers(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (pod["metadata"]["name"], container)
            for pod in self.parts.pods
            for container in pod["spec"]["containers"]
        ]

    @property
    def _volumes(self) -> set[str]:
        """What podman calls them: as in the pod, and as the ConfigMap that they show."""
        volumes = [volume["name"] for pod in self.parts.pods for volume in pod["spec"]["volumes"]]
        return {*volumes, *(other["metadata"]["name"] for other in self.parts.others)}

    def _written(self, name: str, *documents: object) -> str:
        """A file for the owner only. Every YAML reader takes JSON."""
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text("\n---\n".join(json.dumps(document) for document in documents))
        return str(file)

    def _tried(self, steps: list[list[str]]) -> None:
        for step in steps:
            try:
                self.podman.run(*step)
            except PodmanFailed as failure:
                print(f"left behind: {failure}", flush=True)
