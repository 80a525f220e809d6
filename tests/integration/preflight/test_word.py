"""The preflight's word: what it passes comes up on a cluster that really places it, and what it
fails does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.preflight.admission import Namespace
from tests.integration.preflight.cluster import IMAGE, node
from tests.integration.preflight.conftest import Preflight
from tests.integration.preflight.small_cluster import Object, SmallCluster
from tests.stand_in import StandIn

pytestmark = pytest.mark.integration
GPU = "nvidia.com/gpu"


def pool(name: str, replicas: int = 1, **fields: Any) -> Object:
    """A Deployment beside the engine that every case has. `limits` of its container, `container`
    and `spec` for further fields; whatever else is there are requests."""
    limits, container = fields.pop("limits", {}), fields.pop("container", {})
    spec: Object = fields.pop("spec", {})
    held = {"name": "engine", "resources": {"requests": fields, "limits": limits}, **container}
    template = {"spec": {"containers": [held], **spec}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "template": template},
    }


def busy(on: str, **requests: str) -> Object:
    container = {"name": "x", "resources": {"requests": requests}}
    return {
        "metadata": {"name": "other", "namespace": "other"},
        "spec": {"nodeName": on, "containers": [container]},
        "status": {"phase": "Running"},
    }


def holding(gpus: str) -> Object:
    item = busy("gpu")
    item["spec"]["containers"][0]["resources"] = {"limits": {GPU: gpus}}
    return item


def tainted(of: Object) -> Object:
    return {**of, "spec": {"taints": [{"key": GPU, "value": "", "effect": "NoSchedule"}]}}


def allocatable(of: Object, **amounts: str) -> Object:
    status = of["status"]
    told = {name.replace("_", "-"): amount for name, amount in amounts.items()}
    return {**of, "status": {**status, "allocatable": {**status["allocatable"], **told}}}


HUNGRY: dict[str, Any] = {"ephemeral-storage": "15Gi"}
ON_GPU: dict[str, Any] = {"limits": {GPU: "1"}}
TOLERANT: dict[str, Any] = {"tolerations": [{"key": GPU, "operator": "Exists"}]}


@dataclass
class Case:
    name: str
    comes_up: bool
    objects: list[Object] = field(default_factory=list)
    cluster: SmallCluster = field(default_factory=SmallCluster)
    doubts: bool = False


def cluster(*nodes: Object, running: tuple[Object, ...] = (), **namespace: Any) -> SmallCluster:
    found = list(nodes) or [node("one"), node("two")]
    return SmallCluster(found, list(running), Namespace(**namespace))


def with_secret() -> SmallCluster:
    made = cluster()
    made.namespace.add("secrets", "key", token="eA==")
    return made


NEEDS_SECRET = pool("own", container={"envFrom": [{"secretRef": {"name": "key"}}]})
RANGE = [{"type": "Container", "max": {"memory": "4Gi"}, "default": {"memory": "2Gi"}}]
TWO_CPUS = {"q": {"requests.cpu": "2"}}
ONE_GPU, TWO_GPUS = node("gpu", gpus=1), node("gpu", gpus=2)
CASES = [
    Case("an engine alone", True),
    Case("room for both", True, [pool("b", cpu="2")]),
    Case("no node has so much CPU", False, [pool("b", cpu="5")]),
    Case("enough in all, on no node", False, [pool("b", 3, cpu="2500m")]),
    Case(
        "CPU that others have", False, [pool("b", cpu="2")],
        cluster(running=(busy("one", cpu="3"), busy("two", cpu="3"))),
    ),
    Case("two pools, one GPU", False, [pool(n, **ON_GPU) for n in "bc"], cluster(node(), ONE_GPU)),
    Case("two pools, two GPUs", True, [pool(n, **ON_GPU) for n in "bc"], cluster(node(), TWO_GPUS)),
    Case("two replicas, one GPU", False, [pool("b", 2, **ON_GPU)], cluster(node(), ONE_GPU)),
    Case(
        "a GPU that another has", False, [pool("b", **ON_GPU)],
        cluster(node(), ONE_GPU, running=(holding("1"),)),
    ),
    Case("GPUs, tainted", False, [pool("b", **ON_GPU)], cluster(node(), tainted(ONE_GPU))),
    Case(
        "GPUs, tainted and tolerated", True, [pool("b", spec=TOLERANT, **ON_GPU)],
        cluster(node(), tainted(ONE_GPU)),
    ),
    Case(
        "a label that no node has", False, [pool("b", spec={"nodeSelector": {"zone": "a"}})],
    ),
    Case(
        "the disk of the one node", False,
        [pool("b", **HUNGRY), pool("c", **HUNGRY)],
        cluster(allocatable(node(), ephemeral_storage="20Gi")),
    ),
    Case("as many pods as a node takes", True, [pool("b")], cluster(allocatable(node(), pods="2"))),
    Case("one pod more than that", False, [pool("b", 2)], cluster(allocatable(node(), pods="2"))),
    Case("a quota for all", True, [pool("b", cpu="1")], cluster(quotas=TWO_CPUS)),
    Case(
        "a quota for one replica less", False, [pool("b", 2, cpu="1")],
        cluster(quotas=TWO_CPUS),
    ),
    Case("a quota of pods", False, [pool("b", 2)], cluster(quotas={"q": {"pods": "2"}})),
    Case("a quota of limits", False, cluster=cluster(quotas={"q": {"limits.cpu": "9"}})),
    Case(
        "a range that is kept", True, [pool("b", limits={"memory": "1Gi"})],
        cluster(ranges=RANGE),
    ),
    Case(
        "a range that is left", False, [pool("b", limits={"memory": "5Gi"})],
        cluster(ranges=RANGE),
    ),
    Case("pods that are not restricted", False, cluster=cluster(level="restricted")),
    Case("an account of nobody's", False, [pool("b", spec={"serviceAccountName": "team"})]),
    Case("a secret that is missing", False, [NEEDS_SECRET]),
    Case("a secret that is there", True, [NEEDS_SECRET], with_secret()),
    Case(
        "a quota that only what sleeps would exceed", True,
        [pool("b", 0, cpu="3")],
        cluster(quotas=TWO_CPUS), doubts=True,
    ),
    Case("a class of priority", False, [pool("b", spec={"priorityClassName": "urgent"})]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_passes_comes_up_and_what_fails_does_not(
    preflight: Preflight, api: StandIn, registry: StandIn, case: Case
) -> None:
    api.answers.update(case.cluster.answers())
    image = f"{registry.address}/{IMAGE}"
    for item in case.objects:
        item["spec"]["template"]["spec"]["containers"][0]["image"] = image
    outcome = preflight(objects=case.objects)
    wrong = {check: row for check, row in outcome.rows.items() if row["result"] != "ok"}
    assert (outcome.code == 0) is case.comes_up, wrong
    assert bool(wrong) is (case.doubts or not case.comes_up)
    assert case.cluster.comes_up([engine(), *case.objects]) is case.comes_up


def engine() -> Object:
    """The one that the stand-ins' manifests have."""
    return pool("edge", cpu="1", memory="2Gi")
