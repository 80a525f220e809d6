"""The devices that are connected: each token once, the newest connection wins."""

from __future__ import annotations

from gateway.core.ports import DeviceTelemetry
from gateway.serving.device_connection import DeviceConnection
from gateway.serving.link import Link
from gateway.serving.reception import DeviceLimits
from gateway.serving.session_context import Speculation


class Devices:
    def __init__(
        self, limits: DeviceLimits, speculation: Speculation, telemetry: DeviceTelemetry
    ) -> None:
        self._limits = limits
        self._speculation = speculation
        self._telemetry = telemetry
        self._connected: dict[str, DeviceConnection] = {}

    async def serve(self, link: Link, device: str) -> None:
        """Until the device leaves, or has to. Never raises for what a device does."""
        connection = DeviceConnection(
            link, device, self._limits, self._speculation, self._telemetry
        )
        if (older := self._connected.get(device)) is not None:
            # Most often the device itself, back before its old connection was seen to be dead.
            older.end("replaced", "a newer connection with the same token has taken over")
        self._connected[device] = connection
        self._telemetry.connected(len(self._connected))
        try:
            await connection.run()
        finally:
            if self._connected.get(device) is connection:
                del self._connected[device]
            self._telemetry.connected(len(self._connected))
