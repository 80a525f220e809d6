"""One burst at a time, whoever asks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from services.device_agent.drafters.port import Chooser, Guess
from services.device_agent.drafting_thread import READ_IN_PLACE, DraftingThread
from tests.unit.services.device_agent.scripted_drafter import burst

pytestmark = pytest.mark.anyio


class Model:
    """Drafter and stream in one; notes where it ran, and whether two bursts met."""

    name, context, least_burst, in_place, one_context = "model", 4096, 1, True, False

    def __init__(self, step_s: float = 1e-4) -> None:
        self.step_s = step_s
        self.cached = 0
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.inside = 0
        self.most = 0
        self.threads: list[str] = []

    def start(self) -> Model:
        return self

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.threads.append(threading.current_thread().name)
        if len(text) > READ_IN_PLACE:
            self.begun.set()
            assert self.gate.wait(10)
        self.inside -= 1
        return [Guess(1, 1.0)] * count

    def close(self) -> None:
        pass


async def test_short_bursts_run_in_place_and_long_readings_beside_the_loop() -> None:
    model = Model()
    model.gate.set()
    thread = DraftingThread(model)
    await thread.draft(model, burst([1], 4))
    await thread.draft(model, burst([1] * (READ_IN_PLACE + 1), 4))
    assert model.threads == [threading.main_thread().name, "drafting_0"]
    thread.close()


async def test_a_short_burst_never_meets_a_long_one() -> None:
    model = Model()
    thread = DraftingThread(model)
    long = asyncio.create_task(thread.draft(model, burst([1] * 1000, 1)))
    await asyncio.to_thread(model.begun.wait, 10)
    short = asyncio.create_task(thread.draft(model, burst([1], 1)))
    await asyncio.sleep(0)
    assert not short.done()
    model.gate.set()
    await asyncio.gather(long, short)
    assert model.most == 1
    thread.close()


@pytest.mark.parametrize(("step_s", "burst"), [(1e-5, 8), (0.0003, 3), (0.02, 1), (0.0, 8)])
async def test_bursts_are_short_enough_to_hear_news(step_s: float, burst: int) -> None:
    assert DraftingThread(Model(step_s)).burst(8) == burst
