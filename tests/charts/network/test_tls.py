"""TLS of the gateway's ports: whoever calls them within the release follows."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gateway.settings import Settings
from k8s.preflight.rendering import Object
from tests.charts.helm import NAMESPACE, Refusal, Rendering, render

pytestmark = pytest.mark.helm
TLS = {"certificate": "/etc/mine/tls.crt", "key": "/etc/mine/tls.key"}
NAME = "tierflow-gateway"
OPERATIONS = "tierflow-gateway-operations"
MONITORED: dict[str, Any] = {"serviceMonitor": {"enabled": True}}
KEDA = {"keda": {"enabled": True}}


def encrypted(tls: dict[str, Any] | None = None, **gateway: Any) -> Rendering:
    secret = {"secretName": "{{ .Release.Name }}-certificate"}
    return render({"gateway": MONITORED | gateway | {"tls": secret | (tls or {})}})


def settings(found: Rendering) -> Settings:
    config = found.one("ConfigMap", NAME)["data"]["gateway.yaml"]
    return Settings.model_validate(yaml.safe_load(config))


def container(found: Rendering) -> Object:
    spec = found.one("Deployment", NAME)["spec"]["template"]["spec"]
    one: Object = spec["containers"][0]
    return one


def schemes(found: Rendering) -> set[str]:
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    return {container(found)[probe]["httpGet"]["scheme"] for probe in probes}


def protocol(found: Rendering, service: str) -> str:
    said: str = found.one("Service", service)["spec"]["ports"][0]["appProtocol"]
    return said


def test_without_a_secret_every_port_and_probe_speaks_plain_http() -> None:
    found = render({"gateway": MONITORED})
    assert settings(found).listen.tls is None
    assert settings(found).operations.tls is None
    assert schemes(found) == {"HTTP"}
    assert {protocol(found, NAME), protocol(found, OPERATIONS)} == {"http"}
    assert "scheme" not in found.one("ServiceMonitor", NAME)["spec"]["endpoints"][0]


def test_both_ports_use_the_secrets_files_which_the_pod_mounts_to_read() -> None:
    found = encrypted()
    spec = found.one("Deployment", NAME)["spec"]["template"]["spec"]
    (volume,) = [each for each in spec["volumes"] if each["name"] == "tls"]
    (mount,) = [each for each in container(found)["volumeMounts"] if each["name"] == "tls"]
    assert volume["secret"]["secretName"] == "tierflow-certificate"
    assert volume["secret"]["defaultMode"] == 0o440
    assert mount["readOnly"]
    # A file mounted by subPath would not be renewed.
    assert "subPath" not in mount
    files = {f"{mount['mountPath']}/{item['path']}" for item in volume["secret"]["items"]}
    for tls in (settings(found).listen.tls, settings(found).operations.tls):
        assert tls is not None
        assert {tls.certificate, tls.key} == files


def test_probes_and_services_follow() -> None:
    found = encrypted()
    assert schemes(found) == {"HTTPS"}
    assert {protocol(found, NAME), protocol(found, OPERATIONS)} == {"https"}


def test_prometheus_checks_the_operators_port_by_the_secrets_authority() -> None:
    endpoint = encrypted().one("ServiceMonitor", NAME)["spec"]["endpoints"][0]
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == {
        "serverName": f"{OPERATIONS}.{NAMESPACE}.svc",
        "ca": {"secret": {"name": "tierflow-certificate", "key": "ca.crt"}},
    }


def test_the_releases_test_checks_the_gateway_and_does_not_hold_its_key() -> None:
    spec = encrypted().one("Pod", f"{NAME}-test")["spec"]
    (asking,) = spec["containers"]
    (volume,) = [each for each in spec["volumes"] if "secret" in each]
    (mount,) = [each for each in asking["volumeMounts"] if each["name"] == volume["name"]]
    environment = {each["name"]: each.get("value") for each in asking["env"]}
    assert asking["args"][0] == f"https://{NAME}.{NAMESPACE}.svc:8080"
    assert [each["key"] for each in volume["secret"]["items"]] == ["ca.crt"]
    assert environment["SSL_CERT_FILE"] == f"{mount['mountPath']}/ca.crt"


def test_an_authority_that_systems_know_needs_no_file() -> None:
    found = encrypted({"ca": ""})
    spec = found.one("Pod", f"{NAME}-test")["spec"]
    assert not [each for each in spec["volumes"] if "secret" in each]
    assert "ca" not in found.one("ServiceMonitor", NAME)["spec"]["endpoints"][0]["tlsConfig"]
    assert "--cacert" not in found.notes


@pytest.mark.parametrize("chart", ["tierflow", "gateway"])
def test_the_notes_ask_by_the_name_that_the_certificate_has(chart: str) -> None:
    tls = {"tls": {"secretName": "certificate"}}
    notes = render({"gateway": tls} if chart == "tierflow" else tls, chart=chart).notes
    host = f"{NAME}.{NAMESPACE}.svc:8080"
    asked = f"curl --cacert tierflow-ca.crt --resolve {host}:127.0.0.1 https://{host}/v1/chat"
    assert asked in notes
    assert "get secret certificate -o jsonpath='{.data.ca\\.crt}'" in notes
    assert "curl http://" not in notes


def test_the_notes_reach_the_operators_port_by_the_name_that_the_certificate_has() -> None:
    tls = {"secretName": "certificate"}
    admin = {"admin": {"enabled": True}}
    notes = render({"tls": tls} | admin, chart="gateway").notes
    reached = f"--url https://127.0.0.1:8081 --ca tierflow-ca.crt --server-name {OPERATIONS}"
    assert f"keys make team-a --requests-per-min 600 {reached}.{NAMESPACE}.svc\n" in notes
    plain = render({"tls": tls | {"operations": False}} | admin, chart="gateway").notes
    assert "keys make team-a --requests-per-min 600 --url http://127.0.0.1:8081\n" in plain


def test_operators_and_keda_may_stay_with_plain_http() -> None:
    found = encrypted({"operations": False}, **KEDA)
    assert settings(found).listen.tls is not None
    assert settings(found).operations.tls is None
    assert protocol(found, OPERATIONS) == "http"
    assert "scheme" not in found.one("ServiceMonitor", NAME)["spec"]["endpoints"][0]
    triggers = found.one("ScaledObject", NAME)["spec"]["triggers"]
    assert {each["metadata"]["url"].partition(":")[0] for each in triggers} == {"http"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"gateway": KEDA}, "gateway: keda.trigger metrics-api reads the replicas by plain HTTP"),
        ({"pools": {"edge": KEDA}}, "pools.edge.keda.trigger metrics-api reads the gateway"),
        ({"gateway": {"config": {"listen": {"tls": TLS}}}}, "name the certificate's Secret in tls"),
    ],
)
def test_what_tls_contradicts_is_refused_by_name(values: dict[str, Any], words: str) -> None:
    gateway = values.get("gateway", {}) | {"tls": {"secretName": "certificate"}}
    with pytest.raises(Refusal) as refused:
        render(values | {"gateway": gateway})
    assert words in str(refused.value)
