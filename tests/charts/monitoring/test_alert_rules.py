"""The alerts that the chart ships are valid, about series that exist, and go off as they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.cases import rendered
from tests.charts.monitoring.test_dashboards import KINDS
from tests.dashboards import queries
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
    namespace; `besides` are whole further series. `at` tells by time whether it fires, `labels`
    are those that it then has."""

    file: str
    alert: str
    metric: str
    series: Mapping[str, str]
    at: Mapping[str, bool]
    labels: Mapping[str, str]
    besides: Mapping[str, str] = field(default_factory=dict)

    def test(self) -> dict[str, Any]:
        """For `promtool test rules`."""
        labels = {"namespace": "a", **self.labels}
        fires = [{"exp_labels": labels, "exp_annotations": self._annotations(labels)}]
        return {
            "interval": "30s",
            "input_series": [
                {"series": f'{self.metric}{{namespace="a", {more}}}', "values": values}
                for more, values in self.series.items()
            ]
            + [{"series": series, "values": values} for series, values in self.besides.items()],
            "alert_rule_test": [
                {"eval_time": time, "alertname": self.alert, "exp_alerts": fires if on else []}
                for time, on in self.at.items()
            ],
        }

    def _annotations(self, labels: Mapping[str, str]) -> dict[str, str]:
        groups = yaml.safe_load((RULES / self.file).read_text())["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        (found,) = [rule for rule in rules if rule.get("alert") == self.alert]
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
        file="endpoints.yaml",
        alert="TierflowPoolDown",
        metric="tierflow_endpoint_up",
        series={
            'pool="edge", endpoint="a"': "1x4 0x20 1x20",
            'pool="edge", endpoint="b"': "0x60",
            'pool="cloud", endpoint="c"': "1x60",
        },
        at={"2m": False, "6m": True, "15m": False},
        labels={"severity": "critical", "pool": "edge"},
    ),
    Firing(
        file="endpoints.yaml",
        alert="TierflowEndpointDown",
        metric="tierflow_endpoint_up",
        series={
            'pool="edge", endpoint="a", pod="one"': "0x60",
            'pool="edge", endpoint="a", pod="other"': "1x60",
            'pool="edge", endpoint="b", pod="one"': "1x60",
        },
        at={"5m": False, "12m": True},
        labels={"severity": "warning", "pool": "edge", "endpoint": "a"},
    ),
    Firing(
        file="endpoints.yaml",
        alert="TierflowEndpointsEjected",
        metric="tierflow_ejections_total",
        series={
            'pool="edge", cause="engine_error"': "0x4 0+1x10 10x80",
            'pool="cloud", cause="engine_error"': "0x4 1x90",
        },
        at={"2m": False, "8m": True, "40m": False},
        labels={"severity": "warning", "pool": "edge", "cause": "engine_error"},
    ),
    Firing(
        file="objectives.yaml",
        alert="TierflowRequestsFail",
        metric="tierflow_requests_total",
        series={
            'outcome="ok"': "0+100x100",
            'outcome="client_error"': "0+50x100",
            'outcome="engine_error"': "0x20 0+10x80",
        },
        at={"8m": False, "20m": True},
        labels={"severity": "critical"},
    ),
    Firing(
        file="objectives.yaml",
        alert="TierflowErrorBudgetBurns",
        metric="tierflow_requests_total",
        series={
            'outcome="ok"': "0+1000x1500",
            'outcome="engine_error"': "0x20 0+10x600 6000x880",
        },
        at={"8m": False, "4h": True, "7h": False},
        labels={"severity": "warning"},
    ),
    Firing(
        file="objectives.yaml",
        alert="TierflowFirstTokensLate",
        metric="tierflow_time_to_first_token_seconds_bucket",
        series={
            'le="2.0"': "0+10x120 1200+5x240",
            'le="4.0"': "0+10x360",
        },
        besides={'tierflow_time_to_first_token_seconds_count{namespace="a"}': "0+10x360"},
        at={"50m": False, "110m": True},
        labels={"severity": "critical"},
    ),
    Firing(
        file="objectives.yaml",
        alert="TierflowNoCapacity",
        metric="tierflow_endpoint_saturated",
        series={
            'pool="edge", endpoint="a"': "1x60",
            'pool="cloud", endpoint="b"': "0x10 1x30 0x20",
        },
        at={"4m": False, "12m": True, "25m": False},
        labels={"severity": "critical"},
    ),
    Firing(
        file="devices.yaml",
        alert="TierflowDevicesGone",
        metric="tierflow_devices_connected",
        series={'pod="one"': "10x60 2x60 10x60", 'pod="other"': "8x180"},
        at={"20m": False, "40m": False},
        labels={"severity": "warning"},
    ),
    Firing(
        file="devices.yaml",
        alert="TierflowDevicesGone",
        metric="tierflow_devices_connected",
        series={'pod="one"': "10x60 2x60 10x60", 'pod="other"': "4x60 1x60 4x60"},
        at={"20m": False, "40m": True, "70m": False},
        labels={"severity": "warning"},
    ),
    Firing(
        file="devices.yaml",
        alert="TierflowDraftsRefused",
        metric="tierflow_speculation_draft_tokens_total",
        series={'tier="cloud", fate="forwarded"': "0+1000x1200"},
        besides={
            'tierflow_speculation_accepted_tokens_total{namespace="a", tier="cloud"}': (
                "0+800x800 640000+100x400"
            )
        },
        at={"6h": False, "7h30m": True},
        labels={"severity": "warning", "tier": "cloud"},
    ),
    Firing(
        file="certificates.yaml",
        alert="TierflowCertificateEnds",
        metric="tierflow_certificate_expires_seconds",
        series={
            'setting="listen.tls", pod="one"': "1209000x60 9000000x60",
            'setting="operations.tls", pod="one"': "9000000x120",
        },
        at={"10m": False, "20m": True, "40m": False},
        labels={"severity": "warning", "setting": "listen.tls"},
    ),
    Firing(
        file="certificates.yaml",
        alert="TierflowKeyEnds",
        metric="tierflow_key_expires_seconds",
        series={'key="team-a"': "604000x60 -10x60", 'key="team-b"': "9000000x120"},
        at={"10m": False, "20m": True, "40m": False},
        labels={"severity": "warning", "key": "team-a"},
    ),
    Firing(
        file="requests.yaml",
        alert="TierflowRequestsShed",
        metric="tierflow_shed_requests_total",
        series={'reason="queue_full"': "0x10 0+5x60", 'reason="draining"': "0+50x70"},
        besides={'tierflow_requests_total{namespace="a", outcome="ok"}': "0+100x70"},
        at={"4m": False, "20m": True},
        labels={"severity": "warning", "reason": "queue_full"},
    ),
    Firing(
        file="requests.yaml",
        alert="TierflowAnswersBreak",
        metric="tierflow_resumptions_total",
        series={'way="chat", outcome="resumed", cause="engine_disconnected"': "0x4 0+1x10 10x80"},
        at={"2m": False, "8m": True, "40m": False},
        labels={"severity": "warning", "cause": "engine_disconnected"},
    ),
    Firing(
        file="requests.yaml",
        alert="TierflowAnswersLost",
        metric="tierflow_resumptions_total",
        series={
            'way="chat", outcome="failed", cause="idle_timeout"': "0x4 0+1x4 4x80",
            'way="chat", outcome="resumed", cause="engine_error"': "0+1x90",
        },
        at={"2m": False, "8m": True, "40m": False},
        labels={"severity": "critical", "cause": "idle_timeout"},
    ),
    Firing(
        file="requests.yaml",
        alert="TierflowResumableStreamsLost",
        metric="tierflow_streams_lost_total",
        series={'reason="evicted"': "0x4 0+1x4 4x80", 'reason="expired"': "0+5x90"},
        at={"2m": False, "8m": True, "40m": False},
        labels={"severity": "warning", "reason": "evicted"},
    ),
    Firing(
        file="requests.yaml",
        alert="TierflowLogLinesLost",
        metric="tierflow_log_lines_dropped_total",
        series={'pod="one"': "0x6 40x60", 'pod="other"': "0x66"},
        at={"2m": False, "5m": True, "20m": False},
        labels={"severity": "warning"},
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
    # A pool at zero has no endpoint of which another alert could tell.
    Firing(
        file="conditions.yaml",
        alert="TierflowDegraded",
        metric="tierflow_condition",
        series={'condition="pool-down", pod="one"': "_x4 1x40 _x20"},
        at={"5m": False, "14m": True, "30m": False},
        labels={"severity": "warning", "condition": "pool-down"},
    ),
]


@each_file
def test_alerts_are_about_series_that_exist_and_say_what_to_do(file: Path) -> None:
    for group in yaml.safe_load(file.read_text())["groups"]:
        for rule in group["rules"]:
            assert set(re.findall(r"\btierflow_\w+", rule["expr"])) <= KINDS.keys()
            if "record" in rule:
                continue
            assert rule["labels"]["severity"] in ("warning", "critical")
            told = rule["annotations"]
            assert told["summary"] and told["description"]
            assert told["runbook"] == f"docs/operate.md#{rule['alert'].lower()}"


@pytest.mark.helm
@each_file
def test_each_file_is_rendered_as_it_stands(file: Path) -> None:
    rule = rendered("watched").one("PrometheusRule", f"tierflow-{file.stem}")
    assert rule["spec"] == yaml.safe_load(file.read_text())


def test_what_counts_as_a_failure_is_the_same_on_the_dashboard_and_for_the_alert() -> None:
    (panel,) = [query for query in queries() if query.panel == "Failed"]
    outcomes = re.compile(r'outcome!~"([^"]+)"')
    assert outcomes.findall((RULES / "objectives.yaml").read_text()) == outcomes.findall(
        panel.expression
    )


def test_every_alert_is_shown_to_fire() -> None:
    assert severities().keys() - {firing.alert for firing in FIRINGS} <= {"TierflowStateFaltering"}


def test_every_alert_is_documented_with_its_severity() -> None:
    page = (CHECKOUT / "docs/operate.md").read_text()
    assert dict(re.findall(r"^\| `(Tierflow\w+)` \| (\w+) \|", page, re.M)) == severities()


def test_every_alert_has_a_runbook_with_its_meaning_cause_and_commands() -> None:
    page = (CHECKOUT / "docs/operate.md").read_text()
    books = dict(re.findall(r"^### (Tierflow\w+)\n(.*?)(?=^##|\Z)", page, re.M | re.S))
    assert books.keys() == severities().keys()
    for alert, book in books.items():
        for part in ("**Symptom.**", "**Cause.**", "**Look.**", "**Mend.**"):
            assert part in book, (alert, part)
        assert re.search(r"^- `", book, re.M), f"{alert}: say what to look at"


def test_the_page_for_operators_names_only_series_that_exist() -> None:
    page = (CHECKOUT / "docs/operate.md").read_text()
    named = set(re.findall(r"\b(?:tierflow_|vllm:)\w+", page))
    assert named and named <= KINDS.keys(), named - KINDS.keys()


def severities() -> dict[str, str]:
    """By alert."""
    return {
        rule["alert"]: rule["labels"]["severity"]
        for file in FILES
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


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
