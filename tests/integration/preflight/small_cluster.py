"""A cluster that really places what is installed: admission, scheduler and kubelet in little.

It shares no judgement with the preflight: what one says is held against what the other does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from k8s.preflight.quantities import quantity
from tests.integration.preflight.admission import Namespace
from tests.integration.preflight.cluster import listed, node
from tests.stand_in import Request, Table

Object = dict[str, Any]


@dataclass
class SmallCluster:
    """`nodes` as the API lists them; `running`: pods of others, with a node each."""

    nodes: list[Object] = field(default_factory=lambda: [node("one"), node("two")])
    running: list[Object] = field(default_factory=list)
    namespace: Namespace = field(default_factory=Namespace)

    def answers(self) -> Table:
        return {
            **self.namespace.answers(),
            "/api/v1/nodes": listed(*self.nodes),
            "/api/v1/pods": listed(*self.running),
        }

    def comes_up(self, objects: list[Object]) -> bool:
        """Whether every pod of these Deployments is taken, placed and started."""
        free = {each["metadata"]["name"]: self._free(each) for each in self.nodes}
        brought = {(each["kind"], each["metadata"]["name"]) for each in objects}
        for name in (name for kind, name in brought if kind == "ServiceAccount"):
            self.namespace.add("serviceaccounts", name)
        return all(
            self._admitted(pod) and self._placed(pod, free) and self._starts(pod, brought)
            for pod in _pods(objects)
        )

    def _admitted(self, pod: Object) -> bool:
        path = "/api/v1/namespaces/tierflow/pods"
        return self.namespace.admit(Request("POST", path, {}, {}, pod)).status == 201

    def _placed(self, pod: Object, free: dict[str, dict[str, Decimal]]) -> bool:
        spec, asked = pod["spec"], _asked(pod["spec"])
        fitting = [
            name
            for each in self.nodes
            if _may_run(each, spec)
            and (name := each["metadata"]["name"])
            and all(free[name].get(key, Decimal(0)) >= amount for key, amount in asked.items())
        ]
        if not fitting:
            return False
        roomiest = max(fitting, key=lambda name: free[name]["memory"])
        for key, amount in asked.items():
            free[roomiest][key] -= amount
        return True

    def _starts(self, pod: Object, brought: set[tuple[str, str]]) -> bool:
        """A container whose environment lacks its source waits for it for ever."""
        return all(
            ("Secret", name) in brought or ("secrets", name) in self.namespace.objects
            for container in pod["spec"]["containers"]
            for source in container.get("envFrom") or ()
            if (name := source["secretRef"]["name"])
        )

    def _free(self, of: Object) -> dict[str, Decimal]:
        total = {key: quantity(amount) for key, amount in of["status"]["allocatable"].items()}
        for pod in self.running:
            if pod["spec"]["nodeName"] == of["metadata"]["name"]:
                for key, amount in _asked(pod["spec"]).items():
                    total[key] -= amount
        return total


def _pods(objects: list[Object]) -> Iterator[Object]:
    for item in objects:
        for number in range(item["spec"].get("replicas", 1) if item["kind"] == "Deployment" else 0):
            metadata = {"name": f"{item['metadata']['name']}-{number}", "namespace": "tierflow"}
            yield {"metadata": metadata, "spec": item["spec"]["template"]["spec"]}


def _may_run(of: Object, spec: Mapping[str, Any]) -> bool:
    conditions = {each["type"]: each["status"] for each in of["status"]["conditions"]}
    labels, selector = of["metadata"]["labels"], spec.get("nodeSelector") or {}
    tolerated = {each.get("key") for each in spec.get("tolerations") or ()}
    taints = {each["key"] for each in of["spec"].get("taints") or ()}
    cordoned = of["spec"].get("unschedulable", False)
    chosen = selector.items() <= labels.items()
    return conditions["Ready"] == "True" and not cordoned and chosen and taints <= tolerated


def _asked(spec: Mapping[str, Any]) -> dict[str, Decimal]:
    total = {"pods": Decimal(1)}
    for container in spec["containers"]:
        resources = container.get("resources") or {}
        amounts = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for key, amount in amounts.items():
            total[key] = total.get(key, Decimal(0)) + quantity(amount)
    return total
