"""The devices that are connected, by the names that their tokens stand for."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.devices.grant import Grant
from gateway.core.ports import DeviceTelemetry
from gateway.serving.devices.device_connection import DeviceConnection
from gateway.serving.devices.drafting.context import DraftingDeps
from gateway.serving.devices.frames import DeviceLimits
from gateway.serving.devices.membership import Registrar
from gateway.serving.devices.outbox import Link


class DeviceConnections:
    """One connection per token: of those that only draft the newest wins. One that is registered
    stays until the same process comes back; beside it a newcomer may stand only to register."""

    def __init__(
        self,
        *,
        limits: DeviceLimits,
        speculation: DraftingDeps,
        telemetry: DeviceTelemetry,
        registrar: Registrar,
    ) -> None:
        self._limits = limits
        self._speculation = speculation
        self._telemetry = telemetry
        self._registrar = registrar
        self._connected: dict[str, list[DeviceConnection]] = {}
        self._count = 0

    async def serve(self, link: Link, grant: Grant) -> None:
        """Until the device leaves, or has to. Never raises for what a device does."""
        connection = DeviceConnection(
            link=link,
            grant=grant,
            limits=self._limits,
            speculation=self._speculation,
            telemetry=self._telemetry,
            registrar=self._registrar,
        )
        connections = self._connected.setdefault(grant.device, [])
        for older in connections:
            if older.membership.claimed is None:
                # Most often the device itself, back before its old connection was seen dead.
                older.end("replaced", "a newer connection with the same token has taken over")
        connections.append(connection)
        self._counted(1)
        try:
            await connection.run()
        finally:
            connections.remove(connection)
            if not connections and self._connected.get(grant.device) is connections:
                del self._connected[grant.device]
            self._counted(-1)

    def revoked(self, device: str, digest: str) -> None:
        """An enrolled token is worth nothing any more: whoever came in by it has to leave."""
        for connection in self._connected.get(device, ()):
            if connection.membership.grant.digest == digest:
                connection.end("revoked", "this device's token has been revoked")

    def enrolled(self) -> Mapping[str, str]:
        """The digests of the enrolled tokens that are in use here, by device."""
        return {
            device: digest
            for device, connections in self._connected.items()
            if (digest := connections[0].membership.grant.digest)
        }

    def _counted(self, more: int) -> None:
        self._count += more
        self._telemetry.connected(self._count)
