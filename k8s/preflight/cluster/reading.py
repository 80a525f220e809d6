"""Reads a cluster into facts. What can't be read becomes Unread, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kubernetes.utils import parse_quantity

from k8s.preflight.cluster.connection import Connection, Refused, Unreachable
from k8s.preflight.cluster.namespace import api_servers, bounds, keys, namespace_labels, quotas
from k8s.preflight.facts import (
    Cluster,
    Found,
    Named,
    Node,
    Reading,
    RunningPod,
    ServedKind,
    StorageClass,
    Taint,
    Unread,
)
from k8s.preflight.needs import limits, requests

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
FINISHED = ("Succeeded", "Failed")


def read_cluster(
    connection: Connection, namespace: str, versions: Iterable[str], named: Iterable[Named]
) -> Cluster:
    """`versions`: the API versions whose kinds are of interest. `named`: objects to look for.

    Raises Unreachable where the API server does not answer at all, and Refused where it knows
    nothing of the caller's credentials: nobody shall wait for every further request to fail.
    """
    try:
        version: Reading[str] = str(connection.get("/version").get("gitVersion", ""))
    except Refused as refused:
        if refused.status == 401:
            raise
        version = Unread(str(refused))
    return Cluster(
        version=version,
        nodes=attempt(lambda: tuple(map(node, connection.items("/api/v1/nodes")))),
        pods=attempt(lambda: tuple(running(connection.items("/api/v1/pods")))),
        runtime_classes=attempt(lambda: _names(connection, "/apis/node.k8s.io/v1/runtimeclasses")),
        storage_classes=attempt(
            lambda: tuple(
                map(storage_class, connection.items("/apis/storage.k8s.io/v1/storageclasses"))
            )
        ),
        ingress_classes=attempt(
            lambda: _names(connection, "/apis/networking.k8s.io/v1/ingressclasses")
        ),
        namespace_labels=attempt(lambda: namespace_labels(connection, namespace)),
        quotas=attempt(lambda: quotas(connection, namespace)),
        bounds=attempt(lambda: bounds(connection, namespace)),
        api_servers=attempt(lambda: api_servers(connection)),
        policies=attempt(
            lambda: tuple(
                connection.items(
                    f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
                )
            )
        ),
        named={
            each: attempt(lambda each=each: keys(connection, each))  # type: ignore[misc]
            for each in sorted(set(named))
        },
        served={
            version: attempt(lambda version=version: _served(connection, version))  # type: ignore[misc]
            for version in sorted(set(versions))
        },
    )


def attempt(read: Callable[[], Found]) -> Reading[Found]:
    try:
        return read()
    except (Refused, Unreachable) as failure:
        return Unread(str(failure))


def _names(connection: Connection, path: str) -> frozenset[str]:
    return frozenset(item["metadata"]["name"] for item in connection.items(path))


def _served(connection: Connection, version: str) -> Mapping[str, ServedKind]:
    path = f"/apis/{version}" if "/" in version else f"/api/{version}"
    try:
        resources = connection.get(path).get("resources") or []
    except Refused as refused:
        if refused.status == 404:
            return {}
        raise
    return {
        resource["kind"]: ServedKind(resource["name"], bool(resource["namespaced"]))
        for resource in resources
        if "/" not in resource["name"]
    }


def node(item: Mapping[str, Any]) -> Node:
    spec, status = item.get("spec") or {}, item.get("status") or {}
    conditions = {
        condition["type"]: condition["status"] for condition in status.get("conditions") or ()
    }
    named = [name for image in status.get("images") or () for name in image.get("names") or ()]
    return Node(
        name=item["metadata"]["name"],
        architecture=(status.get("nodeInfo") or {}).get("architecture", "unknown"),
        ready=conditions.get("Ready") == "True",
        schedulable=not spec.get("unschedulable", False),
        labels=item["metadata"].get("labels") or {},
        taints=tuple(
            Taint(taint["key"], taint.get("value") or "", taint["effect"])
            for taint in spec.get("taints") or ()
        ),
        allocatable={
            name: parse_quantity(amount)
            for name, amount in (status.get("allocatable") or {}).items()
        },
        images=frozenset(named),
    )


def storage_class(item: Mapping[str, Any]) -> StorageClass:
    annotations = item["metadata"].get("annotations") or {}
    return StorageClass(
        name=item["metadata"]["name"],
        provisioner=item.get("provisioner", ""),
        default=annotations.get(DEFAULT_CLASS) == "true",
    )


def running(items: Iterable[Mapping[str, Any]]) -> Iterator[RunningPod]:
    for item in items:
        spec, metadata = item.get("spec") or {}, item.get("metadata") or {}
        if spec.get("nodeName") and (item.get("status") or {}).get("phase") not in FINISHED:
            yield RunningPod(
                namespace=metadata.get("namespace") or "",
                node=spec["nodeName"],
                labels=metadata.get("labels") or {},
                requests=requests(spec),
                limits=limits(spec),
            )
