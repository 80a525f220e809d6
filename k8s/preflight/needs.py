"""What the rendered objects ask of a cluster. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from math import ceil
from typing import Any, TypeVar

from k8s.preflight.facts import Amounts, RunningPod
from k8s.preflight.failure import UsageFailure
from k8s.preflight.quantities import quantity
from k8s.preflight.rendering import Object

Found = TypeVar("Found")
TEMPLATED = ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet")
USUAL_RESOURCES = ("cpu", "memory", "ephemeral-storage", "pods")
GROUP_LABEL = "leaderworkerset.sigs.k8s.io/name"
SURGE, UNAVAILABLE = "25%", "25%"
"""What a Deployment's update may do where it does not say."""


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
    asleep: bool = False
    """None runs at the start: it is scaled to zero until requests come. It counts as one here."""
    surge: int = 0
    """How many more than `replicas` an update starts before it stops one."""
    namespace: str = ""
    """Empty: where the release goes."""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    selector: Mapping[str, str] = field(default_factory=dict)
    """The labels by which its owner knows its pods again; empty where it knows none."""
    limits: Amounts = field(default_factory=dict)
    scaled: bool = False
    """How many there are is not written: somebody scales it."""
    is_test: bool = False
    """A pod of `helm test`, which no install waits for."""

    def owns(self, pod: RunningPod, into: str) -> bool:
        """Whether this pod is one of a release that is there already. `into`: its namespace."""
        return (
            bool(self.selector)
            and pod.namespace == (self.namespace or into)
            and self.selector.items() <= pod.labels.items()
        )

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(container["image"] for container in containers(self.spec))

    @property
    def devices(self) -> Amounts:
        """What it requests of GPUs and the like, by resource name."""
        return {
            name: amount
            for name, amount in self.requests.items()
            if name not in USUAL_RESOURCES and not name.startswith("hugepages-") and amount > 0
        }


@dataclass(frozen=True, kw_only=True)
class ClaimNeed:
    name: str
    storage_class: str | None
    """None: the cluster's default."""
    shared: bool
    """Several nodes write or read it at once."""
    storage: Decimal = Decimal(0)
    """Bytes."""


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
    written = spec.get("replicas")
    at_start = (
        max(least[name], written or 0) if name in least else 1 if written is None else written
    )
    replicas = max(1, at_start)
    many: dict[str, Any] = {"replicas": replicas, "asleep": at_start == 0}
    if kind == "Pod":
        hook = _hook(owner)
        yield _pod(name, owner, owner, short_lived=bool(hook), is_test=hook.startswith("test"))
    elif kind in TEMPLATED:
        surge = _surge(spec, replicas) if kind == "Deployment" else 0
        selector = (spec.get("selector") or {}).get("matchLabels") or {}
        many["scaled"] = spec.get("replicas") is None
        ends = kind == "Job"
        if ends:
            many = {}
        template = spec["template"]
        yield _pod(name, owner, template, short_lived=ends, surge=surge, selector=selector, **many)
    elif kind == "CronJob":
        yield _pod(name, owner, spec["jobTemplate"]["spec"]["template"], short_lived=True)
    elif kind == "LeaderWorkerSet":
        group, selector = spec["leaderWorkerTemplate"], {GROUP_LABEL: owner["metadata"]["name"]}
        worker, size = group["workerTemplate"], group.get("size", 1)
        leader = group.get("leaderTemplate") or worker
        yield _pod(f"{name} (leader)", owner, leader, selector=selector, **many)
        if size > 1:
            many["replicas"] = replicas * (size - 1)
            yield _pod(f"{name} (workers)", owner, worker, selector=selector, **many)


def _pod(
    name: str,
    owner: Object,
    template: Mapping[str, Any],
    *,
    replicas: int = 1,
    short_lived: bool = False,
    **more: Any,
) -> PodNeed:
    spec, metadata = template["spec"], template.get("metadata") or {}
    try:
        requested, limited = requests(spec), limits(spec)
    except ValueError as error:
        raise UsageFailure(f"{name}: {error}; write it as 500m or 2Gi") from error
    return PodNeed(
        owner=name,
        replicas=replicas,
        requests=requested,
        limits=limited,
        spec=spec,
        short_lived=short_lived,
        namespace=owner["metadata"].get("namespace") or "",
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        **more,
    )


def _at_start(written: int | None, least: int | None) -> int:
    """`least`: what an autoscaler keeps running; None where there is none."""
    if least is not None:
        return max(least, written or 0)
    return 1 if written is None else written


def _surge(spec: Mapping[str, Any], replicas: int) -> int:
    """How many pods more an update needs at once before it stops one."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0
    rule = strategy.get("rollingUpdate") or {}
    # As the API has it: a share of what may be missing is rounded down, of what may be more, up.
    if int(_share(rule.get("maxUnavailable", UNAVAILABLE), replicas)) > 0:
        return 0
    return min(1, ceil(_share(rule.get("maxSurge", SURGE), replicas)))


def _share(written: int | str, replicas: int) -> Decimal:
    text = str(written)
    if text.endswith("%"):
        return Decimal(text[:-1]) * replicas / 100
    return Decimal(text)


def _hook(owner: Object) -> str:
    return str((owner["metadata"].get("annotations") or {}).get("helm.sh/hook", ""))


def _autoscaled(entry: Object) -> Iterator[tuple[str, int]]:
    """The least number of replicas of what an autoscaler scales."""
    if entry["kind"] == "HorizontalPodAutoscaler":
        target = entry["spec"]["scaleTargetRef"]
        yield f"{target['kind']}/{target['name']}", entry["spec"].get("minReplicas", 1)
    if entry["kind"] == "ScaledObject" and "spec" in entry:
        target = entry["spec"]["scaleTargetRef"]
        kind = target.get("kind", "Deployment")
        yield f"{kind}/{target['name']}", entry["spec"].get("minReplicaCount", 0)


def _claims(entry: Object) -> Iterator[ClaimNeed]:
    if entry["kind"] == "PersistentVolumeClaim":
        yield _claim(entry["metadata"]["name"], entry["spec"])
    if entry["kind"] == "StatefulSet":
        for template in entry["spec"].get("volumeClaimTemplates") or ():
            yield _claim(template["metadata"]["name"], template["spec"])


def _claim(name: str, spec: Mapping[str, Any]) -> ClaimNeed:
    modes = spec.get("accessModes") or ()
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage", 0)
    try:
        storage = quantity(asked)
    except ValueError as error:
        raise UsageFailure(f"volume {name}: storage: {error}; write it as 20Gi") from error
    return ClaimNeed(
        name=name,
        storage_class=spec.get("storageClassName"),
        shared="ReadWriteMany" in modes,
        storage=storage,
    )


def containers(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Init containers, too."""
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def requests(spec: Mapping[str, Any]) -> Amounts:
    """What the scheduler counts for a pod: its containers and sidecars together with its overhead,
    or what its greediest init container needs beside the sidecars before it.

    Raises ValueError that names the field of an amount that is no quantity.
    """
    # A limit without a request is the request too.
    return _added_up(spec, ("limits", "requests"))


def limits(spec: Mapping[str, Any]) -> Amounts:
    """What a pod may use at most, counted alike. Raises ValueError."""
    return _added_up(spec, ("limits",))


def _added_up(spec: Mapping[str, Any], fields: tuple[str, ...]) -> Amounts:
    total: dict[str, Decimal] = {}
    sidecars: dict[str, Decimal] = {}
    greediest: dict[str, Decimal] = {}
    for container in spec.get("containers") or ():
        _add(total, written(container, fields))
    for container in spec.get("initContainers") or ():
        amounts = written(container, fields)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, amounts)
            continue
        for name, amount in amounts.items():
            beside = amount + sidecars.get(name, Decimal(0))
            greediest[name] = max(greediest.get(name, Decimal(0)), beside)
    _add(total, sidecars)
    for name, amount in greediest.items():
        total[name] = max(total.get(name, Decimal(0)), amount)
    if "resources" in spec:
        # What a pod asks for as a whole stands over what its containers ask for.
        total |= written({"name": "", "resources": spec["resources"]}, fields)
    if "requests" in fields:
        _add(total, written({"resources": {"requests": spec.get("overhead")}}, fields))
    return total


def _add(total: dict[str, Decimal], amounts: Amounts) -> None:
    for name, amount in amounts.items():
        total[name] = total.get(name, Decimal(0)) + amount


def written(container: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Decimal]:
    """Amounts under these fields of a container's resources, later fields over earlier ones.
    Raises ValueError that names the field."""
    resources = container.get("resources") or {}
    asked: dict[str, Decimal] = {}
    for field_name in fields:
        for name, amount in (resources.get(field_name) or {}).items():
            try:
                asked[name] = quantity(amount)
            except ValueError as error:
                where = f"container {container.get('name')}: resources.{field_name}.{name}"
                raise ValueError(f"{where}: {error}") from error
    return asked
