"""On which nodes a pod may run."""

import pytest

from k8s.preflight.facts import Taint
from k8s.preflight.needs import PodNeed
from k8s.preflight.placement import admits, fits
from tests.unit.k8s.preflight.build import container, deployment, needed, node

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


@pytest.mark.parametrize(
    ("term", "admitted"),
    [
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["one"]}]}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["two"]}]}, False),
        ({}, False),
    ],
)
def test_affinity_may_name_the_node_and_a_term_that_says_nothing_matches_none(
    term: dict[str, object], admitted: bool
) -> None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    assert admits(node("one"), {"affinity": {"nodeAffinity": required}}) is admitted


def test_a_selector_needs_each_of_its_labels() -> None:
    labelled = node(labels={"a": "1", "b": "2"})
    assert admits(labelled, {"nodeSelector": {"a": "1", "b": "2"}})
    assert not admits(labelled, {"nodeSelector": {"a": "1", "b": "3"}})


def test_a_pod_fits_where_every_resource_suffices() -> None:
    pod = pods("edge", 1, cpu="4", memory="8Gi", nvidia_com__gpu="1")
    assert fits(pod, node(cpu="4", gib=8, nvidia_com__gpu=1).allocatable)
    assert not fits(pod, node(cpu="4", gib=8).allocatable)
    assert not fits(pod, node(cpu="3", gib=8, nvidia_com__gpu=1).allocatable)
