"""What the whole gateway tells of itself: its start and end in the log, and its conditions."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.settings import Settings
from gateway.wiring.app import gateway
from tests.servers import metric_in

pytestmark = pytest.mark.anyio


def settings(folder: Path) -> Settings:
    """A gateway that shares its state with nobody, and can't write its outcomes."""
    file = folder / "gateway.yaml"
    file.write_text(
        "listen: {port: 8123}\n"
        'pools: {edge: {tier: edge, endpoints: ["http://127.0.0.1:1"]}}\n'
        "state: {replicas: 3}\n"
        "collective: {embedding: {source: words}}\n"
    )
    return Settings.load(file)


async def test_the_log_says_what_starts_where_and_that_it_has_stopped(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with gateway(settings(tmp_path)):
            pass
    told = [line for line in lines if line["event"] in ("gateway_starts", "gateway_stopped")]
    assert [line["event"] for line in told] == ["gateway_starts", "gateway_stopped"]
    assert told[0]["address"] == "127.0.0.1:8123"
    assert told[0]["pools"] == ["edge"] and told[0]["version"]


async def test_a_condition_of_ready_is_a_metric_and_no_other_is(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as running:
        transport = httpx.ASGITransport(app=running.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            conditions = (await client.get("/ready")).json()["conditions"]
            page = (await client.get("/metrics")).text
    assert "up to 3 replicas run" in conditions["state-not-shared"]
    for name in conditions:
        assert metric_in(page, "tierflow_condition", condition=name) == 1
    assert page.count("tierflow_condition{") == len(conditions)
    assert "embedding-missing" not in conditions, "words were chosen"
