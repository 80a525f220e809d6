"""Tokens per day that a gateway without a shared store keeps over its restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.files.day_use import MAX_BYTES, SUFFIX, DayUseFile
from gateway.core.access.quota import RequestUse
from gateway.serving.access.day_use import DayUse
from tests.unit.gateway.access_rig import NOW, AccessRig, api_key, secret

pytestmark = pytest.mark.anyio
DAY_TOKENS = 86_400
"""One comes back in a second."""


class Process:
    """A gateway's process, which began so many seconds after the first one."""

    def __init__(self, keys_file: Path, later_s: float = 0.0) -> None:
        keys = (api_key(name, tokens_per_day=DAY_TOKENS) for name in ("team-a", "team-b"))
        self.rig = AccessRig(*keys)
        self.day_use = DayUse(
            store=DayUseFile(keys_file),
            quotas=self.rig.quotas,
            clock=self.rig.clock,
            unix_time=lambda: NOW + later_s,
        )

    async def use(self, name: str, tokens: int) -> None:
        identity = await self.rig.access.identify(f"Bearer {secret(name)}")
        with self.rig.quotas.enter(identity, 0, RequestUse(1, tokens)):
            pass

    async def left(self, name: str) -> float:
        identity = await self.rig.access.identify(f"Bearer {secret(name)}")
        bucket = self.rig.quotas.use(identity).day_tokens
        assert bucket is not None
        return bucket.available(self.rig.clock.now())


async def test_what_was_used_is_used_after_a_restart_and_time_pays_meanwhile(
    tmp_path: Path,
) -> None:
    file = tmp_path / "keys.yaml"
    first = Process(file)
    await first.day_use.load()
    await first.use("team-a", 5000)
    await first.day_use.keep()
    second = Process(file, later_s=100.0)
    await second.day_use.load()
    assert await second.left("team-a") == pytest.approx(DAY_TOKENS - 4900)
    assert await second.left("team-b") == DAY_TOKENS


async def test_a_key_that_nobody_used_since_is_kept_as_well(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    first, second, third = Process(file), Process(file, 10.0), Process(file, 20.0)
    await first.use("team-a", 5000)
    await first.day_use.keep()
    await second.day_use.load()
    await second.use("team-b", 300)
    await second.day_use.keep()
    await third.day_use.load()
    assert await third.left("team-a") == pytest.approx(DAY_TOKENS - 4980)
    assert await third.left("team-b") == pytest.approx(DAY_TOKENS - 290)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b" " * (MAX_BYTES + 1), f"more than {MAX_BYTES} bytes"),
        (b'{"\xff": [1, 2]}', "is not what a gateway keeps there"),
        (b'{"a": ' + b"[" * 5000, "is not what a gateway keeps there"),
    ],
    ids=["large", "no UTF-8", "deep"],
)
async def test_what_no_gateway_has_kept_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / f"keys.yaml{SUFFIX}").write_bytes(content)
    process = Process(tmp_path / "keys.yaml")
    await process.day_use.load()
    assert told in process.day_use.problem


async def test_a_file_that_can_not_be_read_or_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    beside = tmp_path / f"keys.yaml{SUFFIX}"
    beside.write_text("{")
    process = Process(file)
    await process.day_use.load()
    assert str(beside) in process.day_use.problem
    await process.use("team-a", 5)
    await process.day_use.keep()
    assert process.day_use.problem == ""
    beside.unlink()
    beside.mkdir()
    await process.use("team-a", 5)
    await process.day_use.keep()
    assert str(beside) in process.day_use.problem
    assert [each.name for each in tmp_path.iterdir()] == [beside.name]
