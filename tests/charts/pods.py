"""Every pod that a rendering makes, whatever kind of object makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k8s.preflight.rendering import Object
from tests.charts.helm import Rendering

Container = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    owner: str
    """As in `Deployment/tierflow-gateway`."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Mapping[str, Any]
    namespace: str

    @property
    def component(self) -> str:
        return self.labels.get("app.kubernetes.io/component", "")

    @property
    def containers(self) -> list[Container]:
        """Init containers, too."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """By name."""
        return {
            port["name"]: port["containerPort"]
            for container in self.spec["containers"]
            for port in container.get("ports", ())
        }


def pods(rendering: Rendering) -> list[Pod]:
    return [pod for each in rendering.objects for pod in _of(each)]


def _of(each: Object) -> Iterator[Pod]:
    kind, spec = each["kind"], each.get("spec") or {}
    if kind == "Pod":
        yield _pod(each, "", each)
    elif kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        yield _pod(each, "", spec["template"])
    elif kind == "CronJob":
        yield _pod(each, "", spec["jobTemplate"]["spec"]["template"])
    elif kind == "LeaderWorkerSet":
        group = spec["leaderWorkerTemplate"]
        yield _pod(each, " leader", group["leaderTemplate"])
        yield _pod(each, " worker", group["workerTemplate"])


def _pod(owner: Object, suffix: str, template: Object) -> Pod:
    metadata = template["metadata"]
    return Pod(
        owner=f"{owner['kind']}/{owner['metadata']['name']}{suffix}",
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        spec=template["spec"],
        namespace=owner["metadata"]["namespace"],
    )
