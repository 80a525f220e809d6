from __future__ import annotations

import asyncio
import time

import pytest

from gateway.core.upstream_errors import idle_timeout
from gateway.errors import IdleTimeout
from gateway.serving.requests.progress_timeout import LATE_S, ProgressTimeout

pytestmark = pytest.mark.anyio

SHORT_S = 0.02


def idle() -> IdleTimeout:
    return idle_timeout("edge:1", SHORT_S)


async def test_the_error_replaces_what_the_block_waits_for() -> None:
    with pytest.raises(IdleTimeout), ProgressTimeout(time.monotonic) as timeout:
        timeout.expect(SHORT_S, idle)
        await asyncio.Event().wait()


async def test_progress_moves_the_deadline() -> None:
    with ProgressTimeout(time.monotonic) as timeout:
        timeout.expect(SHORT_S, idle)
        for _ in range(5):
            timeout.extend(time.monotonic() + 10.0)
            await asyncio.sleep(SHORT_S / 2)


async def test_a_deadline_that_was_moved_is_still_kept() -> None:
    with pytest.raises(IdleTimeout), ProgressTimeout(time.monotonic) as timeout:
        timeout.expect(SHORT_S, idle)
        timeout.extend(time.monotonic() + 3 * SHORT_S)
        await asyncio.Event().wait()


async def test_an_error_of_the_block_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError), ProgressTimeout(time.monotonic) as timeout:
        timeout.expect(SHORT_S, idle)
        raise ZeroDivisionError


async def test_a_block_that_is_cancelled_from_outside_stays_cancelled() -> None:
    async def wait() -> None:
        with ProgressTimeout(time.monotonic) as timeout:
            timeout.expect(10.0, idle)
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_block_that_ended_in_time_leaves_no_timer() -> None:
    with ProgressTimeout(time.monotonic) as timeout:
        timeout.expect(SHORT_S, idle)
    await asyncio.sleep(2 * SHORT_S)


async def test_it_can_be_ended_early_with_another_error() -> None:
    with pytest.raises(ZeroDivisionError), ProgressTimeout(time.monotonic) as timeout:
        timeout.expect(10.0, idle)
        asyncio.get_running_loop().call_soon(timeout.end, ZeroDivisionError)
        await asyncio.Event().wait()


async def test_it_can_be_used_again_after_it_has_passed() -> None:
    timeout = ProgressTimeout(time.monotonic)
    for _ in range(2):
        with pytest.raises(IdleTimeout), timeout:
            timeout.expect(SHORT_S, idle)
            await asyncio.Event().wait()
    with timeout:
        timeout.expect(10.0, idle)
    timeout.end(ZeroDivisionError)


async def test_the_time_for_which_this_process_stood_still_does_not_count() -> None:
    come = asyncio.Event()
    with ProgressTimeout(time.monotonic) as timeout:
        timeout.expect(SHORT_S, idle)
        asyncio.get_running_loop().call_later(SHORT_S / 2, time.sleep, SHORT_S + 2 * LATE_S)
        asyncio.get_running_loop().call_later(SHORT_S + LATE_S, come.set)
        await come.wait()
