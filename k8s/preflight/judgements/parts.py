"""Parts that a cluster need not have, judged by the values: they matter where objects use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from k8s.preflight.facts import Reading, ServedKind, Unread
from k8s.preflight.needs import Needs
from k8s.preflight.rendering import Object
from k8s.preflight.report import Finding, Result

METRICS_API = "metrics.k8s.io/v1beta1"


@dataclass(frozen=True)
class Part:
    name: str
    group: str
    todo: str


PARTS = (
    Part("KEDA", "keda.sh", "install KEDA, or switch keda off in the values"),
    Part(
        "Prometheus operator",
        "monitoring.coreos.com",
        "install the Prometheus operator, or switch the monitors off in the values",
    ),
    Part(
        "Gateway API",
        "gateway.networking.k8s.io",
        "install the Gateway API and an implementation of it, or switch httpRoute off",
    ),
    Part(
        "LeaderWorkerSet",
        "leaderworkerset.x-k8s.io",
        "install LeaderWorkerSet, or run the engine on one node",
    ),
)

Served = Mapping[str, Reading[Mapping[str, ServedKind]]]


def parts(needs: Needs, served: Served) -> list[Finding]:
    found = [_part(part, needs, served) for part in PARTS]
    found += _others(needs, served)
    if any(entry["kind"] == "HorizontalPodAutoscaler" for entry in needs.objects):
        found.append(_metrics(served.get(METRICS_API, {})))
    return found


def _part(part: Part, needs: Needs, served: Served) -> Finding:
    used = [entry for entry in needs.objects if _group(entry) == part.group]
    if not used:
        return Finding(check=part.name, result=Result.OK, found="the values do not use it")
    unread = [
        reading.reason
        for entry in used
        if isinstance(reading := served.get(entry["apiVersion"], {}), Unread)
    ]
    if unread:
        return Finding(check=part.name, result=Result.NOT_CHECKED, found=unread[0])
    absent = sorted({_named(entry) for entry in used if not _is_served(entry, served)})
    if absent:
        return Finding(
            check=part.name, result=Result.MISSING, found=f"no {', '.join(absent)}", todo=part.todo
        )
    return Finding(
        check=part.name,
        result=Result.OK,
        found=", ".join(sorted({_named(entry) for entry in used})),
    )


def _others(needs: Needs, served: Served) -> list[Finding]:
    """Kinds of no part above: only a row where something is wrong with them."""
    check, ours = "other kinds", {part.group for part in PARTS}
    used = [entry for entry in needs.objects if _group(entry) not in ours]
    unread = {
        reading.reason
        for entry in used
        if isinstance(reading := served.get(entry["apiVersion"], {}), Unread)
    }
    if unread:
        return [Finding(check=check, result=Result.NOT_CHECKED, found=sorted(unread)[0])]
    absent = sorted({_named(entry) for entry in used if not _is_served(entry, served)})
    if absent:
        todo = "install what defines them, or leave them out of the values"
        return [
            Finding(check=check, result=Result.MISSING, found=f"no {', '.join(absent)}", todo=todo)
        ]
    return []


def _metrics(reading: Reading[Mapping[str, ServedKind]]) -> Finding:
    check = "resource metrics"
    if isinstance(reading, Unread):
        return Finding(check=check, result=Result.NOT_CHECKED, found=reading.reason)
    if not reading:
        todo = "install metrics-server: until then autoscaling stays at its least replicas"
        return Finding(check=check, result=Result.WARNING, found=f"no {METRICS_API}", todo=todo)
    return Finding(check=check, result=Result.OK, found=METRICS_API)


def ingress_classes(needs: Needs, reading: Reading[frozenset[str]]) -> list[Finding]:
    ingresses = [entry for entry in needs.objects if entry["kind"] == "Ingress"]
    check = "ingress class"
    if not ingresses:
        return []
    if isinstance(reading, Unread):
        return [Finding(check=check, result=Result.NOT_CHECKED, found=reading.reason)]
    listed = ", ".join(sorted(reading)) or "none"
    named = {name for entry in ingresses if (name := entry["spec"].get("ingressClassName"))}
    absent = sorted(named - reading)
    if absent or not reading:
        todo = "install an ingress controller, or name a class that exists in the values"
        return [Finding(check=check, result=Result.MISSING, found=listed, todo=todo)]
    return [Finding(check=check, result=Result.OK, found=listed)]


def _group(entry: Object) -> str:
    return str(entry["apiVersion"]).rpartition("/")[0]


def _named(entry: Object) -> str:
    return f"{entry['kind']} ({entry['apiVersion']})"


def _is_served(entry: Object, served: Served) -> bool:
    reading = served.get(entry["apiVersion"], {})
    return not isinstance(reading, Unread) and entry["kind"] in reading
