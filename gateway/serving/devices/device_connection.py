"""One device's connection, from its first frame to its end: the lease, and the farewell."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.core.devices.grant import Grant
from gateway.core.ports import DeviceTelemetry
from gateway.serving.devices.drafting.context import DraftingDeps
from gateway.serving.devices.frames import ConnectionEnded, DeviceLimits, FrameHandler
from gateway.serving.devices.membership import Membership, Registrar
from gateway.serving.devices.outbox import Link, Outbox
from gateway.serving.requests.progress_timeout import ProgressTimeout

FAREWELL_S = 1.0
POLICY = 1008
"""The WebSocket's close code for a peer that broke the rules."""


class DeviceConnection:
    def __init__(
        self,
        *,
        link: Link,
        grant: Grant,
        limits: DeviceLimits,
        speculation: DraftingDeps,
        telemetry: DeviceTelemetry,
        registrar: Registrar,
    ) -> None:
        self._link = link
        self._lease_s = limits.lease_s
        self._telemetry = telemetry
        self._clock = speculation.clock
        self._outbox = Outbox(link, telemetry)
        self.membership = Membership(
            grant=grant, limits=limits.work, registrar=registrar, outbox=self._outbox, end=self.end
        )
        self._reception = FrameHandler(
            membership=self.membership,
            limits=limits,
            speculation=speculation,
            telemetry=telemetry,
            outbox=self._outbox,
        )
        self._over: asyncio.Future[ConnectionEnded] = asyncio.get_running_loop().create_future()

    def end(self, code: str, message: str) -> None:
        """From outside: close it, telling the device why."""
        if not self._over.done():
            self._over.set_result(ConnectionEnded(code, message))

    async def run(self) -> None:
        """To the end. All work that engines do for it ends with it."""
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._outbox.run())
        full = asyncio.create_task(self._outbox.overflown.wait())
        try:
            ends: list[asyncio.Future[Any]] = [reading, writing, full, self._over]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks: list[asyncio.Task[Any]] = [
                reading,
                writing,
                full,
                *self._reception.dismiss(),
            ]
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        if self._over.done():
            await self._farewell(self._over.result())
        elif isinstance(results[0], ConnectionEnded):
            await self._farewell(results[0])
        elif results[2] is True:
            self._telemetry.refused("too_slow")
            await self._close(POLICY, "too_slow")
        elif isinstance(results[0], Exception) and not isinstance(results[0], OSError):
            raise results[0]

    async def _farewell(self, ended: ConnectionEnded) -> None:
        self._telemetry.refused(ended.code)
        self._outbox.error(ended.code, ended.message, fatal=True)
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._outbox.flush()
        except (TimeoutError, OSError):
            pass
        await self._close(POLICY, ended.code)

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._link.close(code, reason)
        except (TimeoutError, OSError):
            pass

    async def _read(self) -> None:
        """Take frames until the device leaves. Raises Ended."""
        lease_s, now = self._lease_s, self._clock.now

        def lapsed() -> ConnectionEnded:
            return ConnectionEnded("lease_expired", f"no frame in {lease_s:g} s; ping in between")

        with ProgressTimeout(now) as watchdog:
            watchdog.expect(lease_s, lapsed)
            while (message := await self._link.receive()) is not None:
                self.membership.heard = heard = now()
                watchdog.extend(heard + lease_s)
                self._telemetry.traffic(len(message), 0)
                self._reception.take(message)
