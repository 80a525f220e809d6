"""An event loop in virtual time: nothing sleeps, and each run is the same."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch


class VirtualLoop(asyncio.SelectorEventLoop):
    """Waits take no time but that of `now`, in seconds. `work` is what computing takes.

    Work inside the loop holds it up, as in reality. Work in an executor does not: it is computed at
    once, and its outcome comes when its work would be done.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._elsewhere: float | None = None
        super().__init__(_VirtualSelector(self))

    def time(self) -> float:
        return self.now

    monotonic = time
    """In place of the module `time`, where a part under test reads the clock from that."""

    def work(self, seconds: float) -> None:
        if self._elsewhere is None:
            self.now += seconds
        else:
            self._elsewhere += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        outcome = self.create_future()
        self._elsewhere = self.now
        try:
            result = func(*args)
            done = self._elsewhere
        finally:
            self._elsewhere = None

        def finish() -> None:
            if not outcome.done():
                outcome.set_result(result)

        self.call_at(done, finish)
        return outcome


class _VirtualSelector(selectors.SelectSelector):
    """Waits by moving the loop's clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits for something that never comes")
        self._loop.now += timeout
        return super().select(0)


@contextmanager
def virtual_loop(*clocked: ModuleType) -> Iterator[VirtualLoop]:
    """`clocked` are modules that read the clock from `time`: in the block, that is the loop's."""
    loop = VirtualLoop()
    patches = [patch.object(module, "time", loop) for module in clocked]
    for each in patches:
        each.start()
    try:
        yield loop
    finally:
        for each in patches:
            each.stop()
        loop.close()
