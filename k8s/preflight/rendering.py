"""The chart's objects with the given values: what would be installed.

Helm renders them, so that every check is about what the chart really asks for. The `helm` command
is used where there is one, otherwise Helm as a Python library (package helm-python-sdk).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from gateway.protocol.configuration.strict_yaml import RepeatedKeys, read_yaml, yaml_problem
from k8s.preflight.failure import UsageFailure
from k8s.preflight.settings import Setting, with_settings

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object as in a manifest."""

HELM_S = 60.0
THROWAWAY: Object = {"global": {"throwawaySecrets": True}}
"""The chart may make up Secrets without asking the cluster: nothing is installed here."""


@dataclass(frozen=True, kw_only=True)
class Release:
    chart: Path
    name: str
    namespace: str
    values: tuple[Path, ...]
    settings: tuple[Setting, ...] = ()


def render(release: Release, helm: str | None = None) -> tuple[Object, ...]:
    """`helm` is the path of the command; None: look for it. Raises UsageFailure."""
    packed = release.chart.is_file() and release.chart.suffix == ".tgz"
    if not packed and not (release.chart / "Chart.yaml").is_file():
        raise UsageFailure(f"--chart {release.chart}: there is no Chart.yaml in it")
    for file in release.values:
        if not file.is_file():
            raise UsageFailure(f"--values {file}: there is no such file")
    # Whichever Helm renders: of a key that stands twice it would keep the last one.
    merged(release.values)
    command = helm or shutil.which("helm")
    text = _by_command(command, release) if command else _by_library(release)
    return objects(text, "what the chart renders")


def read_manifests(path: Path) -> tuple[Object, ...]:
    """The objects in a file that `helm template` wrote. Raises UsageFailure."""
    try:
        found = objects(path.read_text(), f"--manifests {path}")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFailure(f"--manifests {path}: can't be read: {error}") from error
    if not found:
        raise UsageFailure(f"--manifests {path}: holds no object, so there is nothing to judge")
    return found


def objects(text: str, source: str) -> tuple[Object, ...]:
    """Raises UsageFailure when `text` is not YAML documents of Kubernetes objects."""
    try:
        documents = [document for document in yaml.safe_load_all(text) if document]
    except yaml.YAMLError as error:
        raise UsageFailure(f"{source}: not valid YAML: {' '.join(str(error).split())}") from error
    for document in documents:
        if not isinstance(document, dict) or not {"apiVersion", "kind"} <= document.keys():
            raise UsageFailure(f"{source}: holds something that is no Kubernetes object")
    return tuple(documents)


def _by_command(helm: str, release: Release) -> str:
    command = [helm, "template", release.name, str(release.chart)]
    command += ["--namespace", release.namespace, "--include-crds"]
    command += ["--set", "global.throwawaySecrets=true"]
    for file in release.values:
        command += ["--values", str(file)]
    for setting in release.settings:
        command += [f"--{setting.flag}", setting.expression]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=HELM_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageFailure(f"{helm} template: {error}") from error
    if done.returncode != 0:
        raise UsageFailure(f"the chart does not render: {_one_line(done.stderr)}")
    return done.stdout


def _by_library(release: Release) -> str:
    try:
        import helm_python
    except ImportError as error:
        raise UsageFailure(
            "helm is not found: install it, or give --manifests FILE with what "
            "`helm template` printed elsewhere"
        ) from error
    try:
        with helm_python.Chart.load(release.chart) as chart:
            values = with_settings(merged(release.values), release.settings)
            values = overlay(values, THROWAWAY)
            rendered = chart.render(values, name=release.name, namespace=release.namespace)
    except helm_python.HelmError as error:
        raise UsageFailure(f"the chart does not render: {_one_line(str(error))}") from error
    return documents(rendered.items())


def looks_up_api_server(release: Release) -> bool:
    """Whether the values leave it to the install to find out where the API server is. A rendering
    without the cluster does not show it."""
    values: Any = merged(release.values)
    try:
        values = with_settings(values, release.settings)
    except ImportError:
        # Then the helm command has rendered, and what its flags say is not known here.
        pass
    gateway = values.get("gateway") or values
    policy = gateway.get("networkPolicy") or {}
    return (policy.get("apiServer") or {}).get("lookup") is True


def documents(rendered: Iterable[tuple[str, str]]) -> str:
    """One stream of YAML documents out of rendered templates by path."""
    manifests = [text for path, text in rendered if path.endswith((".yaml", ".yml"))]
    return "\n---\n".join(manifests)


def merged(files: Sequence[Path]) -> Object:
    """The files' values, later ones over earlier ones, as Helm does it. Raises UsageFailure, also
    for a key that stands twice in one file."""
    values: Object = {}
    for file in files:
        values = overlay(values, _layer(file))
    return values


def _layer(file: Path) -> Object:
    """Raises UsageFailure."""
    try:
        layer = read_yaml(file.read_bytes())
    except OSError as error:
        raise UsageFailure(f"--values {file}: can't be read: {error.strerror}") from error
    except RepeatedKeys as error:
        raise UsageFailure(f"--values {file}: {error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageFailure(f"--values {file}: not valid YAML: {yaml_problem(error)}") from error
    except RecursionError as error:
        raise UsageFailure(f"--values {file}: nested too deep") from error
    if layer is None:
        return {}
    if not isinstance(layer, dict):
        raise UsageFailure(f"--values {file}: expected values by name at the top level")
    return layer


def overlay(below: Object, above: Object) -> Object:
    """Maps merge, anything else is replaced; a null stays, so that it removes a default."""
    result = dict(below)
    for key, value in above.items():
        beneath = result.get(key)
        both = isinstance(beneath, dict) and isinstance(value, dict)
        result[key] = overlay(beneath, value) if both else value  # type: ignore[arg-type]
    return result


def _one_line(text: str) -> str:
    return " ".join(text.split())
