"""Clusters as they are met: through the official client, over real HTTP."""

from __future__ import annotations

import pytest

from tests.integration.preflight.cluster import REVIEWS, listed, node
from tests.integration.preflight.conftest import Preflight
from tests.servers import free_port
from tests.stand_in import Answer, Request, Silence, StandIn, refusal

pytestmark = pytest.mark.integration


def test_a_fit_cluster_passes_every_check(preflight: Preflight) -> None:
    outcome = preflight()
    assert outcome.code == 0
    assert {row["result"] for row in outcome.rows.values()} == {"ok"}, outcome.rows


def test_nothing_is_written_but_questions_about_rights_and_dry_runs(
    preflight: Preflight, api: StandIn
) -> None:
    preflight(gpus=1)
    assert {request.method for request in api.requests} == {"GET", "POST"}
    others = [each for each in api.requests if each.method == "POST" and each.path != REVIEWS]
    plurals = sorted(each.path.rpartition("/")[2] for each in others)
    assert plurals == ["deployments", "persistentvolumeclaims", "pods", "roles"]
    assert {each.query["dryRun"] for each in others} == {"All"}
    assert {request.headers["authorization"] for request in api.requests} == {"Bearer a-token"}


@pytest.mark.parametrize(
    ("version", "result", "code"),
    [
        ("v1.28.9", "missing", 1),
        ("v1.29.0", "ok", 0),
        ("v1.37.1", "ok", 0),
        ("v1.38.0", "warning", 0),
    ],
)
def test_the_servers_version_must_be_in_the_range(
    preflight: Preflight, api: StandIn, version: str, result: str, code: int
) -> None:
    api.answers["/version"] = Answer({"gitVersion": version})
    outcome = preflight()
    assert (outcome.result("version"), outcome.code) == (result, code)


def test_gpu_values_need_gpu_nodes(preflight: Preflight, api: StandIn) -> None:
    without = preflight(gpus=2)
    assert (without.code, without.result("nvidia.com/gpu")) == (1, "missing")
    api.answers["/api/v1/nodes"] = listed(node(), node("gpu", gpus=4))
    outcome = preflight(gpus=2)
    assert outcome.code == 0
    assert outcome.rows["nvidia.com/gpu"]["found"] == "4 on 1 node (NVIDIA-L4)"


def test_a_gpu_that_somebody_has_already_is_missing_and_gives_code_1(
    preflight: Preflight, api: StandIn
) -> None:
    api.answers["/api/v1/nodes"] = listed(node(), node("gpu", gpus=1))
    assert preflight(gpus=1).code == 0
    held = {"name": "x", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = {"nodeName": "gpu", "containers": [held]}
    api.answers["/api/v1/pods"] = listed({"spec": spec, "status": {"phase": "Running"}})
    outcome = preflight(gpus=1)
    assert outcome.code == 1
    assert outcome.result("nvidia.com/gpu") == outcome.result("room on the nodes") == "missing"


def test_rights_that_are_missing_are_named(preflight: Preflight, api: StandIn) -> None:
    refused = {("create", "deployments"), ("watch", "endpointslices")}

    def review(request: Request) -> Answer:
        asked = request.body["spec"]["resourceAttributes"]
        allowed = (asked["verb"], asked["resource"]) not in refused
        return Answer({"status": {"allowed": allowed}}, 201)

    api.answers[REVIEWS] = review
    outcome = preflight()
    assert outcome.code == 1
    install, granted = outcome.rows["rights to install"], outcome.rows["rights the gateway gets"]
    assert install["found"] == "you may not create deployments.apps in tierflow"
    assert granted["found"] == "you may not watch endpointslices.discovery.k8s.io in tierflow"


def test_a_namespace_that_is_not_there_takes_the_right_to_create_it(
    preflight: Preflight, api: StandIn
) -> None:
    del api.answers["/api/v1/namespaces/tierflow"]
    outcome = preflight()
    assert "--create-namespace" in outcome.rows["namespace tierflow"]["todo"]
    asked = [
        request.body["spec"]["resourceAttributes"]
        for request in api.requests
        if request.path == REVIEWS
    ]
    assert {"verb": "create", "group": "", "resource": "namespaces"} in asked


def test_what_may_not_be_read_is_not_checked_and_the_rest_goes_on(
    preflight: Preflight, api: StandIn
) -> None:
    api.answers["/api/v1/nodes"] = refusal(403, "nodes is forbidden")
    outcome = preflight(gpus=1)
    for check in ("nodes", "nvidia.com/gpu", "room on the nodes"):
        assert outcome.rows[check]["result"] == "not checked"
        assert outcome.rows[check]["found"] == "nodes is forbidden"
    assert outcome.result("volume models") == "ok"
    assert outcome.code == 0


def test_a_part_that_never_answers_costs_its_timeout_only(
    preflight: Preflight, api: StandIn
) -> None:
    api.answers["/apis/storage.k8s.io/v1/storageclasses"] = Silence()
    outcome = preflight(timeout_s=1)
    assert outcome.rows["storage classes"]["result"] == "not checked"
    assert "no answer within 1 s" in outcome.rows["storage classes"]["found"]
    assert outcome.result("rights to install") == "ok"


def test_all_pages_of_a_list_are_read(preflight: Preflight, api: StandIn) -> None:
    def pages(request: Request) -> Answer:
        if "continue" in request.query:
            return listed(node("two", gpus=1))
        first = listed(node("one"))
        first.body["metadata"] = {"continue": "further"}
        return first

    api.answers["/api/v1/nodes"] = pages
    assert preflight().rows["nodes"]["found"] == "2 amd64"


def test_an_api_server_that_is_not_there_is_one_row_with_advice(preflight: Preflight) -> None:
    outcome = preflight(server=f"http://127.0.0.1:{free_port()}")
    assert outcome.code == 1
    assert list(outcome.rows) == ["API server"]
    assert outcome.result("API server") == "missing"
    assert "refused" in outcome.rows["API server"]["found"].lower()
    assert outcome.rows["API server"]["todo"]


def test_an_api_server_that_hangs_ends_the_run_after_one_timeout(
    preflight: Preflight, api: StandIn
) -> None:
    api.answers["/version"] = Silence()
    outcome = preflight(timeout_s=0.5)
    assert (outcome.code, list(outcome.rows)) == (1, ["API server"])
    assert "no answer within 0.5 s" in outcome.rows["API server"]["found"]
    assert len(api.requests) == 1


def test_credentials_that_are_refused_are_told_from_a_cluster_that_lacks_something(
    preflight: Preflight, api: StandIn
) -> None:
    api.answers["/version"] = refusal(401, "Unauthorized")
    outcome = preflight()
    assert (outcome.code, list(outcome.rows)) == (1, ["API server"])
    assert "credentials" in outcome.rows["API server"]["todo"]


def test_what_is_no_api_server_is_said_to_be_none(preflight: Preflight, api: StandIn) -> None:
    api.answers["/version"] = Answer(b"<html>hello</html>", headers={"Content-Type": "text/html"})
    assert "no Kubernetes API server" in preflight().rows["API server"]["found"]
