"""The alerts that the chart ships are valid, about series that exist, and go off as they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.cases import rendered
from tests.charts.monitoring.test_dashboards import KINDS
from tests.servers import CHECKOUT

RULES = CHECKOUT / "charts/gateway/rules"
FILES = sorted(RULES.glob("*.yaml"))
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not installed; Debian's package prometheus has it",
)
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@dataclass(frozen=True, kw_only=True)
class Firing:
    """An alert of one file. `series` are values each half minute, by their labels beside the
    namespace; `at` tells by time whether it fires. `labels` are those that it then has."""

    file: str
    alert: str
    metric: str
    series: Mapping[str, str]
    at: Mapping[str, bool]
    labels: Mapping[str, str]

    def test(self) -> dict[str, Any]:
        """For `promtool test rules`."""
        labels = {"namespace": "a", **self.labels}
        fires = [{"exp_labels": labels, "exp_annotations": self._annotations(labels)}]
        return {
            "interval": "30s",
            "input_series": [
                {"series": f'{self.metric}{{namespace="a", {more}}}', "values": values}
                for more, values in self.series.items()
            ],
            "alert_rule_test": [
                {"eval_time": time, "alertname": self.alert, "exp_alerts": fires if on else []}
                for time, on in self.at.items()
            ],
        }

    def _annotations(self, labels: Mapping[str, str]) -> dict[str, str]:
        groups = yaml.safe_load((RULES / self.file).read_text())["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        (found,) = [rule for rule in rules if rule["alert"] == self.alert]
        annotations = dict(found["annotations"])
        for name, value in labels.items():
            for key, text in annotations.items():
                annotations[key] = text.replace(f"{{{{ $labels.{name} }}}}", value)
        return annotations


FIRINGS = [
    Firing(
        file="state.yaml",
        alert="TierflowStateLost",
        metric="tierflow_state_up",
        series={'pod="one"': "1x20", 'pod="other"': "1 0x5 1x20"},
        at={"1m": False, "2m": True, "5m": False},
        labels={"severity": "critical"},
    ),
    Firing(
        file="state.yaml",
        alert="TierflowStateEmptied",
        metric="tierflow_state_emptied_total",
        series={'pod="one"': "0x6 1x60", 'pod="other"': "0x66"},
        at={"2m": False, "5m": True, "30m": False},
        labels={"severity": "critical"},
    ),
    Firing(
        file="conditions.yaml",
        alert="TierflowDegraded",
        metric="tierflow_condition",
        series={
            'condition="mailbox-lost", pod="one"': "_x4 1x40 _x20",
            'condition="state-lost", pod="one"': "1x60",
        },
        at={"5m": False, "14m": True, "30m": False},
        labels={"severity": "warning", "condition": "mailbox-lost"},
    ),
]


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


@needs_promtool
def test_prometheus_reads_every_file() -> None:
    for file in FILES:
        checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True)
        assert checked.returncode == 0, checked.stderr


@needs_promtool
@pytest.mark.parametrize("firing", FIRINGS, ids=lambda firing: firing.alert)
def test_an_alert_fires_while_it_should_and_not_before_or_after(
    firing: Firing, tmp_path: Path
) -> None:
    (tmp_path / firing.file).write_text((RULES / firing.file).read_text())
    suite = {
        "rule_files": [firing.file],
        "evaluation_interval": "30s",
        "tests": [firing.test()],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(suite))
    tested = subprocess.run(
        ["promtool", "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
