"""What a namespace allows: its ResourceQuotas over all pods together, its LimitRanges for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from k8s.preflight.facts import Amounts, Bounds, Quota, Reading, RunningPod, Unread
from k8s.preflight.judgements.room import is_own
from k8s.preflight.needs import Needs, PodNeed, containers, written
from k8s.preflight.quantities import readable
from k8s.preflight.report import Finding, Result

OBJECTS = {
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "Service": "services",
    "PersistentVolumeClaim": "persistentvolumeclaims",
}
PLAIN = ("cpu", "memory", "ephemeral-storage")
"""Resources whose requests a quota may name without `requests.` before them."""
ZERO = Decimal(0)


def quotas(
    needs: Needs,
    reading: Reading[tuple[Quota, ...]],
    pods: Reading[tuple[RunningPod, ...]],
    into: str,
) -> list[Finding]:
    """A row for each quota. What the release's own pods hold is given back to it."""
    check = "resource quotas"
    if isinstance(reading, Unread):
        return [Finding(check=check, result=Result.NOT_CHECKED, found=reading.reason)]
    if not reading:
        return [Finding(check=check, result=Result.OK, found="none")]
    running = () if isinstance(pods, Unread) else pods
    own = [pod for pod in running if is_own(pod, needs, into)]
    lasting = [pod for pod in needs.pods if not pod.short_lived]
    counted = {} if own else _counted(needs)
    held = _total((pod.requests, pod.limits, 1) for pod in own)
    at_start = _of_pods(pod for pod in lasting if not pod.asleep) | counted
    return [_quota(quota, at_start, _of_pods(lasting) | counted, held) for quota in reading]


def _quota(quota: Quota, at_start: Amounts, awake: Amounts, held: Amounts) -> Finding:
    """`awake`: with what is scaled to zero at the start."""
    check = f"resource quota {quota.name}"
    if quota.scoped:
        found = "it counts some pods only: the dry runs ask it"
        return Finding(check=check, result=Result.OK, found=found)
    todo = "ask for a larger quota, or lower replicas, requests, limits in the values"
    if short := list(_short(quota, at_start, held)):
        return Finding(check=check, result=Result.MISSING, found="; ".join(short), todo=todo)
    if short := list(_short(quota, awake, held)):
        found = f"with what is scaled to zero awake, {'; '.join(short)}"
        return Finding(check=check, result=Result.WARNING, found=found, todo=todo)
    listed = ", ".join(sorted(quota.hard))
    return Finding(check=check, result=Result.OK, found=f"enough is left of {listed}")


def _short(quota: Quota, total: Amounts, held: Amounts) -> Iterator[str]:
    for name, hard in sorted(quota.hard.items()):
        free = hard - quota.used.get(name, ZERO) + held.get(name, ZERO)
        if (asked := total.get(name, ZERO)) > free:
            rest = f"{readable(name, free)} of {readable(name, hard)} left"
            yield f"{name}: {readable(name, asked)} asked for, {rest}"


def _of_pods(pods: Iterable[PodNeed]) -> dict[str, Decimal]:
    return _total((pod.requests, pod.limits, pod.replicas) for pod in pods)


def _total(pods: Iterable[tuple[Amounts, Amounts, int]]) -> dict[str, Decimal]:
    """By the names that quotas use."""
    total: dict[str, Decimal] = {}

    def add(name: str, amount: Decimal) -> None:
        total[name] = total.get(name, ZERO) + amount

    for requests, limits, count in pods:
        for name in ("pods", "count/pods"):
            add(name, Decimal(count))
        for name, amount in requests.items():
            add(f"requests.{name}", amount * count)
            if name in PLAIN:
                add(name, amount * count)
        for name, amount in limits.items():
            add(f"limits.{name}", amount * count)
    return total


def _counted(needs: Needs) -> dict[str, Decimal]:
    """The objects of a first install, with the Secret in which Helm keeps the release."""
    total = {"secrets": Decimal(1)}
    for entry in needs.objects:
        if plural := OBJECTS.get(entry["kind"]):
            total[plural] = total.get(plural, ZERO) + 1
    total |= {f"count/{name}": amount for name, amount in total.items()}
    total["requests.storage"] = sum((claim.storage for claim in needs.claims), ZERO)
    return total


def limit_ranges(needs: Needs, reading: Reading[tuple[Bounds, ...]]) -> list[Finding]:
    """A row for each item of a LimitRange."""
    if isinstance(reading, Unread):
        return [Finding(check="limit ranges", result=Result.NOT_CHECKED, found=reading.reason)]
    if not reading:
        return [Finding(check="limit ranges", result=Result.OK, found="none")]
    return [_bounds(bounds, needs) for bounds in reading]


def _bounds(bounds: Bounds, needs: Needs) -> Finding:
    check = f"limit range {bounds.name} for each {bounds.of}"
    wrong = list(_outside(bounds, needs))
    if not wrong:
        return Finding(check=check, result=Result.OK, found="everything is within it")
    todo = "change these requests and limits in the values, or have the range changed"
    more = f", and {len(wrong) - 2} more" if len(wrong) > 2 else ""
    found = "; ".join(wrong[:2]) + more
    return Finding(check=check, result=Result.MISSING, found=found, todo=todo)


def _outside(bounds: Bounds, needs: Needs) -> Iterator[str]:
    if bounds.of == "PersistentVolumeClaim":
        for claim in needs.claims:
            amounts = {"storage": claim.storage}
            yield from _against(bounds, f"volume {claim.name}", amounts, amounts)
    for pod in needs.pods:
        if bounds.of == "Pod":
            yield from _against(bounds, pod.owner, pod.requests, pod.limits)
        if bounds.of == "Container":
            yield from _containers_outside(bounds, pod)


def _containers_outside(bounds: Bounds, pod: PodNeed) -> Iterator[str]:
    for container in containers(pod.spec):
        limits = {**bounds.default_limit, **written(container, ("limits",))}
        requests = _requested(container, bounds, limits)
        yield from _against(bounds, f"{pod.owner} ({container['name']})", requests, limits)


def _requested(
    container: Mapping[str, Any], bounds: Bounds, limits: Amounts
) -> Mapping[str, Decimal]:
    """A limit of one's own is a request sooner than the range's default is."""
    own = written(container, ("limits", "requests"))
    return {**limits, **bounds.default_request, **own}


def _against(bounds: Bounds, what: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, least in sorted(bounds.least.items()):
        if requests.get(name, ZERO) < least:
            yield f"{what}: {name} is below {readable(name, least)}"
    for name, most in sorted(bounds.most.items()):
        if name not in limits:
            yield f"{what}: {name} has no limit, and at most {readable(name, most)} is allowed"
        elif max(limits[name], requests.get(name, ZERO)) > most:
            yield f"{what}: {name} is above {readable(name, most)}"
