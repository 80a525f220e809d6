"""Whatever fails at start or at stop, everything that was started is stopped."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import aiohttp
import pytest
import yaml

from gateway.settings import Settings
from gateway.wiring.app import gateway
from loadtest.kubernetes_api import ApiServer
from tests.servers import free_port

pytestmark = pytest.mark.anyio

OPENING = [
    "gateway.wiring.parts:AiohttpModelServer.__init__",
    "gateway.wiring.cascade:OutcomeFile.__init__",
]
"""Constructors that open something: nobody has the part, to close it, before they return."""

STARTS = [
    "gateway.wiring.state:FailoverStore.start",
    "gateway.adapters.state.redis.store:RedisStore.start",
    "gateway.adapters.state.health:StateWatch.start",
    "gateway.wiring.parts:EndpointUpkeep.__init__",
    "gateway.wiring.parts:EndpointUpkeep.start",
    "gateway.wiring.parts:MailboxMetrics.__init__",
    "gateway.wiring.parts:DiscoveryMetrics.__init__",
    "gateway.adapters.engines.mailbox:Mailbox.start",
    "gateway.wiring.endpoints:Scraper.watch",
    "gateway.wiring.endpoints:Discovery.start",
    "gateway.wiring.verification:RoundMetrics.__init__",
    "gateway.wiring.verification:EngineVerifier.__init__",
    "gateway.wiring.shared:Dispatch.__init__",
    "gateway.wiring.shared:Admission.__init__",
    "gateway.wiring.shared:EngineCalls.__init__",
    "gateway.wiring.shared:VerifierEndpoints.__init__",
    "gateway.wiring.parts:build_shared",
    "gateway.wiring.parts:DeviceMetrics.__init__",
    "gateway.wiring.parts:MemberMetrics.__init__",
    "gateway.wiring.parts:DraftingTelemetry.__init__",
    "gateway.wiring.devices:ReplicaOutbox.__init__",
    "gateway.wiring.devices:RemoteWork.__init__",
    "gateway.wiring.devices:MembersRegistry.__init__",
    "gateway.wiring.devices:DeviceConnections.__init__",
    "gateway.wiring.devices:DeviceTokens.__init__",
    "gateway.wiring.devices:Leases.__init__",
    "gateway.wiring.devices:TokenWatch.__init__",
    "gateway.wiring.devices:ReplicaBus.__init__",
    "gateway.wiring.devices:ReplicaBus.start",
    "gateway.wiring.devices:Enrolments.__init__",
    "gateway.wiring.parts:build_devices",
    "gateway.wiring.resumable:ResumableStreams.__init__",
    "gateway.wiring.resumable:StreamBus.start",
    "gateway.wiring.parts:build_resumable",
    "gateway.wiring.parts:CascadeMetrics.__init__",
    "gateway.wiring.parts:outcome_file",
    "gateway.wiring.cascade:LowerTier.__init__",
    "gateway.wiring.cascade:TopTier.__init__",
    "gateway.wiring.cascade:ConfidenceProbes.__init__",
    "gateway.wiring.cascade:Audits.__init__",
    "gateway.wiring.cascade:CascadeHandler.__init__",
    "gateway.wiring.parts:build_cascade",
    "gateway.wiring.collective:EndpointEmbedder.__init__",
    "gateway.adapters.embedding.minilm:MiniLm.__init__",
    "gateway.wiring.collective:CachedEmbedder.__init__",
    "gateway.wiring.parts:choose_embedder",
    "gateway.wiring.parts:CollectiveMetrics.__init__",
    "gateway.wiring.collective:FitEstimator.__init__",
    "gateway.wiring.collective:CollectiveMemory.__init__",
    "gateway.wiring.collective:Aggregator.__init__",
    "gateway.wiring.collective:CollectiveHandler.__init__",
    "gateway.wiring.collective:FeedbackHandler.__init__",
    "gateway.wiring.parts:build_collective",
    "gateway.wiring.app:build_parts",
    "gateway.wiring.web:build_inference",
    "gateway.wiring.web:InferenceRoutes.__init__",
    "gateway.wiring.web:FastAPI.__init__",
    "gateway.wiring.app:FastPath.__init__",
    "gateway.wiring.app:fastapi_app",
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
    "gateway.serving.resumable.stream_bus:StreamBus.stop",
    "gateway.serving.resumable.streams:ResumableStreams.close",
    "gateway.serving.cascade.audits:Audits.stop",
    "gateway.adapters.files.outcome_log:OutcomeFile.close",
    "gateway.adapters.embedding.minilm:MiniLm.close",
    "gateway.adapters.embedding.cached:CachedEmbedder.close",
    "gateway.serving.collective.fit:FitEstimator.close",
    "gateway.serving.collective.handler:CollectiveHandler.close",
]


ENDS_WITHIN_S = 5.0


class Broken(Exception):
    """What the test makes a part raise."""


class Leftovers:
    """The tasks, threads and client sessions that are left of a gateway."""

    def __init__(self) -> None:
        self.sessions: list[aiohttp.ClientSession] = []
        self._tasks_before = asyncio.all_tasks()
        self._threads_before = set(threading.enumerate())

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks() - self._tasks_before

    @property
    def threads(self) -> set[threading.Thread]:
        named = {t for t in threading.enumerate() if t.name.startswith(("outcomes", "embedding"))}
        return named - self._threads_before

    async def assert_none(self) -> None:
        """What has been told to end may take its turns to do so."""
        if tasks := self.tasks:
            await asyncio.wait(tasks, timeout=ENDS_WITHIN_S)
        for thread in self.threads:
            await asyncio.to_thread(thread.join, ENDS_WITHIN_S)
        assert self.tasks == set()
        assert self.threads == set()
        assert [session for session in self.sessions if not session.closed] == []

    async def clear(self) -> None:
        """End what can be ended, so that the next test begins without it."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for session in self.sessions:
            await session.close()


@pytest.fixture(autouse=True)
def no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is reached, so clients need not read the system's certificates at each start."""
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    monkeypatch.setenv("SSL_CERT_DIR", os.devnull)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of a gateway that has every part that there is, and reaches nothing."""
    folder = tmp_path_factory.mktemp("gateway")
    edge = {
        "tier": "edge",
        "endpoints": [f"http://127.0.0.1:{free_port()}"],
        "mailboxes": [f"127.0.0.1:{free_port()}"],
        "mailbox_secret": "a secret of sixteen",
    }
    kubeconfig = ApiServer(port=free_port()).kubeconfig(folder)
    file = folder / "gateway.yaml"
    wanted: dict[str, Any] = {
        "pools": {"edge": edge},
        "discovery": {"namespaces": ["tierflow"], "kubeconfig": str(kubeconfig)},
        # Each start waits so long for channels that nobody confirms.
        "state": {"redis": {"url": f"redis://127.0.0.1:{free_port()}"}, "timeout_s": 0.02},
        "collective": {"embedding": {"source": "pool", "model": "an-embedder"}},
        "cascade": {"outcome_log": str(folder / "outcomes.jsonl")},
    }
    file.write_text(yaml.safe_dump(wanted))
    return Settings.load(file)


@asynccontextmanager
async def nothing_left() -> AsyncGenerator[Leftovers]:
    """Asserts that what runs in the block leaves nothing, and ends what it left."""
    leftovers = Leftovers()
    original = aiohttp.ClientSession.__init__

    def noted(self: aiohttp.ClientSession, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        leftovers.sessions.append(self)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(aiohttp.ClientSession, "__init__", noted)
        try:
            yield leftovers
            await leftovers.assert_none()
        finally:
            await leftovers.clear()


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


async def assert_start_fails(settings: Settings) -> None:
    async with nothing_left():
        with pytest.raises(Broken):
            async with gateway(settings):
                pytest.fail("a part has failed")


@pytest.mark.parametrize("where", [*OPENING, *STARTS])
async def test_a_part_that_fails_before_it_starts_leaves_nothing_running(
    where: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_part(monkeypatch, where, after=False)
    await assert_start_fails(minilm(settings) if "minilm" in where else settings)


@pytest.mark.parametrize("where", STARTS)
async def test_a_part_that_fails_after_it_has_started_leaves_nothing_running(
    where: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_part(monkeypatch, where, after=True)
    await assert_start_fails(minilm(settings) if "minilm" in where else settings)


@pytest.mark.parametrize("where", STOPS)
async def test_a_part_that_fails_at_stop_keeps_no_other_running(
    where: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_part(monkeypatch, where, after=True)
    async with nothing_left():
        with pytest.raises(Broken):
            async with gateway(minilm(settings) if "minilm" in where else settings):
                pass


async def test_a_gateway_that_starts_and_stops_leaves_nothing_running(settings: Settings) -> None:
    async with nothing_left() as leftovers:
        async with gateway(settings):
            assert leftovers.tasks, "its parts run"
            assert [thread.name for thread in leftovers.threads] == ["outcomes"]
            assert [session.closed for session in leftovers.sessions][:1] == [False]
