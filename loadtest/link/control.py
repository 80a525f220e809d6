"""Changes of links while they run: one JSON object a line, answered by one.

A request has any of `delay_ms`, `jitter_ms`, `rate_mb_s` (0: without limit), `stall` ([every_s,
for_s], or null for none) and `cut_s`, for the link numbered `link` (absent: all). The answer
is the state of all links, or `{"error": …}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from loadtest.link.line import Conditions, Stall
from loadtest.link.link import HOST, Link

FIELDS = ("link", "delay_ms", "jitter_ms", "rate_mb_s", "stall", "cut_s")


def changed(before: Conditions, fields: Mapping[str, Any]) -> Conditions:
    """The conditions with these fields changed. Raises ValueError, naming the field."""
    after: dict[str, Any] = {}
    for field, name, scale in (("delay_ms", "delay_s", 1e-3), ("jitter_ms", "jitter_s", 1e-3)):
        if field in fields:
            after[name] = scale * _number(fields, field)
    if "rate_mb_s" in fields:
        after["bytes_per_s"] = 1e6 * _number(fields, "rate_mb_s") or math.inf
    if "stall" in fields:
        after["stall"] = _stall(fields["stall"])
    return replace(before, **after)


def _number(fields: Mapping[str, Any], field: str) -> float:
    value = fields[field]
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


def apply(links: Sequence[Link], fields: Any) -> None:
    """All or nothing. Raises ValueError, naming the field."""
    if not isinstance(fields, dict):
        raise ValueError("must be a JSON object")
    if unknown := set(fields) - set(FIELDS):
        raise ValueError(f"{', '.join(sorted(unknown))}: unknown, known are {', '.join(FIELDS)}")
    chosen = list(links)
    if (number := fields.get("link")) is not None:
        if not isinstance(number, int) or not 0 <= number < len(links):
            raise ValueError(f"link: must be 0 to {len(links) - 1}")
        chosen = [links[number]]
    cut_s = _number(fields, "cut_s") if "cut_s" in fields else None
    if cut_s is not None and cut_s < 0:
        raise ValueError("cut_s: must not be negative")
    new = [changed(link.conditions, fields) for link in chosen]
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
    """A client of the emulator's control port; its calls block."""

    def __init__(self, port: int, timeout_s: float = 5.0) -> None:
        self._socket = socket.create_connection((HOST, port), timeout_s)
        self._lines = self._socket.makefile("rb")

    def ask(self, **fields: Any) -> list[dict[str, Any]]:
        """The state of all links after the change. Raises ValueError when it is refused."""
        self._socket.sendall(json.dumps(fields).encode() + b"\n")
        answer = json.loads(self._lines.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        links: list[dict[str, Any]] = answer["links"]
        return links

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
