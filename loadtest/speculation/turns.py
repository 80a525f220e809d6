"""One engine at a time on the engines' core.

vLLM's processes look for work without pause for a second after each request. Five engines that are
asked in turn would so slow each other down to a third, which no engine on a core of its own knows.
"""

from __future__ import annotations

import asyncio

from loadtest.measure.processes import Running
from loadtest.speculation.engines import Engines

SETTLE_S = 0.03
"""After a pause an engine first answers what others asked in the meantime, such as its metrics."""


class Turns:
    """All engines but the one whose turn it is are paused; `end` lets all go on."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines.all
        self._turn: Running | None = None

    async def give(self, engine: Running) -> None:
        if engine is self._turn:
            return
        for other in self._engines:
            if other is not engine:
                other.pause()
        engine.resume()
        self._turn = engine
        await asyncio.sleep(SETTLE_S)

    def end(self) -> None:
        for engine in self._engines:
            engine.resume()
        self._turn = None

    async def __aenter__(self) -> Turns:
        return self

    async def __aexit__(self, *cause: object) -> None:
        self.end()
