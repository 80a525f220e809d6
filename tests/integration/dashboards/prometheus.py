"""A real Prometheus that scrapes a stack with the shipped configuration."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.servers import CHECKOUT, Server, eventually, free_port, start

CONFIG = CHECKOUT / "deploy/prometheus/prometheus.yml"
INTERVAL = "200ms"


@dataclass(frozen=True)
class Sample:
    labels: dict[str, str]
    value: float


@dataclass
class Prometheus:
    server: Server
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20, trust_env=False))

    def query(self, expression: str) -> list[Sample]:
        """An instant vector; values that are no numbers are left out."""
        answer = self.http.post(self.server.url + "/api/v1/query", data={"query": expression})
        content = answer.json()
        assert content["status"] == "success", (expression, content)
        result: list[Any] = content["data"]["result"]
        samples = [Sample(each["metric"], float(each["value"][1])) for each in result]
        return [sample for sample in samples if math.isfinite(sample.value)]

    def targets_up(self) -> int:
        return int(sum(sample.value for sample in self.query("up")))


def shipped_config(addresses: dict[str, list[str]]) -> dict[str, Any]:
    """The shipped configuration with other addresses, `host:port`, and a short interval.

    Raises KeyError where the configuration has a target that `addresses` does not replace.
    """
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    config["global"] |= {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL}
    for job in config["scrape_configs"]:
        for group in job["static_configs"]:
            group["targets"] = [at for target in group["targets"] for at in addresses[target]]
    return config


@contextmanager
def prometheus(folder: Path, addresses: dict[str, list[str]]) -> Iterator[Prometheus]:
    """Skips the test where Prometheus is not installed. Waits until every target is up."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed; Debian's package prometheus has it")
    port = free_port()
    config = shipped_config({**addresses, "localhost:9090": [f"127.0.0.1:{port}"]})
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    command = [program, f"--config.file={file}", f"--storage.tsdb.path={folder / 'series'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    made = Prometheus(start("prometheus", command, folder, f"http://127.0.0.1:{port}"))
    try:
        eventually(lambda: made.server.answers("/-/ready"), "Prometheus is ready", 60)
        targets = 1 + sum(map(len, addresses.values()))
        eventually(lambda: made.targets_up() == targets, "every target is scraped")
        yield made
    finally:
        made.http.close()
        made.server.stop()
