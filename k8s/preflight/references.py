"""Objects that the rendered ones name and do not bring along: Secrets, ConfigMaps, volumes,
service accounts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k8s.preflight.facts import Named
from k8s.preflight.failure import UsageFailure
from k8s.preflight.needs import Needs
from k8s.preflight.rendering import Object

LOOKED_FOR = ("Secret", "ConfigMap", "PersistentVolumeClaim", "ServiceAccount")


@dataclass(frozen=True, order=True, kw_only=True)
class Reference:
    named: Named
    key: str = ""
    """Of its data; empty: the object as a whole."""
    owner: str
    vital: bool = True
    """The pods do not start without it."""


def references(needs: Needs, into: str) -> tuple[Reference, ...]:
    """All that the release does not bring, or have made, itself. `into`: its namespace.

    Raises UsageFailure for an object that lacks a part.
    """
    try:
        return _references(needs, into)
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageFailure(f"what is installed can't be read: an object lacks {error}") from error


def _references(needs: Needs, into: str) -> tuple[Reference, ...]:
    brought = {named for entry in needs.objects for named in _brings(entry, into)}
    found = [
        Reference(named=Named(kind, name, namespace), key=key, owner=owner, vital=vital)
        for owner, namespace, parts in _parts(needs, into)
        for kind, name, key, vital in parts
    ]
    return tuple(sorted({each for each in found if each.named not in brought}))


Part = tuple[str, str, str, bool]
"""Kind, name, key, vital."""


def _parts(needs: Needs, into: str) -> Iterator[tuple[str, str, Iterable[Part]]]:
    for pod in needs.pods:
        yield pod.owner, pod.namespace or into, _of_pod(pod.spec)
    for entry in needs.objects:
        if entry["kind"] == "Ingress":
            namespace = entry["metadata"].get("namespace") or into
            owner = f"Ingress/{entry['metadata']['name']}"
            # Whoever issues certificates may make it after the install.
            tls = entry["spec"].get("tls") or ()
            named = [each["secretName"] for each in tls if each.get("secretName")]
            yield owner, namespace, [("Secret", name, "", False) for name in named]


def _of_pod(spec: Mapping[str, Any]) -> Iterator[Part]:
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        yield from _of_environment(container)
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume)
    for secret in spec.get("imagePullSecrets") or ():
        yield "Secret", secret["name"], "", False
    account = spec.get("serviceAccountName")
    if account and account != "default":
        yield "ServiceAccount", account, "", True


def _of_environment(container: Mapping[str, Any]) -> Iterator[Part]:
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            named = source.get(field)
            if named and not named.get("optional"):
                yield kind, named["name"], named["key"], True
    for source in container.get("envFrom") or ():
        for field, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
            named = source.get(field)
            if named and not named.get("optional"):
                yield kind, named["name"], "", True


def _of_volume(volume: Mapping[str, Any]) -> Iterator[Part]:
    if claim := volume.get("persistentVolumeClaim"):
        yield "PersistentVolumeClaim", claim["claimName"], "", True
    for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
        for field, kind, name in (
            ("secret", "Secret", "secretName"),
            ("configMap", "ConfigMap", "name"),
        ):
            named = source.get(field)
            if not named or named.get("optional"):
                continue
            whole = named.get(name) or named.get("name")
            items = named.get("items") or ()
            yield from ((kind, whole, item["key"], True) for item in items)
            if not items:
                yield kind, whole, "", True


def _brings(entry: Object, into: str) -> Iterator[Named]:
    """The object itself, or the Secret that somebody makes out of it."""
    metadata, spec = entry["metadata"], entry.get("spec") or {}
    namespace, kind = metadata.get("namespace") or into, entry["kind"]
    if kind in LOOKED_FOR:
        yield Named(kind, metadata["name"], namespace)
    if kind in ("ExternalSecret", "SealedSecret"):
        target = (spec.get("target") or {}).get("name")
        yield Named("Secret", target or metadata["name"], namespace)
    if kind == "Certificate" and "secretName" in spec:
        yield Named("Secret", spec["secretName"], namespace)
