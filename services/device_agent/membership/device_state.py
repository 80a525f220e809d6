"""The state of the device, hot or not and its charge: read every few seconds, known at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.protocol.device_link import work
from services.device_agent.membership.sensors import SensorReading

READ_S = 5.0
READ_TIMEOUT_S = 10.0
COOLER = 5.0
"""Degrees below the limit at which a hot device counts as cool again: it must not flutter."""


class DeviceState:
    """The state of the device as of the last reading of its sensors.

    `read` may block; it is called in a thread. `hot_celsius` is the limit of heat. `battery` is
    the charge from 0 to 1; None: the device runs on mains.
    """

    def __init__(self, read: Callable[[], SensorReading], hot_celsius: float) -> None:
        self._read = read
        self._limit = hot_celsius
        self.hot = False
        self.battery: float | None = None

    def update(self, reading: SensorReading) -> None:
        celsius = reading.celsius
        if celsius is None:
            self.hot = False
        else:
            self.hot = celsius >= (self._limit - COOLER if self.hot else self._limit)
        # Rounded: a frame for every drop of charge would be too many.
        self.battery = None if reading.battery is None else round(reading.battery, 2)

    def condition(self, working: int) -> work.Condition:
        """The state as on the wire, with `working` pieces of work in progress."""
        return work.Condition(self.battery, self.hot, min(working, work.MAX_WORK))

    async def refresh(self) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                self.update(await asyncio.to_thread(self._read))
        except TimeoutError:
            self.update(SensorReading())

    async def run(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(READ_S)
