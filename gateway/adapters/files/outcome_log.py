"""Appends outcomes to a file as JSON lines, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

MAX_WAITING = 4096
MAX_BYTES = 256 * 1024 * 1024

log = structlog.get_logger("tierflow.outcomes")


class OutcomeFile:
    """The `OutcomeLog` port. What finds no room, or no disk, is lost, and `lost` is called for
    each. `problem` is why the last one could not be written; empty while they are. The log says
    when that changes, and once that outcomes came too fast."""

    def __init__(
        self, path: Path, lost: Callable[[], None] = lambda: None, max_bytes: int = MAX_BYTES
    ) -> None:
        self._path = path
        self._count_lost = lost
        self._max_bytes = max_bytes
        self._overflown = False
        self.problem = ""
        self._entries: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._write_all, name="outcomes", daemon=True)
        self._thread.start()

    def write(self, entry: Mapping[str, Any]) -> None:
        try:
            self._entries.put_nowait(orjson.dumps(entry) + b"\n")
        except queue.Full:
            self._count_lost()
            if not self._overflown:
                log.warning("outcomes_lost", file=str(self._path), problem="too many at once")
            self._overflown = True

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
            else:
                self._written()

    def _lose(self, why: str) -> None:
        self._count_lost()
        if not self.problem:
            log.warning("outcomes_lost", file=str(self._path), problem=why)
        self.problem = f"{self._path}: {why}"

    def _written(self) -> None:
        if self.problem:
            log.info("outcomes_written", file=str(self._path))
        self.problem = ""
