"""Tasks that run as long as the gateway does begin anew after any failure."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.errors import StateLost
from gateway.serving import tasks
from gateway.serving.tasks import keep_running

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.0)


async def test_a_task_that_fails_is_logged_without_its_message_and_begins_anew() -> None:
    failures: list[Exception] = [KeyError("3 + 4?"), RecursionError()]

    async def run() -> None:
        if failures:
            raise failures.pop(0)

    with capture_logs() as lines:
        await keep_running("leases", run, lambda: 0.0)
    assert [(line["task"], line["error"]) for line in lines] == [
        ("leases", "KeyError"),
        ("leases", "RecursionError"),
    ]
    assert "3 + 4?" not in str(lines)


async def test_a_lost_store_is_not_logged_by_each_task_that_waits_for_it() -> None:
    failures: list[Exception] = [StateLost("lost", retry_after=1.0, code="state_lost")]

    async def run() -> None:
        if failures:
            raise failures.pop(0)

    with capture_logs() as lines:
        await keep_running("leases", run, lambda: 0.0)
    assert not lines and not failures


@pytest.mark.parametrize(
    "failure", [KeyError(), StateLost("lost", retry_after=1.0, code="state_lost")]
)
async def test_a_task_that_fails_while_it_is_cancelled_ends(failure: Exception) -> None:
    began = asyncio.Event()

    async def run() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise failure

    task = asyncio.create_task(keep_running("day-use", run, lambda: 0.0))
    await began.wait()
    task.cancel()
    async with asyncio.timeout(5):
        await task
