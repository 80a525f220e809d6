"""How much memory the process may have, by either version of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.memory_limit import memory_limit_bytes
from gateway.settings.bounds import RequestLimits
from gateway.wiring.web import bodies_bytes

MIB = 1 << 20


def limit(root: Path, files: dict[str, str], membership: str) -> int | None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "self").write_text(membership)
    return memory_limit_bytes(root, root / "self")


@pytest.mark.parametrize(
    ("files", "membership", "expected"),
    [
        ({"memory.max": "536870912\n"}, "0::/\n", 512 * MIB),
        ({"a/b/memory.max": "1000\n", "memory.max": "max\n"}, "0::/a/b\n", 1000),
        ({"memory/memory.limit_in_bytes": "2000\n"}, "4:memory:/x\n", 2000),
        ({"memory/x/memory.limit_in_bytes": "2000\n"}, "9:cpu:/\n4:cpu,memory:/x\n", 2000),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, "4:memory:/\n", None),
        ({"memory.max": "max\n"}, "0::/\n", None),
        ({}, "", None),
    ],
)
def test_the_limit_is_that_of_the_processs_own_group(
    tmp_path: Path, files: dict[str, str], membership: str, expected: int | None
) -> None:
    assert limit(tmp_path, files, membership) == expected


@pytest.mark.parametrize(
    ("memory", "room"),
    [(None, 256 * MIB), (8192 * MIB, 256 * MIB), (1024 * MIB, 224 * MIB), (512 * MIB, 96 * MIB)]
    + [(64 * MIB, 32 * MIB)],
)
def test_bodies_have_room_by_the_memory_that_there_is(memory: int | None, room: int) -> None:
    assert bodies_bytes(RequestLimits(), memory) == room


def test_what_is_set_holds() -> None:
    assert bodies_bytes(RequestLimits(max_bodies_bytes=40 * MIB), 512 * MIB) == 40 * MIB
