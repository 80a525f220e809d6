"""Which rights the install takes, and asking the API server for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from k8s.preflight.cluster.connection import Connection
from k8s.preflight.cluster.reading import attempt
from k8s.preflight.facts import Cluster, Reading, Right, ServedKind, Unread
from k8s.preflight.rendering import Object

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
INSTALL_VERBS = ("create", "get", "patch", "delete")
RELEASE_VERBS = ("create", "get", "list", "update", "delete")
AT_ONCE = 8


def install_rights(objects: Iterable[Object], cluster: Cluster, namespace: str) -> frozenset[Right]:
    """What installing, upgrading and uninstalling takes. Kinds that the cluster does not serve
    are left out: another check names them."""
    # Helm keeps each release in a Secret.
    rights = {
        Right(verb=verb, group="", resource="secrets", namespace=namespace)
        for verb in RELEASE_VERBS
    }
    if cluster.namespace_exists is False:
        rights.add(Right(verb="create", group="", resource="namespaces", namespace=""))
    for entry in objects:
        served = cluster.served.get(entry["apiVersion"], {})
        kind = None if isinstance(served, Unread) else served.get(entry["kind"])
        if kind is not None:
            rights.update(_of_kind(entry["apiVersion"], kind, entry, namespace))
    return frozenset(rights)


def _of_kind(version: str, kind: ServedKind, entry: Object, namespace: str) -> Iterator[Right]:
    group = version.rpartition("/")[0]
    where = entry["metadata"].get("namespace", namespace) if kind.namespaced else ""
    for verb in INSTALL_VERBS:
        yield Right(verb=verb, group=group, resource=kind.plural, namespace=where)


def granted_rights(objects: Iterable[Object], namespace: str) -> frozenset[Right]:
    """What the chart's roles grant. Only who holds these rights may grant them."""
    rights = set()
    for entry in objects:
        if entry["kind"] not in ("Role", "ClusterRole"):
            continue
        where = entry["metadata"].get("namespace", namespace) if entry["kind"] == "Role" else ""
        for rule in entry.get("rules") or ():
            rights |= {
                Right(verb=verb, group=group, resource=resource, namespace=where)
                for group in rule.get("apiGroups") or ()
                for resource in rule.get("resources") or ()
                for verb in rule.get("verbs") or ()
            }
    return frozenset(rights)


def ask(connection: Connection, rights: Iterable[Right]) -> Mapping[Right, Reading[bool]]:
    """Asks about each right, several at once. A review is answered and never stored."""
    ordered = sorted(set(rights))

    def allowed(right: Right) -> Reading[bool]:
        return attempt(lambda: _allowed(connection, right))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(ordered, threads.map(allowed, ordered), strict=True))


def _allowed(connection: Connection, right: Right) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {"verb": right.verb, "group": right.group, "resource": resource}
    if subresource:
        attributes["subresource"] = subresource
    if right.namespace:
        attributes["namespace"] = right.namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    status = connection.post(REVIEW, review).get("status") or {}
    return bool(status.get("allowed"))
