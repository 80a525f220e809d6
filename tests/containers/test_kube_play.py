"""What podman runs is what was rendered, but for what podman can't do."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from gateway.settings import Settings
from tests.containers.__main__ import VALUES, VICTIM
from tests.containers.kube_play import Playable, Unplayable, playable, pod_of, values_of
from tests.containers.rendering import Manifest, render

MEMORY = Path("/dev/shm/tierflow")
pytestmark = pytest.mark.helm


@pytest.fixture(scope="module")
def rendered() -> list[Manifest]:
    return render(VALUES)


@pytest.fixture(scope="module")
def parts(rendered: list[Manifest]) -> Playable:
    return playable(rendered, {"gateway": 18080}, MEMORY)


def test_every_deployment_becomes_a_pod_of_its_name(
    rendered: list[Manifest], parts: Playable
) -> None:
    deployments = [m["metadata"]["name"] for m in rendered if m["kind"] == "Deployment"]
    assert [pod["metadata"]["name"] for pod in parts.pods] == deployments
    assert VICTIM in [f"{name}-engine" for name in deployments]


def test_nothing_disappears_uncounted(rendered: list[Manifest], parts: Playable) -> None:
    kept = len(parts.pods) + len(parts.others) + len(parts.secrets)
    assert kept + parts.left_out.total() == len(rendered)


def test_containers_stay_as_they_were_rendered(rendered: list[Manifest], parts: Playable) -> None:
    for before, after in zip(
        [m for m in rendered if m["kind"] == "Deployment"], parts.pods, strict=True
    ):
        old, new = before["spec"]["template"]["spec"], after["spec"]
        assert new["securityContext"] == old["securityContext"]
        for was, now in zip(old["containers"], new["containers"], strict=True):
            same = was.keys() - {"ports", "volumeMounts"} - {k for k in was if k.endswith("Probe")}
            assert {key: now[key] for key in same} == {key: was[key] for key in same}
            assert "securityContext" in same and "resources" in same


def test_no_two_pods_share_a_volume(parts: Playable) -> None:
    volumes = [volume["name"] for pod in parts.pods for volume in pod["spec"]["volumes"]]
    assert len(set(volumes)) == len(volumes)
    for pod in parts.pods:
        own = {volume["name"] for volume in pod["spec"]["volumes"]}
        for container in pod["spec"]["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= own


def test_the_engines_shared_memory_is_memory(parts: Playable) -> None:
    engines = [pod for pod in parts.pods if not pod["metadata"]["name"].endswith("-gateway")]
    for pod in engines:
        (engine,) = pod["spec"]["containers"]
        (shared,) = [m["name"] for m in engine["volumeMounts"] if m["mountPath"] == "/dev/shm"]
        (volume,) = [v for v in pod["spec"]["volumes"] if v["name"] == shared]
        assert volume == {
            "name": shared,
            "hostPath": {"path": str(MEMORY / shared), "type": "Directory"},
        }
    assert len(set(parts.in_memory)) == len(engines)


def test_only_the_gateway_is_reached_from_this_machine(parts: Playable) -> None:
    for pod in parts.pods:
        ports = [port for c in pod["spec"]["containers"] for port in c.get("ports", [])]
        is_gateway = pod["metadata"]["name"].endswith("-gateway")
        wanted = [(18080, "127.0.0.1")] if is_gateway else []
        assert [(port["hostPort"], port["hostIP"]) for port in ports] == wanted


def test_the_gateways_endpoints_are_the_pods(
    parts: Playable, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (config,) = [other for other in parts.others if "gateway.yaml" in other["data"]]
    file = tmp_path_factory.mktemp("rendered") / "gateway.yaml"
    file.write_text(config["data"]["gateway.yaml"])
    (gateway,) = [pod for pod in parts.pods if pod["metadata"]["name"].endswith("-gateway")]
    for variable in gateway["spec"]["containers"][0]["env"]:
        reference = variable["valueFrom"]["secretKeyRef"]
        monkeypatch.setenv(variable["name"], parts.secrets[reference["name"]][reference["key"]])
    pools = Settings.load(file).pools
    pods = {pod["metadata"]["name"] for pod in parts.pods}
    for pool in pools.values():
        assert pool.endpoints
        (endpoint,), (mailbox,) = pool.endpoints, pool.mailboxes
        assert urlsplit(endpoint).hostname in pods
        assert mailbox.partition(":")[0] == urlsplit(endpoint).hostname
    assert {pool.tier.value for pool in pools.values()} == {"edge", "cloud"}


def test_several_replicas_are_refused_by_name(rendered: list[Manifest]) -> None:
    deployment = next(m for m in rendered if m["kind"] == "Deployment")
    two = deployment | {"spec": deployment["spec"] | {"replicas": 2}}
    with pytest.raises(Unplayable, match=deployment["metadata"]["name"]):
        pod_of(two, {})


def test_plain_values_of_a_secret_are_encoded_beside_encoded_ones() -> None:
    secret = yaml.safe_load("{data: {a: eA==}, stringData: {b: y}}")
    assert values_of(secret) == {"a": "eA==", "b": "eQ=="}
