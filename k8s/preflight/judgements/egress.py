"""Whether network policies let the pods that need it reach the API server where it really is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from k8s.preflight.facts import Address, Reading, Unread
from k8s.preflight.needs import Needs, PodNeed
from k8s.preflight.rendering import Object
from k8s.preflight.report import Finding, Result

CHECK = "way to the API server"


def way_to_api_server(
    needs: Needs,
    reading: Reading[tuple[Address, ...]],
    existing: Reading[tuple[Mapping[str, Any], ...]],
    into: str,
) -> list[Finding]:
    """A row where a policy, of the release or of the namespace, says where these pods may connect
    to. What several allow adds up."""
    brought = {entry["metadata"]["name"] for entry in needs.objects if _is_policy(entry)}
    others = () if isinstance(existing, Unread) else existing
    policies: list[Mapping[str, Any]] = [entry for entry in needs.objects if _is_policy(entry)]
    policies += [entry for entry in others if entry["metadata"]["name"] not in brought]
    ruled = [
        (pod, own)
        for pod in needs.pods
        if _uses_api(pod, needs) and (own := list(_of_pod(policies, pod, into)))
    ]
    if not ruled:
        return []
    if isinstance(reading, Unread):
        todo = "compare its ports (kubectl get endpointslices -n default) with networkPolicy"
        return [Finding(check=CHECK, result=Result.NOT_CHECKED, found=reading.reason, todo=todo)]
    for pod, own in ruled:
        shut = [each for each in reading if not any(_lets(policy, each) for policy in own)]
        if shut:
            listed = ", ".join(map(str, shut))
            ports = ", ".join(str(port) for port in sorted({each.port for each in shut}))
            found = f"{listed}, where the policy of {pod.owner} lets nothing go"
            todo = f"let it reach port {ports}: gateway.networkPolicy.apiServer in the values"
            return [Finding(check=CHECK, result=Result.MISSING, found=found, todo=todo)]
    listed = ", ".join(map(str, reading)) or "its endpoints are not listed"
    result = Result.OK if reading else Result.NOT_CHECKED
    return [Finding(check=CHECK, result=result, found=listed)]


def looked_up(reading: Reading[tuple[Address, ...]]) -> list[Finding]:
    """Where the install asks the cluster for the addresses, as its caller, who has asked here."""
    if isinstance(reading, Unread):
        todo = "ask for the right to list EndpointSlices in the namespace default, or name the "
        todo += "ports: gateway.networkPolicy.apiServer in the values"
        return [Finding(check=CHECK, result=Result.MISSING, found=reading.reason, todo=todo)]
    listed = ", ".join(map(str, reading))
    return [Finding(check=CHECK, result=Result.OK, found=f"{listed}, looked up at the install")]


def _uses_api(pod: PodNeed, needs: Needs) -> bool:
    """Its service account has a role, and its token is mounted."""
    account = pod.spec.get("serviceAccountName", "default")
    if pod.spec.get("automountServiceAccountToken") is False:
        return False
    return any(
        subject.get("kind") == "ServiceAccount" and subject.get("name") == account
        for entry in needs.objects
        if entry["kind"] in ("RoleBinding", "ClusterRoleBinding")
        for subject in entry.get("subjects") or ()
    )


def _is_policy(entry: Object) -> bool:
    return str(entry["kind"]) == "NetworkPolicy" and "networking.k8s.io/" in entry["apiVersion"]


def _of_pod(
    policies: Iterable[Mapping[str, Any]], pod: PodNeed, into: str
) -> Iterator[Mapping[str, Any]]:
    """Those that rule what the pod may connect to."""
    for entry in policies:
        spec = entry.get("spec") or {}
        kinds = spec.get("policyTypes") or (["Egress"] if "egress" in spec else [])
        here = (entry["metadata"].get("namespace") or into) == (pod.namespace or into)
        if here and "Egress" in kinds and _selects(spec.get("podSelector") or {}, pod.labels):
            yield entry


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(
        _holds(rule, labels.get(rule["key"])) for rule in selector.get("matchExpressions") or ()
    )


def _holds(rule: Mapping[str, Any], value: str | None) -> bool:
    match rule["operator"]:
        case "In":
            return value in rule["values"]
        case "NotIn":
            return value not in rule["values"]
        case "Exists":
            return value is not None
    return value is None


def _lets(policy: Mapping[str, Any], address: Address) -> bool:
    return any(
        _port(rule.get("ports") or (), address.port) and _peer(rule.get("to") or (), address.host)
        for rule in policy["spec"].get("egress") or ()
    )


def _port(ports: Iterable[Mapping[str, Any]], port: int) -> bool:
    """None means any. A name means a port of a pod's, which the API server is not."""
    listed = list(ports)
    return not listed or any(
        each.get("protocol", "TCP") == "TCP"
        and (
            each.get("port") is None
            or (
                isinstance(each["port"], int)
                and each["port"] <= port <= each.get("endPort", each["port"])
            )
        )
        for each in listed
    )


def _peer(peers: Iterable[Mapping[str, Any]], host: str) -> bool:
    """None means anybody. The API server is no pod: only a block of addresses can mean it."""
    listed = list(peers)
    return not listed or any(
        _in_block(each["ipBlock"], host) for each in listed if "ipBlock" in each
    )


def _in_block(block: Mapping[str, Any], host: str) -> bool:
    address = ip_address(host)
    return address in ip_network(block["cidr"], strict=False) and not any(
        address in ip_network(hole, strict=False) for hole in block.get("except") or ()
    )
