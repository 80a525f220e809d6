"""Lines that a thread writes, so that whoever logs never waits for a disk or a pipe."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

MAX_QUEUED_BYTES = 8 * 1024 * 1024
GATHER_S = 0.02
"""Lines that come within this time are written together."""


class LineWriter:
    """A bounded queue of lines, and the thread that empties it. `write` never blocks or raises;
    lines that find no room, or that can't be written, are dropped and counted in `dropped`.

    `sink` writes bytes as `os.write` does: it may take a part of them, and it raises OSError.
    `resumed` is called by the thread once lines are written again after some were dropped. It gets
    their number, and gives what to write about it (b"": nothing).
    """

    def __init__(
        self,
        *,
        name: str,
        sink: Callable[[memoryview], int],
        resumed: Callable[[int], bytes],
        max_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        self._sink = sink
        self._resumed = resumed
        self._max_bytes = max_bytes
        # Reentrant, as Condition is by default: a signal handler or a finaliser may log, too.
        self._condition = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._queued_bytes = 0
        self._idle = self._closing = False
        self._unsaid = 0
        self._torn = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def losing(self) -> int:
        """The lines that were dropped since lines were written last; 0 while they are written."""
        return self._unsaid

    def write(self, line: bytes) -> bool:
        """Queue a line, given without its end. False: it is dropped."""
        with self._condition:
            if self._closing or self._queued_bytes + len(line) > self._max_bytes:
                self._drop(1)
                return False
            self._lines.append(line)
            self._queued_bytes += len(line)
            if self._idle:
                self._idle = False
                self._condition.notify()
        return True

    def close(self, seconds: float) -> None:
        """Write what waits, for so long at most. The thread does not keep the process alive."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while lines := self._next():
            self._write_batch(lines)
            with self._condition:
                self._queued_bytes -= sum(map(len, lines))

    def _next(self) -> deque[bytes]:
        """The lines that wait; they count as queued until they are written. Empty: the end."""
        with self._condition:
            while not self._lines and not self._closing:
                self._idle = True
                self._condition.wait()
            if not self._closing:
                # One switch of threads for many lines costs each of them next to nothing.
                self._condition.wait_for(lambda: self._closing, GATHER_S)
            lines, self._lines = self._lines, deque()
            return lines

    def _write_batch(self, lines: deque[bytes]) -> None:
        # What was cut off within a line is ended first, so that the next line stands alone.
        missing = len(lines)
        if not self._torn or not self._write_out(b"\n"):
            missing = self._write_out(b"\n".join(lines) + b"\n")
        with self._condition:
            self._drop(missing)
            number, self._unsaid = self._unsaid, self._unsaid if missing else 0
        if number and not missing and self._write_out(self._resumed(number)):
            with self._condition:
                self._unsaid += number

    def _write_out(self, data: bytes) -> int:
        """Give how many lines could not be written."""
        view, done = memoryview(data), 0
        try:
            while done < len(view):
                done += self._sink(view[done:])
        except OSError:
            if done:
                self._torn = data[done - 1 : done] != b"\n"
            return data.count(b"\n", done)
        self._torn = False
        return 0

    def _drop(self, number: int) -> None:
        self.dropped += number
        self._unsaid += number
