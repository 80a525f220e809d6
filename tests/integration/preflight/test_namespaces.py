"""What a namespace demands of pods, told before the install in the API server's own words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.preflight.admission import PATH, Namespace
from tests.integration.preflight.conftest import Outcome, Preflight
from tests.stand_in import Answer, StandIn, refusal

pytestmark = pytest.mark.integration
POD = "admission of Deployment/edge"


def judged(preflight: Preflight, api: StandIn, there: Namespace, **how: Any) -> Outcome:
    api.answers.update(there.answers())
    return preflight(**how)


def test_a_pod_that_the_namespaces_security_level_forbids_is_missing(
    preflight: Preflight, api: StandIn
) -> None:
    outcome = judged(preflight, api, Namespace(level="restricted"))
    assert (outcome.code, outcome.result(POD), outcome.result("pod security")) == (
        1,
        "missing",
        "missing",
    )
    found = outcome.rows[POD]["found"]
    assert found.startswith('violates PodSecurity "restricted:latest": allowPrivilegeEscalation')
    assert "securityContext" in outcome.rows[POD]["todo"]


def test_a_quota_is_held_against_all_pods_together(preflight: Preflight, api: StandIn) -> None:
    there = Namespace(quotas={"team": {"requests.cpu": "4", "pods": "10"}})
    assert judged(preflight, api, there).code == 0
    there.charged = {"requests.cpu": 3}  # type: ignore[dict-item]
    assert judged(preflight, api, there).code == 0
    there.charged = {"requests.cpu": 4}  # type: ignore[dict-item]
    outcome = judged(preflight, api, there)
    assert outcome.code == 1
    assert outcome.rows["resource quota team"]["found"] == (
        "requests.cpu: 1 asked for, 0 of 4 left"
    )
    assert outcome.rows[POD]["found"].startswith("exceeded quota: team, requested: requests.cpu=1")


def test_a_quota_that_counts_what_the_pods_do_not_say_is_told(
    preflight: Preflight, api: StandIn
) -> None:
    outcome = judged(preflight, api, Namespace(quotas={"team": {"limits.memory": "64Gi"}}))
    assert outcome.code == 1
    assert outcome.rows[POD]["found"] == (
        "failed quota: team: must specify limits.memory for: engine"
    )
    assert "in the values" in outcome.rows[POD]["todo"]


def test_a_limit_range_is_held_against_each_container(preflight: Preflight, api: StandIn) -> None:
    bounds = {"type": "Container", "max": {"memory": "1Gi"}, "default": {"memory": "512Mi"}}
    outcome = judged(preflight, api, Namespace(ranges=[bounds]))
    row = "limit range bounds for each Container"
    assert (outcome.code, outcome.result(row)) == (1, "missing")
    assert outcome.rows[row]["found"] == "Deployment/edge (engine): memory is above 1.0 GiB"
    wide = {"type": "Container", "max": {"memory": "8Gi"}, "default": {"memory": "4Gi"}}
    assert judged(preflight, api, Namespace(ranges=[wide])).code == 0
    claims = {"type": "PersistentVolumeClaim", "min": {"storage": "5Gi"}}
    assert judged(preflight, api, Namespace(ranges=[claims])).code == 1


def test_a_service_account_that_nobody_makes_is_missing(preflight: Preflight, api: StandIn) -> None:
    pod = workload(serviceAccountName="team")
    outcome = judged(preflight, api, Namespace(), objects=[pod])
    assert outcome.code == 1
    assert outcome.result("ServiceAccount team") == "missing"
    assert (
        "error looking up service account" in outcome.rows["admission of Deployment/own"]["found"]
    )
    there = Namespace()
    there.add("serviceaccounts", "team")
    assert judged(preflight, api, there, objects=[pod]).code == 0


def test_a_service_account_of_the_release_itself_need_not_be_there_yet(
    preflight: Preflight, api: StandIn
) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "team"}}
    outcome = preflight(objects=[workload(serviceAccountName="team"), account])
    assert outcome.result("admission of Deployment/own") == "ok"
    assert "ServiceAccount team" not in outcome.rows


def test_a_priority_class_that_does_not_exist_is_missing(
    preflight: Preflight, api: StandIn
) -> None:
    outcome = preflight(objects=[workload(priorityClassName="urgent")])
    row = outcome.rows["admission of Deployment/own"]
    assert (row["result"], row["found"]) == (
        "missing",
        "no PriorityClass with name urgent was found",
    )
    assert "priorityClassName" in row["todo"]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, 'admission webhook "policies.example" denied the request: images need a digest'),
        (400, 'admission webhook "policies.example" denied the request without explanation'),
        (500, 'Internal error occurred: failed calling webhook "policies.example": no endpoints'),
        (422, 'Pod "edge-preflight" is invalid: spec.containers[0].resources: Invalid value'),
    ],
)
def test_what_a_policy_or_the_validation_refuses_is_missing(
    preflight: Preflight, api: StandIn, status: int, message: str
) -> None:
    outcome = judged(preflight, api, Namespace(webhook=refusal(status, message)))
    assert (outcome.code, outcome.result(POD)) == (1, "missing")
    assert outcome.rows[POD]["todo"]


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, 'admission webhook "p" does not support dry run'),
        refusal(429, "too many requests"),
        refusal(503, "the server is currently unable to handle the request"),
        Answer(b"<html>", 502, {"Content-Type": "text/html"}),
    ],
)
def test_a_dry_run_without_an_answer_to_the_question_is_not_checked(
    preflight: Preflight, api: StandIn, answer: Answer
) -> None:
    outcome = judged(preflight, api, Namespace(webhook=answer))
    assert (outcome.code, outcome.result(POD)) == (0, "not checked")


def test_without_the_right_to_create_pods_admission_is_not_checked_and_the_rest_is(
    preflight: Preflight, api: StandIn
) -> None:
    outcome = judged(preflight, api, Namespace(level="restricted", may_create=False))
    assert outcome.code == 0
    assert outcome.result(POD) == outcome.result("pod security") == "not checked"
    assert "right to create pods" in outcome.rows[POD]["todo"]


def test_a_namespace_that_is_not_there_asks_nothing_of_pods_yet(
    preflight: Preflight, api: StandIn
) -> None:
    del api.answers[PATH]
    outcome = preflight()
    assert outcome.code == 0
    assert outcome.rows["pod security"]["found"] == "the namespace is not there yet"
    assert f"{PATH}/pods" not in api.paths("POST")


@pytest.mark.parametrize(
    ("field", "row"),
    [
        ({"envFrom": [{"secretRef": {"name": "named"}}]}, "Secret named"),
        ({"envFrom": [{"configMapRef": {"name": "named"}}]}, "ConfigMap named"),
    ],
)
def test_what_an_environment_is_read_from_must_be_there(
    preflight: Preflight, api: StandIn, field: dict[str, Any], row: str
) -> None:
    outcome = preflight(objects=[workload(container=field)])
    assert (outcome.code, outcome.result(row)) == (1, "missing")
    assert "kubectl -n tierflow create" in outcome.rows[row]["todo"]


def test_volumes_must_have_what_they_mount_and_an_optional_one_need_not(
    preflight: Preflight, api: StandIn
) -> None:
    sources: list[dict[str, Any]] = [
        {"secret": {"secretName": "tls", "items": [{"key": "tls.crt", "path": "a"}]}},
        {"configMap": {"name": "files"}},
        {"persistentVolumeClaim": {"claimName": "weights"}},
        {"projected": {"sources": [{"secret": {"name": "inside"}}]}},
        {"secret": {"secretName": "spare", "optional": True}},
    ]
    volumes = [{"name": f"v{number}", **source} for number, source in enumerate(sources)]
    outcome = preflight(objects=[workload(volumes=volumes)])
    rows = ["Secret tls", "ConfigMap files", "PersistentVolumeClaim weights", "Secret inside"]
    assert {outcome.result(row) for row in rows} == {"missing"}
    assert "Secret spare" not in outcome.rows


def test_what_the_release_brings_or_has_made_is_not_looked_for(preflight: Preflight) -> None:
    made = {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "any"},
        "spec": {"target": {"name": "named"}},
    }
    pod = workload(container={"envFrom": [{"secretRef": {"name": "named"}}]})
    assert "Secret named" not in preflight(objects=[pod, made]).rows


def test_a_secret_that_may_not_be_read_is_not_checked_and_shown_nowhere(
    preflight: Preflight, api: StandIn
) -> None:
    pod = workload(container={"envFrom": [{"secretRef": {"name": "named"}}]})
    api.answers[f"{PATH}/secrets/named"] = refusal(403, "secrets is forbidden")
    outcome = preflight(objects=[pod])
    assert (outcome.code, outcome.result("Secret named")) == (0, "not checked")
    api.answers[f"{PATH}/secrets/named"] = Answer({"data": {"token": "czNjcmV0"}})
    outcome = preflight(objects=[pod])
    assert outcome.result("Secret named") == "ok"
    assert "czNjcmV0" not in str(outcome.rows)


def workload(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A Deployment of the user's own, whose image the registry's stand-in does not have."""
    held = {"name": "main", "image": "127.0.0.1:1/absent", **(container or {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "own"},
        "spec": {"template": {"spec": {"containers": [held], **spec}}},
    }
