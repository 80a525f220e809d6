"""What NetworkPolicies let through, computed as Kubernetes defines it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from k8s.preflight.rendering import Object
from tests.charts.pods import Pod


@dataclass(frozen=True)
class Elsewhere:
    """Some address outside the cluster."""

    owner: str = "elsewhere"


Place = Pod | Elsewhere


def allowed(
    policies: Iterable[Object], source: Place, target: Place, port: int, protocol: str = "TCP"
) -> bool:
    """Whether a connection passes: the source's policies and the target's must both agree."""
    known = list(policies)
    return _side(known, "Egress", source, target, target, port, protocol) and _side(
        known, "Ingress", target, source, target, port, protocol
    )


def _side(
    policies: list[Object],
    direction: str,
    here: Place,
    there: Place,
    target: Place,
    port: int,
    protocol: str,
) -> bool:
    if isinstance(here, Elsewhere):
        return True
    own = [
        policy
        for policy in policies
        if direction in policy["spec"]["policyTypes"]
        and policy["metadata"]["namespace"] == here.namespace
        and _selects(policy["spec"]["podSelector"], here.labels)
    ]
    field, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    rules = [rule for policy in own for rule in policy["spec"].get(field) or ()]
    return not own or any(
        _peer_matches(rule.get(peers), there, here.namespace)
        and _port_matches(rule.get("ports"), target, port, protocol)
        for rule in rules
    )


def _peer_matches(peers: list[Mapping[str, Any]] | None, there: Place, namespace: str) -> bool:
    if not peers:
        return True
    return any(_one_peer(peer, there, namespace) for peer in peers)


def _one_peer(peer: Mapping[str, Any], there: Place, namespace: str) -> bool:
    if isinstance(there, Elsewhere):
        return "ipBlock" in peer
    if "ipBlock" in peer:
        return False
    name = {"kubernetes.io/metadata.name": there.namespace}
    near = (
        _selects(peer["namespaceSelector"], name)
        if "namespaceSelector" in peer
        else there.namespace == namespace
    )
    return near and _selects(peer.get("podSelector", {}), there.labels)


def _port_matches(
    ports: list[Mapping[str, Any]] | None, target: Place, port: int, protocol: str
) -> bool:
    if not ports:
        return True
    named = target.ports if isinstance(target, Pod) else {}
    return any(
        each.get("protocol", "TCP") == protocol
        and ("port" not in each or named.get(each["port"], each["port"]) == port)
        for each in ports
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    equal = (selector.get("matchLabels") or {}).items() <= labels.items()
    return equal and all(_matches(rule, labels) for rule in selector.get("matchExpressions") or ())


def _matches(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(rule["key"]), rule.get("values") or []
    match rule["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
    return value is None
