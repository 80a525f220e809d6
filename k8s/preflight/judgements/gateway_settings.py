"""Whether the gateway would take its settings: the rendered file and variables, by its own word.

What reads settings is handed in (`SettingsCheck`), since what talks to Kubernetes knows no gateway.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from k8s.preflight.needs import Needs, PodNeed
from k8s.preflight.rendering import Object
from k8s.preflight.report import Finding, Result

OPTION = "--config"
STORES = {"configMap": ("ConfigMap", "name"), "secret": ("Secret", "secretName")}
TODO = "correct it in the values: the gateway would not start"
PARTLY = "see that what is taken from elsewhere sets it right, or correct it in the values"


@dataclass(frozen=True, kw_only=True)
class StartSettings:
    """What one container of a gateway reads at its start."""

    owner: str
    """As in `Deployment/tierflow-gateway`."""
    file: str
    """The content of its settings file, YAML."""
    variables: Mapping[str, str | None]
    """Its environment by name; None: the value is in an object that the release does not bring."""
    complete: bool
    """Whether every name of its environment is known."""


SettingsCheck: TypeAlias = Callable[[StartSettings], str]
"""What the gateway says against its settings; empty: nothing."""


def gateway_settings(needs: Needs, check: SettingsCheck | None) -> list[Finding]:
    """A row for each container that reads a settings file which the release brings."""
    return [_judged(settings, check) for settings in start_settings(needs)]


def _judged(settings: StartSettings, check: SettingsCheck | None) -> Finding:
    row = f"settings of {settings.owner}"
    if check is None:
        todo = "run `tierflow preflight`, which asks the gateway"
        found = "nothing here reads the gateway's settings"
        return Finding(check=row, result=Result.NOT_CHECKED, found=found, todo=todo)
    refusal = check(settings)
    if not refusal:
        return Finding(check=row, result=Result.OK, found="the gateway takes them")
    # A refusal may be of what a Secret elsewhere would set.
    if not settings.complete:
        return Finding(check=row, result=Result.WARNING, found=refusal, todo=PARTLY)
    return Finding(check=row, result=Result.MISSING, found=refusal, todo=TODO)


def start_settings(needs: Needs) -> Iterator[StartSettings]:
    stores = {
        (entry["kind"], entry["metadata"]["name"]): _content(entry)
        for entry in needs.objects
        if entry["kind"] in ("ConfigMap", "Secret")
    }
    for pod in needs.pods:
        for container in pod.spec.get("containers") or ():
            file = _file(pod, container, stores)
            if file is not None:
                variables, complete = _environment(container, stores)
                yield StartSettings(
                    owner=pod.owner, file=file, variables=variables, complete=complete
                )


Stores: TypeAlias = Mapping[tuple[str, str], Mapping[str, str]]
"""The data of the release's own ConfigMaps and Secrets, by kind and name."""


def _file(pod: PodNeed, container: Mapping[str, Any], stores: Stores) -> str | None:
    arguments = [str(each) for each in container.get("args") or ()]
    if OPTION not in arguments[:-1]:
        return None
    path = PurePosixPath(arguments[arguments.index(OPTION) + 1])
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes") or ()}
    for mount in container.get("volumeMounts") or ():
        volume = volumes.get(mount["name"], {})
        if path.is_relative_to(mount["mountPath"]):
            for field, (kind, name) in STORES.items():
                if field in volume:
                    key = str(path.relative_to(mount["mountPath"]))
                    return stores.get((kind, volume[field][name]), {}).get(key)
    return None


def _environment(
    container: Mapping[str, Any], stores: Stores
) -> tuple[dict[str, str | None], bool]:
    variables: dict[str, str | None] = {}
    complete = True
    for source in container.get("envFrom") or ():
        named = {
            (kind, str((source.get(field) or {}).get("name")))
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))
            if field in source
        }
        for place in named:
            complete = complete and place in stores
            prefix = source.get("prefix") or ""
            variables |= {prefix + key: value for key, value in stores.get(place, {}).items()}
    for variable in container.get("env") or ():
        variables[variable["name"]] = _value(variable, stores)
    return variables, complete


def _value(variable: Mapping[str, Any], stores: Stores) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        value = str(variable.get("value") or "")
        # A reference to another variable, which the kubelet fills in.
        return None if "$(" in value else value
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if named := source.get(field):
            return stores.get((kind, named["name"]), {}).get(named["key"])
    return None


def _content(entry: Object) -> dict[str, str]:
    content = dict(entry.get("data") or {})
    if entry["kind"] == "Secret":
        content = {key: text for key, value in content.items() if (text := _decoded(value))}
        content |= entry.get("stringData") or {}
    return {key: str(value) for key, value in content.items()}


def _decoded(value: object) -> str:
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
