"""What a cluster's state means for an install: versions, nodes, parts, storage, rights."""

import pytest

from k8s.preflight.facts import Right, ServedKind, StorageClass, Unread
from k8s.preflight.judgements.machines import nodes, version
from k8s.preflight.judgements.parts import METRICS_API, ingress_classes, parts
from k8s.preflight.judgements.permissions import permissions
from k8s.preflight.judgements.storage import storage
from k8s.preflight.rendering import Object
from k8s.preflight.report import Finding, Result
from tests.unit.k8s.preflight.build import claim, needed, node, plain

MISSING, OK, WARNING = Result.MISSING, Result.OK, Result.WARNING
SCALED = plain("keda.sh/v1alpha1", "ScaledObject")
SCALER = plain(
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    spec={"scaleTargetRef": {"kind": "Deployment", "name": "edge"}},
)
LOCAL = StorageClass("local-path", "rancher.io/local-path", default=True)
NETWORK = StorageClass("nfs", "nfs.csi.k8s.io", default=False)


def only(findings: list[Finding], check: str) -> Finding:
    (found,) = [each for each in findings if each.check == check]
    return found


@pytest.mark.parametrize(
    ("found", "result"),
    [
        ("v1.28.15", MISSING),
        ("v1.29.0", OK),
        ("v1.31.4+k3s1", OK),
        ("v1.37.0-eks-12345", OK),
        ("v1.38.0", WARNING),
        ("v2.0.0", WARNING),
        ("nightly", Result.NOT_CHECKED),
    ],
)
def test_versions_out_of_the_range_are_named(found: str, result: Result) -> None:
    judged = version(found)
    assert judged.result is result
    assert found in judged.found
    assert bool(judged.todo) is (result in (MISSING, WARNING))


def test_nodes_are_counted_by_architecture() -> None:
    judged = nodes((node("a"), node("b"), node("c", architecture="arm64")))
    assert (judged.result, judged.found) == (OK, "2 amd64, 1 arm64")


def test_idle_nodes_are_named_and_a_cluster_of_idle_nodes_is_not_enough() -> None:
    down, cordoned = node("down", ready=False), node("cordoned", schedulable=False)
    some = nodes((node("up"), down, cordoned))
    assert some.result is WARNING
    assert "cordoned, down" in some.found
    assert nodes((down, cordoned)).result is MISSING
    assert nodes(()).result is MISSING


def test_what_could_not_be_read_is_not_judged() -> None:
    reason = "nodes is forbidden"
    for judged in (version(Unread(reason)), nodes(Unread(reason))):
        assert (judged.result, judged.found) == (Result.NOT_CHECKED, reason)


def test_an_optional_part_is_missing_only_where_the_values_use_it() -> None:
    assert {each.result for each in parts(needed(), {})} == {OK}
    keda = only(parts(needed(SCALED), {"keda.sh/v1alpha1": {}}), "KEDA")
    assert keda.result is MISSING
    assert "ScaledObject (keda.sh/v1alpha1)" in keda.found
    served = {"keda.sh/v1alpha1": {"ScaledObject": ServedKind("scaledobjects", True)}}
    assert only(parts(needed(SCALED), served), "KEDA").result is OK


@pytest.mark.parametrize(
    ("api_version", "kind", "check"),
    [
        ("monitoring.coreos.com/v1", "ServiceMonitor", "Prometheus operator"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", "Gateway API"),
        ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "LeaderWorkerSet"),
        ("example.org/v1", "Surprise", "other kinds"),
    ],
)
def test_each_kind_that_a_cluster_may_lack_has_its_row(
    api_version: str, kind: str, check: str
) -> None:
    spec: Object = {"leaderWorkerTemplate": {"workerTemplate": {"spec": {}}}}
    found = only(parts(needed(plain(api_version, kind, spec=spec)), {api_version: {}}), check)
    assert found.result is MISSING
    assert kind in found.found
    assert found.todo


def test_discovery_that_failed_leaves_the_part_unchecked() -> None:
    found = only(parts(needed(SCALED), {"keda.sh/v1alpha1": Unread("too late")}), "KEDA")
    assert (found.result, found.found) == (Result.NOT_CHECKED, "too late")


def test_autoscaling_without_resource_metrics_runs_and_never_scales() -> None:
    served = {"autoscaling/v2": {"HorizontalPodAutoscaler": ServedKind("x", True)}}
    assert only(parts(needed(SCALER), served), "resource metrics").result is WARNING
    metrics = {METRICS_API: {"PodMetrics": ServedKind("pods", True)}}
    assert only(parts(needed(SCALER), served | metrics), "resource metrics").result is OK


def test_an_ingress_needs_the_class_that_it_names() -> None:
    named = plain("networking.k8s.io/v1", "Ingress", spec={"ingressClassName": "nginx"})
    unnamed = plain("networking.k8s.io/v1", "Ingress", spec={})
    assert ingress_classes(needed(), frozenset()) == []
    assert ingress_classes(needed(named), frozenset({"traefik"}))[0].result is MISSING
    assert ingress_classes(needed(named), frozenset({"nginx"}))[0].result is OK
    assert ingress_classes(needed(unnamed), frozenset({"traefik"}))[0].result is OK
    assert ingress_classes(needed(unnamed), frozenset())[0].result is MISSING


@pytest.mark.parametrize(
    ("wanted", "shared", "result"),
    [
        (None, False, OK),
        ("nfs", True, OK),
        (None, True, WARNING),
        ("fast", False, MISSING),
        ("", False, Result.NOT_CHECKED),
    ],
)
def test_a_volume_needs_a_class_that_can_serve_it(
    wanted: str | None, shared: bool, result: Result
) -> None:
    needs = needed(claim("models", wanted, shared=shared))
    judged = only(storage(needs, (LOCAL, NETWORK)), "volume models")
    assert judged.result is result
    assert bool(judged.todo) is (result is not OK)


def test_without_a_default_class_a_volume_must_name_one() -> None:
    judged = only(storage(needed(claim()), (NETWORK,)), "volume models")
    assert judged.result is MISSING
    assert "default" in judged.found


def test_classes_that_could_not_be_read_matter_only_to_volumes() -> None:
    assert storage(needed(), Unread("no"))[0].result is OK
    assert storage(needed(claim()), Unread("no"))[0].result is Result.NOT_CHECKED


def test_each_right_that_is_missing_is_named_with_its_namespace() -> None:
    judged = permissions(
        "rights to install",
        {
            Right(verb="create", group="apps", resource="deployments", namespace="tierflow"): False,
            Right(verb="patch", group="apps", resource="deployments", namespace="tierflow"): False,
            Right(verb="get", group="apps", resource="deployments", namespace="tierflow"): True,
            Right(verb="list", group="", resource="nodes", namespace=""): False,
        },
    )
    assert judged.result is MISSING
    assert judged.found == (
        "you may not create, patch deployments.apps in tierflow; list nodes in the whole cluster"
    )


def test_rights_are_not_checked_where_the_question_got_no_answer() -> None:
    right = Right(verb="create", group="", resource="secrets", namespace="tierflow")
    assert permissions("any", {right: Unread("too late")}).result is Result.NOT_CHECKED
    assert permissions("any", {right: True}).result is OK
    assert permissions("any", {}).result is OK
