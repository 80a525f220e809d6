"""Asks the API server whether it would take the release's objects: a dry run of creating each.

An object that is there already is refused as such only after it was found valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from k8s.preflight.cluster.connection import Connection, Refused, Unreachable
from k8s.preflight.cluster.dry_run import AT_ONCE, verdict
from k8s.preflight.facts import Admission, Cluster, Reading, ServedKind, Unread
from k8s.preflight.needs import Needs
from k8s.preflight.rendering import Object

THERE = 409
NOT_FOUND = 404


def dry_run_objects(
    connection: Connection, needs: Needs, cluster: Cluster, into: str
) -> Mapping[str, Reading[Admission]]:
    """By kind and name, as in `Service/tierflow-gateway`. Kinds that the cluster does not serve are
    left out, since another check names them, and pods, which have a dry run of their own."""
    wanted = list(_wanted(needs, cluster))

    def asked(each: tuple[Object, ServedKind]) -> Reading[Admission]:
        entry, kind = each
        try:
            connection.post(_path(entry, kind, into), entry, dryRun="All", fieldValidation="Strict")
        except Unreachable as why:
            return Unread(str(why))
        except Refused as refused:
            return _verdict(refused)
        return Admission("")

    with ThreadPoolExecutor(AT_ONCE) as threads:
        words = threads.map(asked, wanted)
        names = (f"{entry['kind']}/{entry['metadata']['name']}" for entry, _ in wanted)
        return dict(zip(names, words, strict=True))


def _wanted(needs: Needs, cluster: Cluster) -> Iterator[tuple[Object, ServedKind]]:
    for entry in needs.objects:
        served = cluster.served.get(entry["apiVersion"], {})
        kind = None if isinstance(served, Unread) else served.get(entry["kind"])
        if kind is not None and entry["kind"] != "Pod" and entry["metadata"].get("name"):
            yield entry, kind


def _path(entry: Object, kind: ServedKind, into: str) -> str:
    version = entry["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = entry["metadata"].get("namespace") or into
    return (
        f"{root}/namespaces/{namespace}/{kind.plural}"
        if kind.namespaced
        else (f"{root}/{kind.plural}")
    )


def _verdict(refused: Refused) -> Reading[Admission]:
    message = str(refused)
    if refused.status == THERE and message.endswith("already exists"):
        return Admission("")
    if refused.status == NOT_FOUND and message.startswith("namespaces "):
        return Admission(message)
    return verdict(refused.status, message)
