"""Where there is no cluster, the tests above say why they are skipped."""

from pathlib import Path

import pytest
import yaml

from tests.e2e.cluster import SWITCH, reason_to_skip
from tests.integration.preflight.cluster import healthy, kubeconfig
from tests.servers import free_port
from tests.stand_in import stand_in


def write_tools(folder: Path, server: str) -> dict[str, str]:
    kubectl, config = folder / "kubectl", folder / "kubeconfig"
    kubectl.write_text("#!/bin/sh\n")
    kubectl.chmod(0o755)
    config.write_text(yaml.safe_dump(kubeconfig(server)))
    return {SWITCH: "1", "KUBECONFIG": str(config), "PATH": str(folder)}


@pytest.mark.parametrize(
    ("without", "words"),
    [(SWITCH, "make test-cluster"), ("KUBECONFIG", "KUBECONFIG"), ("PATH", "kubectl")],
)
def test_what_is_lacking_is_named(tmp_path: Path, without: str, words: str) -> None:
    environment = write_tools(tmp_path, "http://127.0.0.1:1") | {without: ""}
    assert words in reason_to_skip(environment)


def test_a_cluster_that_does_not_answer_is_a_reason(tmp_path: Path) -> None:
    environment = write_tools(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert "can't be used" in reason_to_skip(environment)


def test_a_cluster_that_answers_is_used(tmp_path: Path) -> None:
    with stand_in(healthy()) as server:
        assert reason_to_skip(write_tools(tmp_path, server.url)) == ""
