"""The agent's log lines: a thread writes them, so that no answer waits for a disk or a pipe."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from functools import partial

STANDARD_ERROR = 2
MAX_WAITING = 4096
CLOSE_S = 1.0
"""How long the last lines may take when the process ends."""


class BackgroundHandler(logging.Handler):
    """A handler that never blocks or raises. Lines that find no room, or that `write` refuses with
    OSError, are dropped; the next line that is written says how many."""

    def __init__(self, write: Callable[[bytes], int], max_waiting: int = MAX_WAITING) -> None:
        super().__init__()
        self._write = write
        # Each is counted by one side only, so that none is lost between threads.
        self._refused = self._failed = self._told = 0
        self._lines: queue.Queue[str | None] = queue.Queue(max_waiting)
        self._thread = threading.Thread(target=self._write_all, name="logs", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """The lines that were dropped since the last one that was written."""
        return self._refused + self._failed - self._told

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._refused += 1
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, for a second at most."""
        try:
            self._lines.put_nowait(None)
            self._thread.join(CLOSE_S)
        except queue.Full:
            pass
        super().close()

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            lost = self.dropped
            told = f"{lost} lines of this log were lost\n" if lost else ""
            try:
                self._write(f"{told}{line}\n".encode(errors="replace"))
                self._told += lost
            except OSError:
                self._failed += 1


def configure_logs() -> BackgroundHandler:
    """Lines on standard error, each with its time in UTC. `close` the handler at the end."""
    # Not by sys.stderr: its lock would hold up the end of the process.
    handler = BackgroundHandler(partial(os.write, STANDARD_ERROR))
    line = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    line.converter = time.gmtime
    handler.setFormatter(line)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # A line that can't be made must not go to standard error past the handler.
    logging.raiseExceptions = False
    return handler
