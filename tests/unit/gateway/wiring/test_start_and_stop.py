"""Whatever fails at start or at stop, everything that was started is stopped."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from gateway.settings import Settings
from gateway.wiring.app import gateway
from tests.kubernetes_api import ApiServer
from tests.servers import free_port

pytestmark = pytest.mark.anyio

STARTS = [
    "gateway.wiring.app:AiohttpModelServer.__init__",
    "gateway.adapters.state.redis.store:RedisStore.start",
    "gateway.adapters.state.health:StateWatch.start",
    "gateway.adapters.engines.mailbox:Mailbox.start",
    "gateway.adapters.endpoints.scraper:Scraper.watch",
    "k8s.discovery.discovery:Discovery.start",
    "gateway.wiring.app:build_shared",
    "gateway.serving.devices.replicas.bus:ReplicaBus.start",
    "gateway.wiring.cascade:OutcomeFile.__init__",
    "gateway.wiring.cascade:CascadeHandler.__init__",
    "gateway.adapters.embedding.minilm:MiniLm.__init__",
    "gateway.adapters.embedding.cached:CachedEmbedder.__init__",
    "gateway.wiring.collective:CollectiveHandler.__init__",
    "gateway.wiring.app:InferenceRoutes.__init__",
]
STOPS = [
    "gateway.adapters.engines.client:AiohttpModelServer.close",
    "gateway.adapters.state.redis.store:RedisStore.stop",
    "gateway.adapters.state.health:StateWatch.stop",
    "gateway.adapters.engines.mailbox:Mailbox.stop",
    "gateway.adapters.endpoints.scraper:Scraper.stop",
    "k8s.discovery.discovery:Discovery.stop",
    "gateway.serving.devices.replicas.bus:ReplicaBus.stop",
    "gateway.serving.devices.replicas.outbox:ReplicaOutbox.flush",
    "gateway.serving.devices.leases:Leases.stop",
    "gateway.serving.cascade.audits:Audits.stop",
    "gateway.adapters.files.outcome_log:OutcomeFile.close",
    "gateway.adapters.embedding.minilm:MiniLm.close",
    "gateway.adapters.embedding.cached:CachedEmbedder.close",
    "gateway.serving.collective.fit:FitEstimator.close",
    "gateway.serving.collective.handler:CollectiveHandler.close",
]


class Broken(Exception):
    """What the test makes a part raise."""


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    """Of a gateway that has every part that there is."""
    api = ApiServer()
    await api.start()
    edge = {
        "tier": "edge",
        "endpoints": [f"http://127.0.0.1:{free_port()}"],
        "mailboxes": [f"127.0.0.1:{free_port()}"],
        "mailbox_secret": "a secret of sixteen",
    }
    file = tmp_path / "gateway.yaml"
    wanted: dict[str, Any] = {
        "pools": {"edge": edge},
        "discovery": {"namespaces": ["tierflow"], "kubeconfig": str(api.kubeconfig(tmp_path))},
        "state": {"redis": {"url": f"redis://127.0.0.1:{free_port()}"}, "timeout_s": 0.2},
        "collective": {"embedding": {"source": "pool", "model": "an-embedder"}},
        "cascade": {"outcome_log": str(tmp_path / "outcomes.jsonl")},
    }
    file.write_text(yaml.safe_dump(wanted))
    yield Settings.load(file)
    await api.stop()


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[aiohttp.ClientSession]:
    """Every client session that is made."""
    made: list[aiohttp.ClientSession] = []
    original = aiohttp.ClientSession.__init__

    def noted(self: aiohttp.ClientSession, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        made.append(self)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", noted)
    return made


def break_part(monkeypatch: pytest.MonkeyPatch, where: str, *, after: bool) -> None:
    """Make the function at `module:Class.method` raise Broken, `after` or before it has run."""
    module, _, path = where.partition(":")
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    original = getattr(owner, name)

    async def broken_coroutine(*arguments: Any, **named: Any) -> None:
        if after:
            await original(*arguments, **named)
        raise Broken

    def broken(*arguments: Any, **named: Any) -> None:
        if after:
            original(*arguments, **named)
        raise Broken

    both = inspect.iscoroutinefunction(original)
    monkeypatch.setattr(owner, name, broken_coroutine if both else broken)


def minilm(settings: Settings) -> Settings:
    embedding = settings.collective.embedding.model_copy(update={"source": "minilm"})
    collective = settings.collective.model_copy(update={"embedding": embedding})
    return settings.model_copy(update={"collective": collective})


async def assert_nothing_is_left(
    before: set[asyncio.Task[Any]], sessions: list[aiohttp.ClientSession]
) -> None:
    for _ in range(3):  # A task that was cancelled ends in one of the next turns.
        await asyncio.sleep(0)
    assert asyncio.all_tasks() - before == set()
    assert [session for session in sessions if not session.closed] == []
    assert [
        t.name for t in threading.enumerate() if t.name.startswith(("outcomes", "embedding"))
    ] == []


@pytest.mark.parametrize("where", STARTS)
async def test_a_part_that_fails_at_start_leaves_nothing_running(
    where: str,
    settings: Settings,
    sessions: list[aiohttp.ClientSession],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "minilm" in where:
        settings = minilm(settings)
    before = asyncio.all_tasks()
    break_part(monkeypatch, where, after=False)
    with pytest.raises(Broken):
        async with gateway(settings):
            pytest.fail("a part has failed")
    await assert_nothing_is_left(before, sessions)


@pytest.mark.parametrize("where", STOPS)
async def test_a_part_that_fails_at_stop_keeps_no_other_running(
    where: str,
    settings: Settings,
    sessions: list[aiohttp.ClientSession],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "minilm" in where:
        settings = minilm(settings)
    before = asyncio.all_tasks()
    break_part(monkeypatch, where, after=True)
    with pytest.raises(Broken):
        async with gateway(settings):
            pass
    await assert_nothing_is_left(before, sessions)


async def test_a_gateway_that_starts_and_stops_leaves_nothing_running(
    settings: Settings, sessions: list[aiohttp.ClientSession]
) -> None:
    before = asyncio.all_tasks()
    async with gateway(settings):
        assert asyncio.all_tasks() - before, "its parts run"
        assert any(thread.name == "outcomes" for thread in threading.enumerate())
        assert sessions and not sessions[0].closed
    await assert_nothing_is_left(before, sessions)
