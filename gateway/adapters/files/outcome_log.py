"""Appends outcomes to a file as JSON lines, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

MAX_WAITING = 4096
MAX_BYTES = 256 * 1024 * 1024

log = structlog.get_logger("tierflow.outcomes")


class OutcomeFile:
    """The `OutcomeLog` port. What finds no room, or no disk, is lost, and the first loss logged."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._entries: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._lost = False
        self._thread = threading.Thread(target=self._write_all, name="outcomes", daemon=True)
        self._thread.start()

    def write(self, entry: Mapping[str, Any]) -> None:
        try:
            self._entries.put_nowait(orjson.dumps(entry) + b"\n")
        except queue.Full:
            self._lose("too many outcomes at once")

    def close(self) -> None:
        """Write what waits, and end; after a second at the latest."""
        try:
            self._entries.put(None, timeout=1.0)
        except queue.Full:
            return
        self._thread.join(1.0)

    def _write_all(self) -> None:
        while (line := self._entries.get()) is not None:
            try:
                with self._path.open("ab") as file:
                    if file.tell() + len(line) > self._max_bytes:
                        self._lose(f"the file has {self._max_bytes} bytes")
                        continue
                    file.write(line)
            except OSError as error:
                self._lose(error.strerror or "the file can't be written")

    def _lose(self, why: str) -> None:
        if not self._lost:
            self._lost = True
            log.warning("outcomes_lost", why=why)
