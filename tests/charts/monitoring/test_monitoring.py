"""Monitors keep the gateway's own labels, and give engines the tier that dashboards select by."""

import pytest

from tests.charts.cases import rendered
from tests.charts.pods import pods

pytestmark = pytest.mark.helm


def test_the_gateways_own_labels_stay() -> None:
    monitor = rendered("watched").one("ServiceMonitor", "tierflow-gateway")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True


def test_engines_get_their_tier_and_pool_from_labels_that_their_pods_carry() -> None:
    for pod in pods(rendered("watched")):
        if pod.component != "engine":
            continue
        pool = pod.labels["tierflow.dev/pool"]
        monitor = rendered("watched").one("PodMonitor", f"tierflow-{pool}")
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        sources = {each["targetLabel"]: each["sourceLabels"] for each in endpoint["relabelings"]}
        for label in ("tier", "pool"):
            assert f"tierflow.dev/{label}" in pod.labels
            assert sources[label] == [f"__meta_kubernetes_pod_label_tierflow_dev_{label}"]
