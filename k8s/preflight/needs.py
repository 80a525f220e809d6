"""What the rendered objects ask of a cluster. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from k8s.preflight.facts import Amounts
from k8s.preflight.failure import UsageFailure
from k8s.preflight.quantities import quantity
from k8s.preflight.rendering import Object

Found = TypeVar("Found")
TEMPLATED = ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet")
USUAL_RESOURCES = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, kw_only=True)
class PodNeed:
    """The equal pods that one object makes."""

    owner: str
    """As in `Deployment/tierflow-gateway`."""
    replicas: int
    requests: Amounts
    """Of one pod."""
    spec: Mapping[str, Any]
    """The pod's own specification."""
    short_lived: bool
    """Ends by itself: a job or a test. It takes no room for long."""

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(container["image"] for container in _containers(self.spec))

    @property
    def devices(self) -> Amounts:
        """What it requests of GPUs and the like, by resource name."""
        return {
            name: amount
            for name, amount in self.requests.items()
            if name not in USUAL_RESOURCES and not name.startswith("hugepages-") and amount > 0
        }


@dataclass(frozen=True)
class ClaimNeed:
    name: str
    storage_class: str | None
    """None: the cluster's default."""
    shared: bool
    """Several nodes write or read it at once."""


@dataclass(frozen=True)
class Needs:
    pods: tuple[PodNeed, ...]
    claims: tuple[ClaimNeed, ...]
    objects: tuple[Object, ...]


def needs(rendered: Iterable[Object]) -> Needs:
    """Raises UsageFailure for an object that lacks a part or requests what can't be counted."""
    objects = tuple(rendered)
    least = {name: pods for entry in objects for name, pods in _read(_autoscaled, entry)}
    pods = [pod for entry in objects for pod in _read(partial(_pods, least=least), entry)]
    claims = [claim for entry in objects for claim in _read(_claims, entry)]
    return Needs(tuple(pods), tuple(claims), objects)


def _read(part: Callable[[Object], Iterator[Found]], entry: Object) -> list[Found]:
    """No API server would take an object without them, but a file may hold it."""
    try:
        return list(part(entry))
    except (AttributeError, KeyError, TypeError) as error:
        name = (entry.get("metadata") or {}).get("name") or "without a name"
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UsageFailure(f"{entry['kind']}/{name}: can't be read: {what}") from error


def _pods(owner: Object, least: Mapping[str, int]) -> Iterator[PodNeed]:
    kind, spec = owner["kind"], owner.get("spec") or {}
    name = f"{kind}/{owner['metadata']['name']}"
    replicas = max(1, spec.get("replicas") or least.get(name, 1))
    if kind == "Pod":
        yield _pod(name, 1, spec, short_lived=_is_hook(owner))
    elif kind in TEMPLATED:
        yield _pod(name, replicas, spec["template"]["spec"], short_lived=kind == "Job")
    elif kind == "CronJob":
        yield _pod(name, 1, spec["jobTemplate"]["spec"]["template"]["spec"], short_lived=True)
    elif kind == "LeaderWorkerSet":
        group = spec["leaderWorkerTemplate"]
        worker, size = group["workerTemplate"]["spec"], group.get("size", 1)
        leader = (group.get("leaderTemplate") or {}).get("spec", worker)
        yield _pod(f"{name} (leader)", replicas, leader, short_lived=False)
        if size > 1:
            yield _pod(f"{name} (workers)", replicas * (size - 1), worker, short_lived=False)


def _pod(owner: str, replicas: int, spec: Mapping[str, Any], *, short_lived: bool) -> PodNeed:
    try:
        asked = requests(spec)
    except ValueError as error:
        raise UsageFailure(f"{owner}: {error}; write it as 500m or 2Gi") from error
    return PodNeed(
        owner=owner, replicas=replicas, requests=asked, spec=spec, short_lived=short_lived
    )


def _is_hook(owner: Object) -> bool:
    return "helm.sh/hook" in (owner["metadata"].get("annotations") or {})


def _autoscaled(entry: Object) -> Iterator[tuple[str, int]]:
    """The least number of replicas of what a HorizontalPodAutoscaler scales."""
    if entry["kind"] == "HorizontalPodAutoscaler":
        target = entry["spec"]["scaleTargetRef"]
        yield f"{target['kind']}/{target['name']}", entry["spec"].get("minReplicas", 1)


def _claims(entry: Object) -> Iterator[ClaimNeed]:
    if entry["kind"] == "PersistentVolumeClaim":
        yield _claim(entry["metadata"]["name"], entry["spec"])
    if entry["kind"] == "StatefulSet":
        for template in entry["spec"].get("volumeClaimTemplates") or ():
            yield _claim(template["metadata"]["name"], template["spec"])


def _claim(name: str, spec: Mapping[str, Any]) -> ClaimNeed:
    modes = spec.get("accessModes") or ()
    return ClaimNeed(name, spec.get("storageClassName"), "ReadWriteMany" in modes)


def _containers(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def requests(spec: Mapping[str, Any]) -> Amounts:
    """What the scheduler counts for a pod: its containers together, or its greediest init one.

    Raises ValueError that names the field of an amount that is no quantity.
    """
    total: dict[str, Decimal] = {}
    for container in spec.get("containers") or ():
        for name, amount in _asked(container).items():
            total[name] = total.get(name, Decimal(0)) + amount
    for container in spec.get("initContainers") or ():
        for name, amount in _asked(container).items():
            total[name] = max(total.get(name, Decimal(0)), amount)
    return total


def _asked(container: Mapping[str, Any]) -> dict[str, Decimal]:
    resources = container.get("resources") or {}
    asked: dict[str, Decimal] = {}
    # A limit without a request is the request too.
    for field in ("limits", "requests"):
        for name, amount in (resources.get(field) or {}).items():
            try:
                asked[name] = quantity(amount)
            except ValueError as error:
                where = f"container {container.get('name')}: resources.{field}.{name}"
                raise ValueError(f"{where}: {error}") from error
    return asked
