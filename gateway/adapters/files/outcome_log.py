"""Appends outcomes to a file as JSON lines."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

from gateway.adapters.line_writer import LineWriter

MAX_BYTES = 256 * 1024 * 1024
CLOSE_S = 1.0
"""How long the last outcomes may take when the gateway ends."""

log = structlog.get_logger("tierflow.outcomes")


class OutcomeFile:
    """The `OutcomeLog` port. What finds no room in the queue, in the file or on the disk is
    dropped. The log says when the file can't be written, and when it can be again."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._why = ""
        self._writer = LineWriter(name="outcomes", sink=self._append, resumed=self._resumed)

    @property
    def dropped(self) -> int:
        """Outcomes that were lost."""
        return self._writer.dropped

    @property
    def problem(self) -> str:
        """Why the last outcomes were lost; empty while they are written."""
        if not self._writer.losing:
            return ""
        return f"{self._path}: {self._why or 'more outcomes at once than can be written'}"

    def write(self, entry: Mapping[str, Any]) -> None:
        self._writer.write(orjson.dumps(entry))

    def close(self) -> None:
        """Write what waits, and end; after CLOSE_S at the latest."""
        self._writer.close(CLOSE_S)

    def _append(self, data: memoryview) -> int:
        """Raises OSError."""
        try:
            # Opened anew each time, so that whoever moves the file away gets a new one.
            with self._path.open("ab", buffering=0) as file:
                if file.tell() + len(data) > self._max_bytes:
                    raise OSError(errno.EFBIG, f"the file may have {self._max_bytes} bytes")
                written = file.write(data)
        except OSError as error:
            why = error.strerror or os.strerror(errno.EIO)
            if not self._why:
                log.warning("outcomes_lost", file=str(self._path), problem=why)
            self._why = why
            raise
        self._why = ""
        return written

    def _resumed(self, number: int) -> bytes:
        log.info("outcomes_written", file=str(self._path), lost=number)
        return b""
