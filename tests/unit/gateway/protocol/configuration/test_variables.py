"""A variable of ours that no part reads is named, with the one that was meant."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from deploy.local.variables import VARIABLES
from gateway.protocol.configuration.variables import (
    KNOWN,
    READERS,
    SETTINGS_PREFIX,
    variables_problem,
)

ROOT = Path(__file__).resolve().parents[5]
NAME = re.compile(r"\bTIERFLOW_[A-Z][A-Z0-9_]*[A-Z0-9]\b")
SOURCES = (".py", ".yml", ".yaml", ".tpl", ".txt", ".toml", "Makefile", "Dockerfile", "run", ".sh")


def names_in_sources() -> set[str]:
    """The variables that the repository's programs, charts and images name."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    files = [ROOT / name for name in listed if name.endswith(SOURCES) and "tests/" not in name]
    texts = (file.read_text() for file in files if file.is_file())
    found = {name for text in texts for name in NAME.findall(text)}
    return {name for name in found if not f"{name}_".startswith(SETTINGS_PREFIX)}


def test_every_variable_that_a_part_reads_is_known() -> None:
    assert names_in_sources() <= KNOWN
    assert {variable.name for variable in VARIABLES} <= KNOWN


def test_no_variable_is_listed_twice() -> None:
    assert sum(len(names) for names in READERS.values()) == len(KNOWN)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TIERFLOW_EDGE_MODLE", "TIERFLOW_EDGE_MODEL"),
        ("TIERFLOW_PROT", "TIERFLOW_PORT"),
        ("TIERFLOW_DEVICE", "TIERFLOW_DEVICES"),
        ("TIERFLOW_DEVICE_TOKENS", "TIERFLOW_DEVICE_TOKEN"),
        ("TIERFOW_DEVICES", "TIERFLOW_DEVICES"),
        ("tierflow_devices", "TIERFLOW_DEVICES"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(name: str, meant: str) -> None:
    problem = variables_problem({name: "hunter2", "PATH": "/bin", "TIERFLOW_PORT": "1"})
    assert problem == f"{name} is no variable of Tierflow; did you mean {meant}?"


def test_a_service_s_port_without_its_host_is_no_cluster_s() -> None:
    assert "TIERFLOW_EDGE_SERVICE_PORT" in variables_problem({"TIERFLOW_EDGE_SERVICE_PORT": "1"})


def test_one_that_is_like_none_is_named_too() -> None:
    problem = variables_problem({"TIERFLOW_XYZZY": "hunter2"})
    assert problem == "TIERFLOW_XYZZY is no variable of Tierflow: take it out of the environment"


@pytest.mark.parametrize(
    "environ",
    [
        # Tests, Compose and other parts hand theirs on.
        {"TIERFLOW_TEST_FAMILY": "/x", "TIERFLOW_ENGINE_PYTHON": "/x", "TIERFLOW_GRAFANA_PORT": ""},
        # Who does not know the gateway's settings leaves them to the gateway.
        {"TIERFLOW_GATEWAY_ANYTHING__AT_ALL": "1"},
        # Kubernetes, of Services named tierflow, tierflow-gateway and tierflow-edge.
        {
            "TIERFLOW_PORT": "tcp://10.0.0.1:8080",
            "TIERFLOW_SERVICE_HOST": "10.0.0.1",
            "TIERFLOW_SERVICE_PORT": "8080",
            "TIERFLOW_REDIS_SERVICE_HOST": "10.0.0.2",
            "TIERFLOW_REDIS_PORT": "tcp://10.0.0.2:6379",
            "TIERFLOW_REDIS_PORT_6379_TCP": "tcp://10.0.0.2:6379",
            "TIERFLOW_REDIS_PORT_6379_TCP_PROTO": "tcp",
            "TIERFLOW_REDIS_PORT_6379_TCP_PORT": "6379",
            "TIERFLOW_REDIS_PORT_6379_TCP_ADDR": "10.0.0.2",
            "TIERFLOW_REDIS_SERVICE_PORT": "6379",
            "TIERFLOW_REDIS_SERVICE_PORT_REDIS": "6379",
        },
        {"TIERFLOWS": "x", "OTHER_TIERFLOW_THING": "x", "TIERFLOWS_THING": "x"},
    ],
)
def test_what_others_set_is_left_alone(environ: dict[str, str]) -> None:
    assert variables_problem(environ) == ""
