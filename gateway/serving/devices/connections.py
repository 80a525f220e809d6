"""Connected devices: each connection from its first frame to its end, and all of them by name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from gateway.core.devices.grant import Grant
from gateway.core.ports import DeviceTelemetry
from gateway.errors import Draining
from gateway.protocol.device_link.speculation import DRAINING
from gateway.serving.devices.drafting.session import DraftingDeps
from gateway.serving.devices.frames import ELSEWHERE, ConnectionEnded, DeviceLimits, FrameHandler
from gateway.serving.devices.outbox import Link, Outbox
from gateway.serving.devices.registration import Membership, Registrar
from gateway.serving.requests.progress_timeout import ProgressTimeout

log = structlog.get_logger("tierflow.devices")

FAREWELL_S = 1.0
POLICY = 1008
"""The WebSocket's close code for a peer that broke the rules."""
RESTART = 1012
"""The WebSocket's close code for a service that restarts."""
DRAIN_SLICE, DRAIN_SLICE_S = 100, 0.05
"""So many devices are sent elsewhere at once, so that they don't all arrive in one moment."""
DRAIN_LOOK_S = 0.1
"""How often a gateway that drains looks for connections on which nothing is under way."""


class DeviceConnections:
    """The connections of all devices that are connected to this replica, by the device's name.

    A name has one connection: of devices that only draft the newest replaces the older one. A
    registered device keeps its connection until the same process of it comes back; a newcomer under
    its name may connect beside it, but only to register.
    """

    def __init__(
        self,
        *,
        limits: DeviceLimits,
        drafting: DraftingDeps,
        telemetry: DeviceTelemetry,
        registrar: Registrar,
    ) -> None:
        self._limits = limits
        self._drafting = drafting
        self._telemetry = telemetry
        self._registrar = registrar
        self._connected: dict[str, list[DeviceConnection]] = {}
        self._count = 0
        self._draining = False
        self._drain: asyncio.Task[None] | None = None

    @property
    def busy(self) -> int:
        """How many connections have a session or work under way."""
        return sum(connection.busy for connection in self._all())

    def leave(self) -> None:
        """Begin to `drain`."""
        self._draining = True
        if self._drain is None:
            self._drain = asyncio.create_task(self.drain())

    async def stop(self) -> None:
        """The gateway ends now; a drain that has not ended is over."""
        if self._drain is not None:
            self._drain.cancel()
            await asyncio.gather(self._drain, return_exceptions=True)

    async def drain(self) -> None:
        """Send the devices elsewhere, and wait until all have gone: each connection is closed once
        nothing is under way on it. No device may connect any more. Cancelling this leaves the
        connections as they are."""
        self._draining = True
        for number, connection in enumerate(self._all(), 1):
            connection.drain()
            if number % DRAIN_SLICE == 0:
                await asyncio.sleep(DRAIN_SLICE_S)
        while self._count:
            for connection in self._all():
                connection.end_if_idle()
            await asyncio.sleep(DRAIN_LOOK_S)

    def check_open(self) -> None:
        """Raises Draining while no device may connect."""
        if self._draining:
            raise Draining(ELSEWHERE, retry_after=1.0, code=DRAINING)

    async def serve(self, link: Link, grant: Grant) -> None:
        """Until the device leaves, or has to. Never raises for what a device does."""
        connection = DeviceConnection(
            link=link,
            grant=grant,
            limits=self._limits,
            drafting=self._drafting,
            telemetry=self._telemetry,
            registrar=self._registrar,
        )
        connections = self._connected.setdefault(grant.device, [])
        for older in connections:
            if older.membership.claimed is None:
                # Most often the device itself, back before its old connection was seen dead.
                older.end("replaced", "a newer connection with the same token has taken over")
        connections.append(connection)
        self._count_connections(1)
        began, reason = self._drafting.clock.now(), "internal_error"
        log.info("device_connected", device=grant.device)
        if self._draining:
            connection.drain()
        try:
            reason = await connection.run()
        except asyncio.CancelledError:
            reason = "gateway_stops"
            raise
        finally:
            connections.remove(connection)
            if not connections and self._connected.get(grant.device) is connections:
                del self._connected[grant.device]
            self._count_connections(-1)
            lasted_s = round(self._drafting.clock.now() - began, 3)
            log.info("device_gone", device=grant.device, reason=reason, lasted_s=lasted_s)

    def end_enrolled(self, device: str, digest: str, code: str, message: str) -> None:
        """End the device's connections that were opened with the enrolled token of this digest."""
        for connection in self._connected.get(device, ()):
            if connection.membership.grant.digest == digest:
                connection.end(code, message)

    def enrolled_tokens(self) -> Mapping[str, str]:
        """The digests of the enrolled tokens that are in use here, by device."""
        return {
            device: digest
            for device, connections in self._connected.items()
            if (digest := connections[0].membership.grant.digest)
        }

    def _all(self) -> list[DeviceConnection]:
        return [each for connections in self._connected.values() for each in connections]

    def _count_connections(self, more: int) -> None:
        self._count += more
        self._telemetry.connected(self._count)


class DeviceConnection:
    """One device's connection: it reads frames, sends what waits, and says why it ends."""

    def __init__(
        self,
        *,
        link: Link,
        grant: Grant,
        limits: DeviceLimits,
        drafting: DraftingDeps,
        telemetry: DeviceTelemetry,
        registrar: Registrar,
    ) -> None:
        self._link = link
        self._lease_s = limits.lease_s
        self._telemetry = telemetry
        self._clock = drafting.clock
        self._outbox = Outbox(link, telemetry)
        self.membership = Membership(
            grant=grant, limits=limits.work, registrar=registrar, outbox=self._outbox, end=self.end
        )
        self._frames = FrameHandler(
            membership=self.membership,
            limits=limits,
            drafting=drafting,
            telemetry=telemetry,
            outbox=self._outbox,
        )
        self._ended: asyncio.Future[ConnectionEnded] = asyncio.get_running_loop().create_future()
        self._drained = asyncio.Event()

    @property
    def busy(self) -> bool:
        return self._frames.busy

    def drain(self) -> None:
        """Tell the device to connect elsewhere; nothing new begins here."""
        self._frames.drain()

    def end_if_idle(self) -> None:
        """Close the connection of a device that has been sent elsewhere, once nothing is under
        way on it."""
        if not self.busy:
            self._drained.set()

    def end(self, code: str, message: str) -> None:
        """Close the connection from outside, and tell the device why."""
        if not self._ended.done():
            self._ended.set_result(ConnectionEnded(code, message))

    async def run(self) -> str:
        """Until the connection is over, and gives why: the code that the device was told, or
        `left` where it went by itself. All work that engines do for the device ends with it."""
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._outbox.run())
        full = asyncio.create_task(self._outbox.overflown.wait())
        drained = asyncio.create_task(self._drained.wait())
        try:
            ends: list[asyncio.Future[Any]] = [reading, writing, full, drained, self._ended]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks: list[asyncio.Task[Any]] = [reading, writing, full, drained]
            tasks += self._frames.close()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        read_result, _, overflown, *_ = results
        ended = self._ended.result() if self._ended.done() else read_result
        if isinstance(ended, ConnectionEnded):
            await self._farewell(ended)
            return ended.code
        if overflown is True:
            self._telemetry.refused("too_slow")
            await self._close("too_slow")
            return "too_slow"
        if self._drained.is_set():
            await self._flush()
            await self._close(DRAINING, RESTART)
            return DRAINING
        if isinstance(ended, Exception) and not isinstance(ended, OSError):
            raise ended
        return "left"

    async def _read(self) -> None:
        """Handle frames until the device leaves. Raises ConnectionEnded."""
        lease_s, now = self._lease_s, self._clock.now

        def lapsed() -> ConnectionEnded:
            return ConnectionEnded("lease_expired", f"no frame in {lease_s:g} s; ping in between")

        with ProgressTimeout(now) as timeout:
            timeout.expect(lease_s, lapsed)
            while (message := await self._link.receive()) is not None:
                self.membership.heard_at = heard_at = now()
                timeout.extend(heard_at + lease_s)
                self._telemetry.traffic(len(message), 0)
                self._frames.handle(message)

    async def _farewell(self, ended: ConnectionEnded) -> None:
        self._telemetry.refused(ended.code)
        self._outbox.error(ended.code, ended.message, fatal=True)
        await self._flush()
        await self._close(ended.code)

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._outbox.flush()
        except (TimeoutError, OSError):
            pass

    async def _close(self, reason: str, code: int = POLICY) -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._link.close(code, reason)
        except (TimeoutError, OSError):
            pass
