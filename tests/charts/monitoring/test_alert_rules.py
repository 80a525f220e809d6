"""The alerts that the chart ships are valid, about series that exist, and go off as they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.cases import rendered
from tests.charts.monitoring.test_dashboards import KINDS
from tests.servers import CHECKOUT

RULES = CHECKOUT / "charts/gateway/rules"
FILES = sorted(RULES.glob("*.yaml"))
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
STATE_IS_LOST: dict[str, Any] = {
    "rule_files": ["state.yaml"],
    "evaluation_interval": "30s",
    "tests": [
        {
            "interval": "30s",
            "input_series": [
                {"series": f'tierflow_state_up{{namespace="a", pod="{pod}"}}', "values": values}
                for pod, values in (("one", "1x20"), ("other", "1 0x5 1x20"))
            ],
            "alert_rule_test": [
                {"eval_time": time, "alertname": "TierflowStateLost", "exp_alerts": expected}
                for time, expected in (
                    ("1m", []),
                    ("2m", [{"exp_labels": {"severity": "critical", "namespace": "a"}}]),
                    ("5m", []),
                )
            ],
        }
    ],
}


@each_file
def test_alerts_are_about_series_that_exist_and_say_what_to_do(file: Path) -> None:
    for group in yaml.safe_load(file.read_text())["groups"]:
        for rule in group["rules"]:
            assert set(re.findall(r"\btierflow_\w+", rule["expr"])) <= KINDS.keys()
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert rule["annotations"]["summary"] and rule["annotations"]["description"]


@pytest.mark.helm
@each_file
def test_each_file_is_rendered_as_it_stands(file: Path) -> None:
    rule = rendered("watched").one("PrometheusRule", f"tierflow-{file.stem}")
    assert rule["spec"] == yaml.safe_load(file.read_text())


@pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not installed; Debian's package prometheus has it",
)
def test_prometheus_reads_them_and_a_lost_state_goes_off_after_a_minute(tmp_path: Path) -> None:
    for file in FILES:
        (tmp_path / file.name).write_text(file.read_text())
        checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True)
        assert checked.returncode == 0, checked.stderr
    for case in STATE_IS_LOST["tests"][0]["alert_rule_test"]:
        for alert in case["exp_alerts"]:
            alert["exp_annotations"] = _annotations("TierflowStateLost", namespace="a")
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(STATE_IS_LOST))
    tested = subprocess.run(
        ["promtool", "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def _annotations(alert: str, namespace: str) -> dict[str, str]:
    groups = yaml.safe_load((RULES / "state.yaml").read_text())["groups"]
    (found,) = [rule for group in groups for rule in group["rules"] if rule["alert"] == alert]
    return {
        name: text.replace("{{ $labels.namespace }}", namespace)
        for name, text in found["annotations"].items()
    }
