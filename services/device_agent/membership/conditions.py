"""How the device is now: read every few seconds, known at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.protocol import work
from services.device_agent.membership.sensors import Reading

READ_S = 5.0
READ_TIMEOUT_S = 10.0
COOLER = 5.0
"""Degrees below the limit at which a hot device counts as cool again: no to and fro."""


class Conditions:
    """`read` may take its time; it is called in a thread. `hot_celsius` is the limit."""

    def __init__(self, read: Callable[[], Reading], hot_celsius: float) -> None:
        self._read = read
        self._limit = hot_celsius
        self.hot = False
        self.battery: float | None = None

    def take(self, reading: Reading) -> None:
        celsius = reading.celsius
        if celsius is None:
            self.hot = False
        else:
            self.hot = celsius >= (self._limit - COOLER if self.hot else self._limit)
        # A State for every drop of charge would be many.
        self.battery = None if reading.battery is None else round(reading.battery, 2)

    def now(self, working: int) -> work.Condition:
        return work.Condition(self.battery, self.hot, min(working, work.MAX_WORK))

    async def refresh(self) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                self.take(await asyncio.to_thread(self._read))
        except TimeoutError:
            self.take(Reading())

    async def run(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(READ_S)
