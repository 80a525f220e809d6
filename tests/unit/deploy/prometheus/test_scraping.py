"""The configuration that Prometheus and Grafana start with in the compose stack."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.servers import CHECKOUT

PROMETHEUS = CHECKOUT / "deploy/prometheus/prometheus.yml"
GRAFANA = CHECKOUT / "deploy/compose/grafana/provisioning"


def read(path: Any) -> Any:
    return yaml.safe_load(path.read_text())


def test_promtool_accepts_the_configuration() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; Debian's package prometheus has it")
    command = [promtool, "check", "config", str(PROMETHEUS)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_engines_carry_the_tier_that_dashboards_select_by() -> None:
    jobs = {job["job_name"]: job for job in read(PROMETHEUS)["scrape_configs"]}
    groups = jobs["engines"]["static_configs"]
    assert [group["labels"]["tier"] for group in groups] == ["edge", "cloud"]


def test_the_gateways_own_labels_are_kept() -> None:
    jobs = {job["job_name"]: job for job in read(PROMETHEUS)["scrape_configs"]}
    assert jobs["gateway"]["honor_labels"] is True


def test_grafana_knows_the_interval_of_scraping() -> None:
    (source,) = read(GRAFANA / "datasources/prometheus.yaml")["datasources"]
    assert source["jsonData"]["timeInterval"] == read(PROMETHEUS)["global"]["scrape_interval"]
    assert source["type"] == "prometheus"


def test_grafana_shows_a_folder_of_dashboards() -> None:
    (provider,) = read(GRAFANA / "dashboards/tierflow.yaml")["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


def test_every_target_is_a_service_that_has_that_port() -> None:
    services = read(CHECKOUT / "docker-compose.yml")["services"]
    for job in read(PROMETHEUS)["scrape_configs"]:
        for group in job["static_configs"]:
            for target in group["targets"]:
                host = target.partition(":")[0]
                assert host == "localhost" or host in services, target


def test_compose_mounts_what_the_configuration_reads() -> None:
    services = read(CHECKOUT / "docker-compose.yml")["services"]
    volumes = services["prometheus"]["volumes"]
    assert "./deploy/prometheus/prometheus.yml:/etc/prometheus/prometheus.yml:ro" in volumes
    assert "./charts/gateway/rules:/etc/prometheus/rules:ro" in volumes
    mounts = set(services["grafana"]["volumes"])
    assert "./deploy/compose/grafana/provisioning:/etc/grafana/provisioning:ro" in mounts
    assert "./charts/gateway/dashboards:/var/lib/grafana/dashboards:ro" in mounts
