"""Every value does something: changed alone, it changes what is rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deploy.charts import CHARTS
from k8s.preflight.rendering import overlay
from tests.charts.helm import Rendering, render

pytestmark = pytest.mark.helm
Values = dict[str, Any]
Path = tuple[str, ...]

PEERS = [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]
KEDA = {"enabled": True, "gatewayUrl": "http://gateway/metrics"}
PROMETHEUS = {"trigger": "prometheus", "prometheus": {"serverAddress": "http://x"}}
HUB = {"model": {"hub": "owner/model"}}
IMAGE = {"model": {"name": "m", "image": {"reference": "example.org/m:1"}}}
NODE_PORT = {"service": {"type": "NodePort"}}
BALANCED = {"service": {"type": "LoadBalancer"}}

AROUND: dict[str, dict[str, Values]] = {
    "gateway": {
        "discovery.enabled": {
            "pools": {"far": {"tier": "cloud", "endpoints": ["https://engines.example"]}}
        },
        "discovery.apiKey": {"discovery": {"apiKey": {"existingSecret": "mine"}}},
        "drafts.key": {"drafts": {"existingSecret": "mine"}},
        "state": {"state": {"existingSecret": "mine"}},
        "tls": {"tls": {"secretName": "mine"}, "serviceMonitor": {"enabled": True}},
        "admin.existingSecret": {},
        "keda.prometheus": {"keda": {"enabled": True, **PROMETHEUS}},
        "keda": {"keda": {"enabled": True, "prometheus": {"serverAddress": "http://x"}}},
        "keda.enabled": {},
        "ingress": {"ingress": {"enabled": True, "hosts": [{"host": "a.example"}]}},
        "ingress.enabled": {"ingress": {"hosts": [{"host": "a.example"}]}},
        "httpRoute": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}},
        "httpRoute.enabled": {"httpRoute": {"parentRefs": [{"name": "public"}]}},
        "serviceMonitor": {"serviceMonitor": {"enabled": True}},
        "serviceMonitor.enabled": {},
        "dashboards": {"dashboards": {"enabled": True}},
        "dashboards.enabled": {},
        "prometheusRules": {"prometheusRules": {"enabled": True}},
        "prometheusRules.enabled": {},
        "replicas": {"autoscaling": {"enabled": False}},
        "service.nodePort": NODE_PORT,
        "service.externalTrafficPolicy": NODE_PORT,
        "service.loadBalancerClass": BALANCED,
        "service.loadBalancerIP": BALANCED,
        "service.loadBalancerSourceRanges": BALANCED,
        "serviceAccount.create": {"serviceAccount": {"name": "mine"}},
    },
    "model-pool": {
        "global.dns": HUB,
        "model.revision": HUB,
        "model.exclude": HUB,
        "model.claim": {"model": {"name": "m", "claim": {"name": "weights"}}},
        "model.image": IMAGE,
        "download": HUB,
        "download.tokenSecret": HUB | {"download": {"tokenSecret": {"name": "token"}}},
        "gpu": {"gpu": {"count": 1}},
        "gpu.count": {},
        "gpu.productLabels": {"gpu": {"count": 1, "products": ["L4"]}},
        "engine.tensorParallelSize": {},
        "lora": {"lora": {"modules": [{"name": "sql", "path": "/adapters/sql"}]}},
        "multiNode": {
            "multiNode": {"enabled": True},
            "gpu": {"count": 1},
            "drafts": {"enabled": False},
            "engine": {"args": ["-dp", "2"]},
        },
        "multiNode.enabled": {"gpu": {"count": 1}, "drafts": {"enabled": False}},
        "keda": {"keda": KEDA},
        "keda.enabled": {"keda": {"gatewayUrl": "http://gateway/metrics"}},
        "keda.prometheus": {"keda": KEDA | PROMETHEUS},
        "keda.trigger": {"keda": KEDA | {"prometheus": {"serverAddress": "http://x"}}},
        "podMonitor": {
            "podMonitor": {"enabled": True},
            "networkPolicy": {"metricsFrom": PEERS},
        },
        "podMonitor.enabled": {"networkPolicy": {"metricsFrom": PEERS}},
        "networkPolicy.hub": HUB,
    },
    "tierflow": {
        "redis.external.existingSecret": {"gateway": {"state": {"existingSecret": "changed"}}},
    },
}
"""What else must be set so that a value, or those below it, can show; the longest path counts."""

CHANGED: dict[str, dict[str, Any]] = {
    "gateway": {
        "discovery.namespaces": ["far"],
        "drafts.existingSecret": "changed",
        "state.whenLost": "closed",
        "state.ports": [6390],
        "pools": {"far": {"tier": "cloud", "endpoints": ["https://engines.example"]}},
        "devices.names": ["kitchen"],
        "devices.tokens": {"kitchen": "0a" * 32},
        "config": {"log_level": "debug"},
        "image.digest": "sha256:" + "0a" * 32,
        "image.pullPolicy": "Always",
        "lifecycle.terminationGracePeriodSeconds": 400,
        "dnsPolicy": "Default",
        "service.type": "NodePort",
        "service.nodePort": 30080,
        "service.externalTrafficPolicy": "Local",
        "service.internalTrafficPolicy": "Local",
        "service.sessionAffinity": "ClientIP",
        "service.loadBalancerIP": "192.0.2.1",
        "service.loadBalancerSourceRanges": ["192.0.2.0/24"],
        "service.ipFamilyPolicy": "PreferDualStack",
        "service.ipFamilies": ["IPv6"],
        "autoscaling.targetMemoryUtilizationPercentage": 80,
        "keda.trigger": "prometheus",
        "ingress.hosts": [{"host": "b.example"}],
        "ingress.tls": [{"secretName": "mine"}],
        "ingress.pathType": "Exact",
        "ingress.paths": ["/v1/models"],
        "httpRoute.parentRefs": [{"name": "other"}],
        "httpRoute.paths": ["/v1/models"],
        "httpRoute.requestTimeout": "7s",
        "networkPolicy.apiServer.ports": [16443],
        "networkPolicy.apiServer.cidrs": ["192.0.2.0/24"],
        "strategy.type": "Recreate",
        "podDisruptionBudget.maxUnavailable": 2,
    },
    "model-pool": {
        "tier": "cloud",
        "drafts.choice": "all",
        "image.digest": "sha256:" + "0a" * 32,
        "image.pullPolicy": "Always",
        "model.shipped": "rill-cloud",
        "model.hub": "owner/other",
        "model.exclude": ["*.bin"],
        "model.claim.path": "a",
        "model.image.reference": "example.org/m:2",
        "model.image.mount": "volume",
        "model.image.pullPolicy": "Always",
        "download.endpoint": "http://mirror.example:8080",
        "download.storage": "ephemeral",
        "download.claim.accessModes": ["ReadWriteMany"],
        "gpu.count": 1,
        "engine.dtype": "float16",
        "engine.maxModelLen": 2048,
        "engine.kvCacheGiB": 2,
        "engine.tensorParallelSize": 2,
        "engine.pipelineParallelSize": 2,
        "engine.args": ["--seed", "7"],
        "lora.modules": [{"name": "sql", "path": "/adapters/other"}],
        "multiNode.size": 3,
        "sharedMemory": "1Gi",
        "dnsPolicy": "Default",
        "service.internalTrafficPolicy": "Local",
        "service.ipFamilyPolicy": "PreferDualStack",
        "service.ipFamilies": ["IPv6"],
        "keda.trigger": "prometheus",
        "keda.gatewayUrl": "http://other/metrics",
        "strategy": {"type": "Recreate"},
        "lifecycle.preStopSeconds": 20,
        "resources": {"limits": {"cpu": "3"}},
    },
    "tierflow": {
        "redis.external.url": "redis://cache.example",
        "redis.image.digest": "sha256:" + "0a" * 32,
        "redis.image.pullPolicy": "Always",
        "redis.maxMemory": "100mb",
        "redis.dnsPolicy": "Default",
        "redis.resources.requests": {"cpu": "60m"},
    },
}
"""What a value becomes, where a longer text, a larger number or the like would not do."""

WITHOUT_EFFECT = {
    ("gateway", "enabled"): "the including chart's condition",
    ("gateway", "networkPolicy.apiServer.lookup"): "asks the cluster: test_helm_commands.py",
    ("gateway", "global.throwawaySecrets"): "stops a rendering: test_helm_commands.py",
    ("model-pool", "global.throwawaySecrets"): "stops a rendering: test_helm_commands.py",
    ("tierflow", "global.throwawaySecrets"): "stops a rendering: test_helm_commands.py",
    ("model-pool", "library"): "nothing is left: test_parallel.py",
}
OBJECTS: dict[str, Any] = {
    "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["x.example"]}],
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "a"}],
    "extraEnv": [{"name": "A", "value": "b"}],
    "extraEnvFrom": [{"secretRef": {"name": "a"}}],
    "extraContainers": [{"name": "a", "image": "b:1"}],
    "extraInitContainers": [{"name": "a", "image": "b:1"}],
    "extraVolumes": [{"name": "a", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "tmp", "mountPath": "/a"}],
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}],
    "ingress": [{"from": PEERS}],
    "egress": [{"to": PEERS}],
    "ports": [54],
    "metrics": [{"type": "Pods"}],
    "relabelings": [{"action": "labeldrop", "regex": "a"}],
    "metricRelabelings": [{"action": "labeldrop", "regex": "a"}],
    "from": PEERS,
    "to": PEERS,
    "operationsFrom": PEERS,
    "metricsFrom": PEERS,
    "gateways": PEERS,
    "affinity": {"podAffinity": {}},
    "dnsConfig": {"nameservers": ["192.0.2.1"]},
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
}


def leaves(values: Values, *above: str) -> Iterator[tuple[Path, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, *above, name)
        else:
            yield (*above, name), value


def nested(path: Path, value: Any) -> Values:
    name, *rest = path
    return {name: nested(tuple(rest), value) if rest else value}


def around(chart: str, dotted: str) -> Values:
    fitting = [place for place in AROUND[chart] if f"{dotted}.".startswith(f"{place}.")]
    return AROUND[chart][max(fitting, key=len)] if fitting else {}


def changed(chart: str, path: Path, default: Any) -> Any:
    """Another value than the default."""
    dotted = ".".join(path)
    if dotted in CHANGED[chart]:
        return CHANGED[chart][dotted]
    if path[-1] in OBJECTS and not isinstance(default, str):
        return OBJECTS[path[-1]]
    if isinstance(default, bool):
        return not default
    if isinstance(default, int | float):
        return default + 1
    if isinstance(default, list):
        return [*default, "changed"]
    if isinstance(default, dict):
        return {"changed": "1"}
    if default is None:
        return 7
    if quantity := re.fullmatch(r"([0-9]+)([A-Za-z]*)", default):
        smaller = int(quantity[1]) - 1 or 2
        return f"{smaller}{quantity[2]}"
    return f"{default}x" if default and not default.startswith("{{") else "changed"


def stable(rendering: Rendering) -> list[Any]:
    """The objects, of random Secrets only the names of what is in them."""
    return [
        each
        | {
            "stringData": None,
            "data": sorted({**each.get("data", {}), **each.get("stringData", {})}),
        }
        if each["kind"] == "Secret"
        else each
        for each in rendering.objects
    ]


def defaults(chart: str) -> Values:
    found: Values = yaml.safe_load((CHARTS[chart] / "values.yaml").read_text())
    if chart == "tierflow":
        return {name: found[name] for name in ("global", "redis", "networkPolicy", "extraObjects")}
    return found


PARTS = [(chart, name) for chart in CHARTS for name in defaults(chart)]


@pytest.mark.parametrize(("chart", "part"), PARTS, ids=[f"{c}:{p}" for c, p in PARTS])
def test_every_value_changes_the_rendering(chart: str, part: str) -> None:
    own: Values = {"pool": "mine", "tier": "edge"} if chart == "model-pool" else {}
    without = []
    for path, default in leaves({part: defaults(chart)[part]}):
        dotted = ".".join(path)
        if (chart, dotted) in WITHOUT_EFFECT:
            continue
        before = overlay(own, around(chart, dotted))
        after = overlay(before, nested(path, changed(chart, path, default)))
        if dotted == "redis.external.url":
            after = overlay(after, {"gateway": {"state": {"ports": [6379]}}})
            before = overlay(before, {"gateway": {"state": {"ports": [6379]}}})
        if dotted == "redis.external.existingSecret":
            after["gateway"]["state"]["ports"] = [6379]
            before = {"gateway": {"state": {"ports": [6379]}}}
        if dotted == "engine.tensorParallelSize":
            after["gpu"], before["gpu"] = {"count": 2}, {"count": 2}
            before["engine"] = {"pipelineParallelSize": 2, "tensorParallelSize": 1}
        if stable(render(before, chart=chart)) == stable(render(after, chart=chart)):
            without.append(dotted)
    assert without == []
