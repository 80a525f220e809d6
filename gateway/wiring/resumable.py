"""From the settings to the streams that outlive their connection."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from gateway.adapters.prometheus.resumable import ResumableMetrics
from gateway.api.resumable import ResumableAnswers
from gateway.core.ports import StateStore
from gateway.serving.resumable.remote_streams import RemoteStreams
from gateway.serving.resumable.resumption import Resumption
from gateway.serving.resumable.stream_bus import StreamBus
from gateway.serving.resumable.stream_server import StreamServer
from gateway.serving.resumable.streams import ResumableStreams, StreamLimits
from gateway.settings import Settings
from gateway.settings.resumable import ResumableSettings
from gateway.wiring.shared import Shared


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumableParts:
    """The streams of this replica, and the way to others'. `bus` is None where the replicas share
    nothing."""

    streams: ResumableStreams
    answers: ResumableAnswers
    bus: StreamBus | None

    async def start(self, stack: AsyncExitStack) -> None:
        """Inside the event loop; `stack` ends the streams and the exchange with other replicas."""
        if self.bus is not None:
            stack.push_async_callback(self.bus.stop)
            await self.bus.start()
        stack.push_async_callback(self.streams.close)


def build_resumable(
    settings: Settings,
    *,
    replica: str,
    shared: Shared,
    store: StateStore | None,
    registry: CollectorRegistry,
) -> ResumableParts:
    """`replica` is this replica's name, `store` what it shares with others."""
    telemetry = ResumableMetrics(
        registry=registry,
        streams=lambda: streams.by_state(),
        kept_bytes=lambda: streams.kept_bytes,
    )
    streams = ResumableStreams(
        replica=replica,
        limits=_limits(settings.resumable),
        telemetry=telemetry,
        new_id=shared.new_id,
    )
    remote = bus = None
    if store is not None:
        remote = RemoteStreams(
            replica=replica, store=store, clock=shared.clock, new_id=shared.new_id
        )
        server = StreamServer(streams=streams, store=store, clock=shared.clock)
        bus = StreamBus(
            replica=replica, store=store, remote=remote, server=server, uniform=shared.uniform
        )
    answers = ResumableAnswers(
        streams=streams,
        resumption=Resumption(streams=streams, remote=remote, telemetry=telemetry),
        clock=shared.clock,
        # Sooner than the request itself would be given up, because this caller may come back.
        stalled_s=settings.timeouts.idle_s / 2,
    )
    return ResumableParts(streams=streams, answers=answers, bus=bus)


def _limits(settings: ResumableSettings) -> StreamLimits:
    return StreamLimits(
        max_s=settings.max_s,
        max_away=settings.max_away,
        max_stream_bytes=settings.max_stream_bytes,
        max_bytes=settings.max_bytes,
    )
