"""The configuration that the chart writes is one that the gateway loads, and names real things."""

import re
from pathlib import Path

import pytest
import yaml

from gateway.settings import ENV_PREFIX, Settings
from tests.charts.cases import RENDERINGS, rendered
from tests.charts.helm import NAMESPACE, Rendering, render
from tests.charts.pods import Pod, pods

pytestmark = pytest.mark.helm
WITH_GATEWAY = [name for name in RENDERINGS if name != "pool alone"]
DISCOVERING = [
    name
    for name in WITH_GATEWAY
    if RENDERINGS[name][1].get("gateway", {}).get("discovery", {}).get("enabled", True)
]
SECRETS = {
    "DEVICES__TOKENS": '{"kitchen": "' + "0" * 64 + '"}',
    "STATE__REDIS__URL": "redis://:word@tierflow-redis:6379/0",
}
"""What a Secret would hold, where any word will not do."""


def gateway(rendering: Rendering) -> Pod:
    (found,) = [pod for pod in pods(rendering) if pod.component == "gateway"]
    return found


def load(rendering: Rendering, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the gateway's container would load it: its file, with its environment over it."""
    (container,) = gateway(rendering).spec["containers"]
    option, path = container["args"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "config"]
    (volume,) = [each for each in gateway(rendering).spec["volumes"] if each["name"] == "config"]
    data = rendering.one("ConfigMap", volume["configMap"]["name"])["data"]
    assert option == "--config"
    assert path.startswith(mount["mountPath"] + "/")
    file = folder / "gateway.yaml"
    file.write_text(data[path.removeprefix(mount["mountPath"] + "/")])
    for variable in container.get("env", ()):
        name = variable["name"]
        if name.startswith(ENV_PREFIX):
            held = SECRETS.get(name.removeprefix(ENV_PREFIX), "0123456789abcdef0123456789abcdef")
            monkeypatch.setenv(name, variable.get("value", held))
    return Settings.load(file)


@pytest.mark.parametrize("name", WITH_GATEWAY)
def test_the_gateway_loads_what_the_chart_writes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(rendered(name), tmp_path, monkeypatch)
    assert settings.listen.host == "0.0.0.0"
    assert settings.listen.port == gateway(rendered(name)).ports["http"]
    assert settings.operations.host == "0.0.0.0"
    assert settings.operations.port == gateway(rendered(name)).ports["operations"]


@pytest.mark.parametrize("name", WITH_GATEWAY)
def test_a_gateway_that_discovers_and_no_other_may_ask_the_api_server(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    discovers = load(rendered(name), tmp_path, monkeypatch).discovery is not None
    assert discovers is (name in DISCOVERING)
    assert gateway(rendered(name)).spec["automountServiceAccountToken"] is discovers
    for kind in ("Role", "RoleBinding"):
        assert rendered(name).has(kind, "tierflow-gateway") is discovers


@pytest.mark.parametrize("name", DISCOVERING)
def test_every_pool_here_is_found_by_the_labels_and_ports_that_the_gateway_looks_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    discovery = load(rendered(name), tmp_path, monkeypatch).discovery
    assert discovery is not None
    assert NAMESPACE in discovery.namespaces
    engines = [pod for pod in pods(rendered(name)) if "engine" == pod.component]
    served = {pod.labels["tierflow.dev/pool"] for pod in engines}
    found = set()
    for service in rendered(name).of_kind("Service"):
        labels = service["metadata"]["labels"]
        if "tierflow.dev/pool" not in labels:
            continue
        assert discovery.selector.items() <= labels.items()
        assert labels["tierflow.dev/tier"] in ("edge", "cloud")
        assert re.fullmatch(
            r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", labels["tierflow.dev/model"]
        )
        ports = {port["name"] for port in service["spec"]["ports"]}
        assert discovery.http_port in ports
        assert ports <= {discovery.http_port, discovery.drafts_port}
        found.add(labels["tierflow.dev/pool"])
    assert found == served


def test_engines_and_gateway_share_one_secret_for_drafts() -> None:
    for name in ("defaults", "own services"):
        references = set()
        for pod in pods(rendered(name)):
            for container in pod.containers:
                for variable in container.get("env", ()):
                    if variable["name"] in (
                        "TIERFLOW_DRAFT_SECRET",
                        f"{ENV_PREFIX}DISCOVERY__MAILBOX_SECRET",
                    ):
                        key = variable["valueFrom"]["secretKeyRef"]
                        references.add((key["name"], key["key"]))
        assert len(references) == 1, name
        ((secret, key),) = references
        if name == "defaults":
            stored = rendered(name).one("Secret", secret)
            assert key in (stored.get("data") or stored["stringData"])
        else:
            assert secret == "mine"
            assert not rendered(name).has("Secret", secret)


def test_policies_of_pools_here_and_pools_elsewhere_reach_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = load(rendered("keda"), tmp_path, monkeypatch).pools["edge"]
    assert (held.hold_s, held.endpoints) == (60, None)
    far = load(rendered("elsewhere"), tmp_path, monkeypatch).pools["far-away"]
    assert far.endpoints == ("https://engines.example.org",)
    assert far.api_key is not None


def test_devices_reach_the_settings_by_their_tokens_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(rendered("exposed"), tmp_path, monkeypatch).devices.tokens
    secret = rendered("exposed").one("Secret", "tierflow-devices")["stringData"]
    hashes = yaml.safe_load(secret["hashes.json"])
    assert set(hashes) == {"kitchen", "garage"} == set(secret) - {"hashes.json"}


def test_any_setting_of_the_gateway_can_be_given_and_over_the_charts_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"timeouts": {"first_token_s": 7}, "log_level": "debug"}
    settings = load(render({"gateway": {"config": config}}), tmp_path, monkeypatch)
    assert (settings.timeouts.first_token_s, settings.log_level) == (7, "debug")
    assert settings.discovery is not None


@pytest.mark.parametrize("name", WITH_GATEWAY)
def test_no_secret_stands_in_a_config_map(name: str) -> None:
    for each in rendered(name).of_kind("ConfigMap"):
        text = yaml.safe_dump(each).lower()
        assert not re.search(r"(api_key|mailbox_secret|password|token)['\"]?\s*:", text)


def test_a_model_name_of_any_letters_becomes_a_label_that_is_allowed() -> None:
    for name, label in (
        ("Qwen/Qwen3-0.6B", "Qwen-Qwen3-0.6B"),
        ("-odd name-", "odd-name"),
        ("x" * 70, "x" * 63),
    ):
        model = {"pools": {"edge": {"model": {"name": name}}}}
        labels = render(model).one("Service", "tierflow-edge")["metadata"]["labels"]
        assert labels["tierflow.dev/model"] == label
