"""Work for others runs where the device's own user leaves the model idle, each in its turn."""

from __future__ import annotations

import asyncio

import pytest

from services.device_agent import background_drafting
from services.device_agent.background_drafting import BackgroundDrafting
from services.device_agent.drafting_thread import DraftingThread
from tests.unit.services.device_agent.scripted_drafter import ScriptedDrafter, burst

pytestmark = pytest.mark.anyio


async def rounds(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_devices_own_user_is_served_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_drafting, "PATIENCE_S", 60.0)
    drafter = ScriptedDrafter(range(100))
    thread = DraftingThread(drafter)
    background = BackgroundDrafting(thread)
    own, other = drafter.start(), drafter.start()
    drafter.gate.clear()
    first = asyncio.create_task(thread.draft(own, burst([1], 1)))
    await rounds()
    work = asyncio.create_task(background.draft(other, burst([1], 1)))
    await rounds()
    second = asyncio.create_task(thread.draft(own, burst([1], 1)))
    await rounds()
    drafter.gate.set()
    await asyncio.gather(first, second, work)
    assert drafter.bursts == [own.number, own.number, other.number]
    thread.close()


async def test_work_that_waits_long_gets_a_burst_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background_drafting, "PATIENCE_S", 0.001)
    drafter = ScriptedDrafter(range(100))
    thread = DraftingThread(drafter)
    thread.user_bursts = 1  # and never less
    guesses = await BackgroundDrafting(thread).draft(drafter.start(), burst([1], 8))
    assert len(guesses) == 1, "the burst ends at once where the model is wanted"
    thread.close()


async def test_where_streams_share_a_context_work_waits_for_the_whole_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background_drafting, "ONE_CONTEXT_PATIENCE_S", 60.0)
    drafter = ScriptedDrafter(range(100), one_context=True)
    thread = DraftingThread(drafter)
    background = BackgroundDrafting(thread)
    with thread.serving_user():
        work = asyncio.create_task(background.draft(drafter.start(), burst([1], 1)))
        await thread.draft(drafter.start(), burst([1], 1))
        await rounds()
        assert not work.done()
    assert len(await work) == 1
    assert background.burst(100) > thread.burst(100)
    thread.close()


async def test_pieces_of_work_take_turns() -> None:
    drafter = ScriptedDrafter(range(100))
    thread = DraftingThread(drafter)
    background = BackgroundDrafting(thread)

    async def bursts() -> None:
        stream = drafter.start()
        text = [1]
        for _ in range(5):
            guesses = await background.draft(stream, burst(text, 2))
            text += [guess.token for guess in guesses]

    drafter.gate.clear()
    tasks = [asyncio.create_task(bursts()) for _ in range(3)]
    await rounds()
    drafter.gate.set()
    await asyncio.gather(*tasks)
    assert drafter.bursts == [1, 2, 3] * 5
    thread.close()


async def test_a_long_prompt_is_read_in_parts() -> None:
    drafter = ScriptedDrafter(range(100))
    thread = DraftingThread(drafter)
    stream = drafter.start()
    await BackgroundDrafting(thread).draft(stream, burst([1] * 500, 1))
    assert len(drafter.bursts) == 4
    assert stream.cached == 500
    thread.close()


async def test_work_that_is_given_up_ends_its_burst() -> None:
    drafter = ScriptedDrafter(range(100_000))
    drafter.gate.clear()
    thread = DraftingThread(drafter)
    stream = drafter.start()
    background = BackgroundDrafting(thread)
    guessed: list[int] = []

    def note(guess: object) -> bool:
        guessed.append(1)
        return False

    work = asyncio.create_task(background.draft(stream, burst([1], 50_000, note)))
    await rounds()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    drafter.gate.set()
    thread.release(stream)
    await thread.draft(drafter.start(), burst([1], 1))
    thread.close()
    assert len(guessed) == 1
    assert drafter.closed == 1
