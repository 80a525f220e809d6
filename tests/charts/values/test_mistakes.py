"""Values that no chart knows or takes are refused by name; what only looks like one is taken."""

from typing import Any

import pytest

from tests.charts.helm import Refusal, render
from tests.charts.pods import pods
from tests.charts.values.contradictions import edge, gateway

pytestmark = pytest.mark.helm

MISTAKES: list[tuple[dict[str, Any], str]] = [
    (gateway(replica=2), "replica"),
    (edge(gpus=1), "gpus"),
    ({"pool": {}}, "pool"),
    (edge(replicas="two"), "replicas"),
    (edge(gpu={"count": -1}), "count"),
    (edge(engine={"dtype": "float8"}), "dtype"),
    (edge(model={"shipped": "rill-huge"}), "shipped"),
    (gateway(image={"pullPolicy": "Sometimes"}), "pullPolicy"),
    (gateway(service={"type": "Wide"}), "type"),
    ({"redis": {"image": {"tag": "latest"}}}, "tag"),
    (gateway(image={"tag": "latest"}), "tag"),
    ({"networkPolicy": {"enabled": "yes"}}, "enabled"),
    (gateway(pools={"far": {"tier": "cloud", "endpoint": "https://x"}}), "endpoint"),
    *[
        (gateway(discovery={"namespaces": [name]}), "/discovery/namespaces/0")
        for name in ("Bad_NS", "", "-x", "a.b", "x" * 64, 7)
    ],
    (gateway(dashboards={"namespace": "Bad_NS"}), "/dashboards/namespace"),
    (gateway(podDisruptionBudget={"maxUnavailable": 0}), "podDisruptionBudget"),
    (edge(podDisruptionBudget={"maxUnavailable": 0}), "podDisruptionBudget"),
    (edge(podDisruptionBudget={"maxUnavailable": "0%"}), "podDisruptionBudget"),
    (gateway(family=["a", "a"]), "/family"),
    *[(part(strategy={"type": "Rolling"}), "/strategy/type") for part in (gateway, edge)],
    *[
        (values, f"/resources/{field}/{name}")
        for field, name, amount in (
            ("limits", "cpu", "abc"),
            ("limits", "memory", "12Foo"),
            ("limits", "memory", "4Gb"),
            ("requests", "memory", "12Foo"),
            ("requests", "cpu", -1),
        )
        for values in (
            gateway(resources={field: {name: amount}}),
            edge(resources={field: {name: amount}}),
            edge(download={"resources": {field: {name: amount}}}),
            {"redis": {"resources": {field: {name: amount}}}},
        )
    ],
    *[
        (gateway(networkPolicy={"apiServer": {"cidrs": [block]}}), "/apiServer/cidrs/0")
        for block in ("10.0.0.0", "10.0.0.0/33", "300.0.0.0/8", "::/129", "here")
    ],
    *[
        (gateway(ingress={"enabled": True, "hosts": [{"host": host}]}), "/ingress/hosts/0/host")
        for host in ("http://a.b", "a.b:80", "a.b/c", "A.b", "a.*.b")
    ],
    ({"global": {"commonLabels": {"bad label!": "x"}}}, "'bad label!'"),
    ({"global": {"commonLabels": {"label": "a value"}}}, "/global/commonLabels/label"),
    ({"global": {"commonAnnotations": {"bad one!": "x"}}}, "'bad one!'"),
    (gateway(podLabels={"label": "x" * 64}), "/podLabels/label"),
    (edge(nodeSelector={"a/b/c": "x"}), "'a/b/c'"),
    (gateway(tolerations=[{"key": "a", "effect": "NoSched"}]), "/tolerations/0/effect"),
    (edge(tolerations=[{"key": "a", "operator": "Is"}]), "/tolerations/0/operator"),
    (edge(topologySpreadConstraints=[{"whenUnsatisfiable": "No"}]), "/whenUnsatisfiable"),
    (gateway(hostAliases=[{"ip": "abc"}]), "/hostAliases/0/ip"),
    (gateway(admin={"existingSecret": "Bad_Name"}), "/admin/existingSecret"),
    (edge(priorityClassName="Very urgent"), "/priorityClassName"),
    (gateway(imagePullSecrets=["Pull_Me"]), "/imagePullSecrets/0"),
]

TAKEN: list[dict[str, Any]] = [
    gateway(
        resources={"limits": {"cpu": 2.5, "memory": "1.5Gi", "ephemeral-storage": "1e9"}},
        networkPolicy={"apiServer": {"cidrs": ["10.0.0.0/8", "192.0.2.7/32", "fd00::/64"]}},
        ingress={"enabled": True, "hosts": [{"host": "*.example.org"}, {"host": "a-1.b"}]},
        admin={"existingSecret": "{{ .Release.Name }}-mine"},
        hostAliases=[{"ip": "fd00::1", "hostnames": ["a.example"]}],
        tolerations=[{"operator": "Exists"}, {"key": "a", "effect": "NoExecute"}],
        strategy={"type": "Recreate", "rollingUpdate": None},
        family=["a-device", "rill-edge", "rill-cloud"],
    ),
    gateway(strategy={"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}}),
    {"global": {"commonLabels": {"example.org/team": "a.b_C-1", "empty": ""}}},
    edge(engine={"args": ["--seed", 7, "--port-name", "--max-num-seqs=8"]}),
    # Other numbers make another name, and so does more than one letter.
    edge(model={"name": "qwen-7b"}) | gateway(family=["qwen-3b", "rill-clxyd"]),
]


@pytest.mark.parametrize("values", TAKEN, ids=[str(each)[:60] for each in TAKEN])
def test_what_only_looks_like_a_mistake_is_taken(values: dict[str, Any]) -> None:
    assert render(values).has("Deployment", "tierflow-gateway")


def test_a_gateway_that_is_recreated_has_no_rule_for_rolling_updates() -> None:
    found = render(gateway(strategy={"type": "Recreate"})).one("Deployment", "tierflow-gateway")
    assert found["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("version", [":1", ":v1.0-rc_2", "@sha256:" + "0a" * 32])
def test_a_models_image_is_taken_with_a_version(version: str) -> None:
    reference = f"example.org:5000/models/a{version}"
    found = render(edge(model={"name": "a", "image": {"reference": reference}}))
    assert reference in {each["image"] for pod in pods(found) for each in pod.containers}


@pytest.mark.parametrize(("values", "words"), MISTAKES, ids=[str(each) for each, _ in MISTAKES])
def test_values_that_no_chart_knows_or_takes_are_refused_by_name(
    values: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refusal) as refused:
        render(values)
    assert words in str(refused.value)
