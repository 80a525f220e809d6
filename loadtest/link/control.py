"""Changing links while they run: one JSON object a line, answered by one.

Asked with any of `delay_ms`, `jitter_ms`, `rate_mb_s` (0: without limit), `stall` ([every_s,
for_s], or null for none) and `cut_s`, for the link numbered `link` (absent: all). The answer
tells the state of all links, or `{"error": …}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from loadtest.link.link import HOST, Link
from loadtest.link.pacing import Conditions, Stall

FIELDS = ("link", "delay_ms", "jitter_ms", "rate_mb_s", "stall", "cut_s")


def changed(before: Conditions, asked: Mapping[str, Any]) -> Conditions:
    """What is not asked for stays. Raises ValueError, naming the field."""
    after: dict[str, Any] = {}
    for field, name, scale in (("delay_ms", "delay_s", 1e-3), ("jitter_ms", "jitter_s", 1e-3)):
        if field in asked:
            after[name] = scale * _number(asked, field)
    if "rate_mb_s" in asked:
        after["bytes_per_s"] = 1e6 * _number(asked, "rate_mb_s") or math.inf
    if "stall" in asked:
        after["stall"] = _stall(asked["stall"])
    return replace(before, **after)


def _number(asked: Mapping[str, Any], field: str) -> float:
    value = asked[field]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{field}: must be a number")
    return float(value)


def _stall(value: Any) -> Stall | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("stall: must be [every_s, for_s] or null")
    every, length = ({"stall": part} for part in value)
    return Stall(_number(every, "stall"), _number(length, "stall"))


def apply(links: Sequence[Link], asked: Any) -> None:
    """All or nothing. Raises ValueError, naming the field."""
    if not isinstance(asked, dict):
        raise ValueError("must be a JSON object")
    if unknown := set(asked) - set(FIELDS):
        raise ValueError(f"{', '.join(sorted(unknown))}: unknown, known are {', '.join(FIELDS)}")
    chosen = list(links)
    if (number := asked.get("link")) is not None:
        if not isinstance(number, int) or not 0 <= number < len(links):
            raise ValueError(f"link: must be 0 to {len(links) - 1}")
        chosen = [links[number]]
    cut_s = _number(asked, "cut_s") if "cut_s" in asked else None
    if cut_s is not None and cut_s < 0:
        raise ValueError("cut_s: must not be negative")
    new = [changed(link.conditions, asked) for link in chosen]
    for link, conditions in zip(chosen, new, strict=True):
        link.conditions = conditions
        if cut_s is not None:
            link.cut(cut_s)


def state(links: Sequence[Link]) -> dict[str, Any]:
    return {
        "links": [
            {
                "port": link.port,
                "delay_ms": 1e3 * link.conditions.delay_s,
                "jitter_ms": 1e3 * link.conditions.jitter_s,
                "rate_mb_s": _rate(link.conditions),
                "open": link.open,
                "accepted": link.accepted,
            }
            for link in links
        ]
    }


def _rate(conditions: Conditions) -> float:
    rate = conditions.bytes_per_s / 1e6
    return rate if math.isfinite(rate) else 0.0


def _answer(links: Sequence[Link], line: bytes) -> dict[str, Any]:
    try:
        apply(links, json.loads(line))
    except ValueError as error:
        return {"error": str(error)}
    return state(links)


async def serve(links: Sequence[Link], port: int) -> asyncio.Server:
    """Raises OSError when the port is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # At the emulator's end: asyncio would print the cancellation of a stream's handler.
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            while line := await reader.readline():
                writer.write(json.dumps(_answer(links, line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, HOST, port)


class Control:
    """The asking side, blocking."""

    def __init__(self, port: int, timeout_s: float = 5.0) -> None:
        self._socket = socket.create_connection((HOST, port), timeout_s)
        self._lines = self._socket.makefile("rb")

    def ask(self, **fields: Any) -> list[dict[str, Any]]:
        """The state of all links after the change. Raises ValueError when it is refused."""
        self._socket.sendall(json.dumps(fields).encode() + b"\n")
        told = json.loads(self._lines.readline())
        if "error" in told:
            raise ValueError(told["error"])
        links: list[dict[str, Any]] = told["links"]
        return links

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
