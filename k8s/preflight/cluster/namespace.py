"""Reads what a namespace demands of pods, and objects in it that are named. Raises Refused and
Unreachable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from k8s.preflight.cluster.connection import Connection, Refused
from k8s.preflight.facts import Address, Amounts, Bounds, Named, Quota
from k8s.preflight.quantities import quantity

PLURALS = {
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "ServiceAccount": "serviceaccounts",
}
API_SERVICE = "kubernetes.io/service-name=kubernetes"


def namespace_labels(connection: Connection, name: str) -> Mapping[str, str] | None:
    found = _found(connection, f"/api/v1/namespaces/{name}")
    return None if found is None else found["metadata"].get("labels") or {}


def keys(connection: Connection, named: Named) -> frozenset[str] | None:
    """Of its data, whose values go no further than here."""
    path = f"/api/v1/namespaces/{named.namespace}/{PLURALS[named.kind]}/{named.name}"
    found = _found(connection, path)
    if found is None:
        return None
    return frozenset({**(found.get("data") or {}), **(found.get("binaryData") or {})})


def quotas(connection: Connection, namespace: str) -> tuple[Quota, ...]:
    return tuple(
        Quota(
            name=item["metadata"]["name"],
            hard=_amounts(item["spec"].get("hard")),
            used=_amounts((item.get("status") or {}).get("used")),
            scoped=bool(item["spec"].get("scopes") or item["spec"].get("scopeSelector")),
        )
        for item in connection.items(f"/api/v1/namespaces/{namespace}/resourcequotas")
    )


def bounds(connection: Connection, namespace: str) -> tuple[Bounds, ...]:
    return tuple(
        Bounds(
            name=item["metadata"]["name"],
            of=limit["type"],
            least=_amounts(limit.get("min")),
            most=_amounts(limit.get("max")),
            default_limit=_amounts(limit.get("default")),
            default_request=_amounts(limit.get("defaultRequest")),
        )
        for item in connection.items(f"/api/v1/namespaces/{namespace}/limitranges")
        for limit in item["spec"].get("limits") or ()
    )


def api_servers(connection: Connection) -> tuple[Address, ...]:
    """The endpoints of the Service `kubernetes`: network policies see these, and not the Service's
    own address and port."""
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    slices = connection.items(path, labelSelector=API_SERVICE)
    return tuple(sorted({address for item in slices for address in _addresses(item)}))


def _addresses(item: Mapping[str, Any]) -> Iterable[Address]:
    for port in item.get("ports") or ():
        for endpoint in item.get("endpoints") or ():
            for host in endpoint.get("addresses") or ():
                yield Address(host, port["port"])


def _found(connection: Connection, path: str) -> dict[str, Any] | None:
    try:
        return connection.get(path)
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def _amounts(written: Mapping[str, Any] | None) -> Amounts:
    return {name: quantity(amount) for name, amount in (written or {}).items()}
