"""What rendered objects ask of a cluster."""

from decimal import Decimal
from typing import Any

import pytest

from k8s.preflight.failure import UsageFailure
from k8s.preflight.needs import needs
from tests.unit.k8s.preflight.build import GIB, claim, container, deployment, needed, plain


def test_a_pod_asks_for_what_its_containers_request_together() -> None:
    two = deployment(containers=(container(cpu="500m", memory="1Gi"), container(cpu="2")))
    (pod,) = needed(two).pods
    assert pod.requests == {"cpu": Decimal("2.5"), "memory": GIB}


def test_a_greedier_init_container_counts_instead() -> None:
    spec = deployment(
        containers=(container(cpu="1", memory="1Gi"),),
        initContainers=[container(cpu="500m", memory="4Gi")],
    )
    (pod,) = needed(spec).pods
    assert pod.requests == {"cpu": Decimal(1), "memory": 4 * GIB}


def test_a_limit_without_a_request_is_the_request() -> None:
    limited = {"name": "main", "image": "x", "resources": {"limits": {"nvidia.com/gpu": 2}}}
    (pod,) = needed(deployment(containers=(limited,))).pods
    assert pod.devices == {"nvidia.com/gpu": 2}


def test_cpu_memory_disk_and_huge_pages_are_no_devices() -> None:
    usual = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi", "hugepages-2Mi": "4Mi"}
    limited = {"name": "main", "image": "x", "resources": {"limits": usual}}
    (pod,) = needed(deployment(containers=(limited,))).pods
    assert pod.devices == {}


def test_an_autoscaled_deployment_needs_its_least_replicas() -> None:
    scaler = plain(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={"scaleTargetRef": {"kind": "Deployment", "name": "edge"}, "minReplicas": 3},
    )
    assert needed(deployment("edge", replicas=None), scaler).pods[0].replicas == 3


def test_a_deployment_that_is_scaled_to_zero_still_needs_room_for_one() -> None:
    (pod,) = needed(deployment(replicas=0)).pods
    assert (pod.replicas, pod.asleep) == (1, True)


@pytest.mark.parametrize(("least", "asleep"), [(0, True), (1, False)])
def test_what_keda_scales_to_zero_is_asleep(least: int, asleep: bool) -> None:
    scaled = plain(
        "keda.sh/v1alpha1",
        "ScaledObject",
        spec={"scaleTargetRef": {"name": "edge"}, "minReplicaCount": least},
    )
    (pod,) = needed(deployment("edge", replicas=None), scaled).pods
    assert (pod.replicas, pod.asleep) == (1, asleep)


def test_a_sidecar_counts_beside_the_containers_and_so_does_the_overhead() -> None:
    sidecar = container(cpu="500m") | {"restartPolicy": "Always"}
    spec = deployment(
        containers=(container(cpu="1"),),
        initContainers=[sidecar, container(cpu="800m")],
        overhead={"cpu": "250m"},
    )
    assert needed(spec).pods[0].requests["cpu"] == Decimal("1.75")


def test_what_a_pod_asks_for_as_a_whole_counts_instead_of_its_containers() -> None:
    spec = deployment(containers=(container(cpu="1"),), resources={"requests": {"cpu": "3"}})
    assert needed(spec).pods[0].requests["cpu"] == Decimal(3)


@pytest.mark.parametrize(
    ("strategy", "replicas", "surge"),
    [
        (None, 1, 1),
        (None, 4, 0),
        ({"type": "Recreate"}, 1, 0),
        ({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}, 4, 1),
        ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, 1, 0),
    ],
)
def test_an_update_starts_one_more_where_none_may_be_missing(
    strategy: dict[str, Any] | None, replicas: int, surge: int
) -> None:
    item = deployment(replicas=replicas)
    item["spec"]["strategy"] = strategy
    assert needed(item).pods[0].surge == surge


def test_test_pods_and_jobs_are_short_lived() -> None:
    hook = {"name": "ask", "annotations": {"helm.sh/hook": "test"}}
    spec = {"containers": [container()]}
    test = plain("v1", "Pod", spec=spec) | {"metadata": hook}
    job = plain("batch/v1", "Job", spec={"template": {"spec": spec}})
    pods = needed(test, job, deployment()).pods
    assert [pod.short_lived for pod in pods] == [True, True, False]


def test_a_leader_and_its_workers_are_counted_per_group() -> None:
    worker = {"spec": {"containers": [container(nvidia_com__gpu="8")]}}
    group = {"size": 4, "workerTemplate": worker}
    several = plain(
        "leaderworkerset.x-k8s.io/v1",
        "LeaderWorkerSet",
        spec={"replicas": 2, "leaderWorkerTemplate": group},
    )
    leaders, workers = needed(several).pods
    assert (leaders.replicas, workers.replicas) == (2, 6)
    assert leaders.devices == workers.devices == {"nvidia.com/gpu": 8}


def test_images_of_init_containers_are_pulled_too() -> None:
    spec = deployment(containers=(container("engine:1"),), initContainers=[container("load:2")])
    assert set(needed(spec).pods[0].images) == {"engine:1", "load:2"}


def test_claims_come_from_volumes_and_from_stateful_sets() -> None:
    template = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    pods = {"template": {"spec": {"containers": [container()]}}}
    stateful = plain("apps/v1", "StatefulSet", spec={**pods, "volumeClaimTemplates": [template]})
    shared, own = needed(claim("models", "nfs", shared=True), stateful).claims
    assert (shared.storage_class, shared.shared) == ("nfs", True)
    assert (own.name, own.storage_class, own.shared) == ("data", None, False)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"kind": "Deployment", "metadata": {"name": "a"}, "spec": {}}, "Deployment/a: .*template"),
        ({"kind": "List", "items": []}, "List/without a name: .*metadata"),
        ({"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [7]}}, "Pod/a: "),
    ],
)
def test_an_object_that_lacks_a_part_is_named(broken: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageFailure, match=words):
        needs([{"apiVersion": "v1", **broken}])
