"""On which nodes a pod may run, and whether all pods find room."""

import pytest

from k8s.preflight.facts import Node, Taint
from k8s.preflight.needs import PodNeed
from k8s.preflight.placement import admits, fits, without_place
from tests.unit.k8s.preflight.build import GIB, container, deployment, needed, node

GPU_TAINT = Taint("nvidia.com/gpu", "present", "NoSchedule")


def pods(name: str, replicas: int, **resources: str) -> PodNeed:
    return needed(deployment(name, replicas, (container(**resources),))).pods[0]


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "nvidia.com/gpu", "value": "present"}, True),
        ({"key": "nvidia.com/gpu", "value": "other"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "amd.com/gpu", "operator": "Exists"}, False),
    ],
)
def test_a_tainted_node_takes_only_pods_that_tolerate_it(
    toleration: dict[str, str], tolerated: bool
) -> None:
    assert admits(node(taints=(GPU_TAINT,)), {"tolerations": [toleration]}) is tolerated
    assert not admits(node(taints=(GPU_TAINT,)), {})


def test_a_taint_that_only_prefers_other_pods_keeps_none_away() -> None:
    assert admits(node(taints=(Taint("any", "", "PreferNoSchedule"),)), {})


@pytest.mark.parametrize(
    ("rule", "matched"),
    [
        ({"key": "gpu", "operator": "In", "values": ["L4", "H100"]}, True),
        ({"key": "gpu", "operator": "In", "values": ["H100"]}, False),
        ({"key": "gpu", "operator": "NotIn", "values": ["H100"]}, True),
        ({"key": "zone", "operator": "NotIn", "values": ["a"]}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "zone", "operator": "Exists"}, False),
        ({"key": "zone", "operator": "DoesNotExist"}, True),
        ({"key": "memory", "operator": "Gt", "values": ["16"]}, True),
        ({"key": "memory", "operator": "Lt", "values": ["16"]}, False),
        ({"key": "gpu", "operator": "Gt", "values": ["16"]}, False),
        ({"key": "gpu", "operator": "Lt", "values": ["16"]}, False),
        ({"key": "zone", "operator": "Lt", "values": ["16"]}, False),
        ({"key": "memory", "operator": "Unheard", "values": ["16"]}, False),
    ],
)
def test_required_affinity_is_judged_by_the_nodes_labels(
    rule: dict[str, object], matched: bool
) -> None:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    labelled = node(labels={"gpu": "L4", "memory": "24"})
    assert admits(labelled, {"affinity": {"nodeAffinity": required}}) is matched


def test_a_selector_needs_each_of_its_labels() -> None:
    labelled = node(labels={"a": "1", "b": "2"})
    assert admits(labelled, {"nodeSelector": {"a": "1", "b": "2"}})
    assert not admits(labelled, {"nodeSelector": {"a": "1", "b": "3"}})


def test_a_pod_fits_where_every_resource_suffices() -> None:
    pod = pods("edge", 1, cpu="4", memory="8Gi", nvidia_com__gpu="1")
    assert fits(pod, node(cpu="4", gib=8, nvidia_com__gpu=1).allocatable)
    assert not fits(pod, node(cpu="4", gib=8).allocatable)
    assert not fits(pod, node(cpu="3", gib=8, nvidia_com__gpu=1).allocatable)


def test_replicas_fill_node_after_node() -> None:
    nodes = [node("one", cpu="4"), node("two", cpu="4")]
    assert without_place([pods("edge", 4, cpu="2")], nodes, {}) == ()
    assert without_place([pods("edge", 5, cpu="2")], nodes, {}) == ("Deployment/edge",)


def test_what_runs_already_takes_its_room() -> None:
    busy = {"one": {"cpu": 3 * GIB / GIB}}
    assert without_place([pods("edge", 1, cpu="2")], [node("one", cpu="4")], busy)
    assert not without_place([pods("edge", 1, cpu="1")], [node("one", cpu="4")], busy)


def test_the_greediest_pods_are_placed_first() -> None:
    nodes = [node("small", gib=4), node("large", gib=16)]
    small, large = pods("small", 1, memory="4Gi"), pods("large", 1, memory="16Gi")
    assert without_place([small, large], nodes, {}) == ()


def test_nothing_is_placed_on_a_node_that_is_not_ready_or_cordoned() -> None:
    idle: list[Node] = [node("one", ready=False), node("two", schedulable=False)]
    assert without_place([pods("edge", 1, cpu="1")], idle, {}) == ("Deployment/edge",)
