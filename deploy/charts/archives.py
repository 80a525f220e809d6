"""The charts' archives: checked, packed, and rendered once more as they will be installed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python

from deploy.charts import CHARTS, GENERATED
from k8s.preflight.rendering import THROWAWAY

SEVERITY_WARNING = 2
RENDER_S, PUSH_S = 60.0, 300.0
EXAMPLES: Mapping[str, Mapping[str, Any]] = {"model-pool": {"tier": "edge"}}
"""Values with which a chart is rendered, where its defaults are not enough."""


class ChartFailure(Exception):
    """What keeps a chart from being handed out; the message is for people, a line for each."""


def outdated() -> list[Path]:
    """Generated files that differ from what would be written."""
    return [file for file, text in GENERATED.items() if file.read_text() != text()]


def check() -> None:
    """Raises ChartFailure."""
    if wrong := outdated():
        raise ChartFailure(f"out of date, run `make docs`: {', '.join(map(str, wrong))}")
    for name, folder in CHARTS.items():
        values = THROWAWAY | dict(EXAMPLES.get(name, {}))
        report = helm_python.lint(folder, values, strict=True)
        problems = [
            each["error"] for each in report["messages"] if each["severity"] >= SEVERITY_WARNING
        ]
        if problems := [*problems, *report["errors"]]:
            raise ChartFailure("\n".join(f"{name}: {problem}" for problem in problems))


def pack(into: Path) -> dict[str, Path]:
    """Each chart's archive by its name, `<name>-<version>.tgz` in that folder."""
    into.mkdir(parents=True, exist_ok=True)
    return {
        name: Path(helm_python.package(folder, destination=into)) for name, folder in CHARTS.items()
    }


def render(helm: Path, archive: Path, values: Mapping[str, Any]) -> str:
    """What that helm makes of an archive: manifests as one text. Raises ChartFailure."""
    command = [str(helm), "template", "release", str(archive), "--namespace", "there"]
    command += ["--set", "global.throwawaySecrets=true", "--values", "-"]
    try:
        done = subprocess.run(
            command, input=json.dumps(values), capture_output=True, text=True, timeout=RENDER_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ChartFailure(f"{helm} template: {error}") from error
    if done.returncode != 0:
        raise ChartFailure(f"{archive.name}: {' '.join(done.stderr.split())}")
    return done.stdout


def push(
    helm: Path, archives: Mapping[str, Path], registry: str, *, plain_http: bool = False
) -> None:
    """Each archive to an OCI registry, `oci://registry.example.org/charts`. Raises ChartFailure."""
    for archive in archives.values():
        command = [str(helm), "push", str(archive), registry]
        if plain_http:
            command.append("--plain-http")
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PUSH_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ChartFailure(f"{helm} push: {error}") from error
        if done.returncode != 0:
            raise ChartFailure(f"{archive.name}: {' '.join(done.stderr.split())}")
