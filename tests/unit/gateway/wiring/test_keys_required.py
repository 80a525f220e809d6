"""Whether callers need a key, by the settings and by what could be read of stored keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.adapters.state.memory import MemoryStore
from gateway.core.state.operations import Operation
from gateway.errors import InvalidKey, StateLost
from gateway.settings import Settings
from gateway.wiring.access import AccessParts, build_access, keys_at_start
from tests.unit.gateway.access_rig import OneDevice, RefusalLog
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.fakes import StoppedClock

pytestmark = pytest.mark.anyio
POOLS = {"edge": {"tier": "edge", "endpoints": ["http://127.0.0.1:1"]}}


class Losable(MemoryStore):
    """A store that is lost at first."""

    lost = True

    async def run(self, *operations: Operation) -> list[Any]:
        if self.lost:
            raise StateLost("it is away", retry_after=1.0, code="state_lost")
        return await super().run(*operations)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def built(
    stack: AsyncExitStack, folder: Path, store: MemoryStore | None, **keys: Any
) -> AccessParts:
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump({"pools": POOLS, "keys": keys}))
    settings = Settings.load(file)
    return await build_access(
        stack,
        settings,
        known=await keys_at_start(settings),
        store=store,
        replica="one",
        devices=OneDevice(),
        clock=StoppedClock(),
        telemetry=RefusalLog(),
    )


async def lets_strangers_in(parts: AccessParts) -> bool:
    try:
        await parts.access.identify("")
    except InvalidKey:
        return False
    return True


async def test_keys_are_required_until_the_store_has_told_whether_there_are_any(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    store = Losable(StoppedClock(), BOUNDS)
    parts = await built(stack, tmp_path, store)
    assert not await lets_strangers_in(parts)
    assert "none were read yet" in parts.conditions()["keys-not-read"]
    store.lost = False
    assert parts.watch is not None
    await parts.watch.turn()
    assert await lets_strangers_in(parts)
    store.lost = True
    await parts.watch.turn()
    assert await lets_strangers_in(parts)
    assert "read last stay in use" in parts.conditions()["keys-not-read"]


async def test_a_lost_store_is_no_bar_where_the_operator_lets_everybody_in(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    store = Losable(StoppedClock(), BOUNDS)
    assert await lets_strangers_in(await built(stack, tmp_path, store, required=False))


async def test_a_file_of_keys_that_is_not_there_lets_nobody_in(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    parts = await built(stack, tmp_path, None, file=str(tmp_path / "lost.yaml"))
    assert not await lets_strangers_in(parts)


async def test_without_any_keys_everybody_on_loopback_may_ask(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    assert await lets_strangers_in(await built(stack, tmp_path, None))
