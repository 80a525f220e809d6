"""The chart on a real cluster: it comes up, answers, survives a pod's end, upgrades and goes."""

from __future__ import annotations

import httpx
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionUserMessageParam

from k8s.preflight.inspection import inspect
from k8s.preflight.needs import needs
from k8s.preflight.report import Result
from tests.charts.helm import render
from tests.e2e.cluster import RELEASE, STARTUP_S, Cluster, ready
from tests.servers import eventually

pytestmark = pytest.mark.e2e
QUESTION: ChatCompletionUserMessageParam = {
    "role": "user",
    "content": "Add 417 and 325 digit by digit.",
}


def ask(client: OpenAI, model: str) -> str:
    """Streams an answer."""
    stream = client.chat.completions.create(
        model=model, messages=[QUESTION], stream=True, max_tokens=32
    )
    return "".join(part.choices[0].delta.content or "" for part in stream if part.choices)


def endpoints(operations: httpx.Client, pool: str) -> int:
    """How many replicas of a pool the gateway routes to."""
    found = operations.get("/ready").json()["pools"].get(pool, {"endpoints": {}})
    return list(found["endpoints"].values()).count("ok")


def test_the_preflight_finds_nothing_missing(empty_cluster: Cluster) -> None:
    rendered = render(empty_cluster.values, namespace=empty_cluster.namespace)
    found = inspect(empty_cluster.api, needs(rendered.objects), empty_cluster.namespace, 10)
    missing = [each for each in found if each.result is Result.MISSING]
    # Images of a cluster on this machine are loaded into its nodes, and nodes list not all of them.
    assert not [each for each in missing if not each.check.startswith("image ")]


def test_everything_that_is_installed_becomes_ready(installed: Cluster) -> None:
    pods = installed.pods()
    components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods}
    assert components == {"gateway", "engine", "redis"}
    assert all(ready(pod) for pod in pods)


def test_helm_test_gets_an_answer(installed: Cluster) -> None:
    with installed.helm() as helm:
        helm.test(RELEASE, timeout=600)


@pytest.mark.parametrize("model", ["rill-edge", "rill-cloud", "tierflow-auto"])
def test_a_question_is_answered_as_a_stream(client: OpenAI, model: str) -> None:
    assert ask(client, model)


def test_service_goes_on_when_an_engine_dies_and_the_engine_comes_back(
    installed: Cluster, operations: httpx.Client, client: OpenAI
) -> None:
    (engine,) = installed.pods(component="engine", pool="edge")
    name = engine["metadata"]["name"]
    installed.delete_pod(name)
    eventually(lambda: endpoints(operations, "edge") == 0, "the endpoint leaves the routing")
    assert ask(client, "tierflow-auto")
    eventually(
        lambda: [pod for pod in installed.pods(component="engine", pool="edge") if ready(pod)],
        "another engine is ready",
        STARTUP_S,
    )
    eventually(lambda: endpoints(operations, "edge") == 1, "it is in the routing", 60)
    assert ask(client, "rill-edge")


def test_a_pool_that_grows_and_shrinks_is_followed(
    installed: Cluster, operations: httpx.Client
) -> None:
    for replicas in (2, 1):
        installed.scale(f"{RELEASE}-edge", replicas)
        eventually(
            lambda replicas=replicas: endpoints(operations, "edge") == replicas,  # type: ignore[misc]
            f"{replicas} endpoints",
            STARTUP_S,
        )


def test_an_upgrade_keeps_secrets_and_brings_the_new_setting(installed: Cluster) -> None:
    names = [f"{RELEASE}-redis", f"{RELEASE}-drafts"]
    before = [installed.secret(name) for name in names]
    changed = {"gateway": {"config": {"log_level": "debug"}}}
    installed.upgrade(installed.layered(changed))
    assert [installed.secret(name) for name in names] == before
    configuration = installed.api.get(
        f"/api/v1/namespaces/{installed.namespace}/configmaps/{RELEASE}-gateway"
    )
    assert "log_level: debug" in configuration["data"]["gateway.yaml"]


def test_uninstalling_leaves_nothing_of_the_release(installed: Cluster) -> None:
    """The last one: the tests above need what it takes away."""
    with installed.helm() as helm:
        helm.uninstall(RELEASE, wait="watcher", timeout=300)
    eventually(lambda: not installed.pods(), "all pods are gone", 120)
    for path in ("/api/v1/namespaces/{}/services", "/api/v1/namespaces/{}/secrets"):
        left = installed.api.items(path.format(installed.namespace))
        names = {each["metadata"]["name"] for each in left}
        assert not [name for name in names if name.startswith(RELEASE)]
