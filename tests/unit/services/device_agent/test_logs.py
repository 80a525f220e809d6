"""No answer of the agent waits for its log."""

from __future__ import annotations

import logging
import threading

from services.device_agent.logs import BackgroundHandler
from tests.servers import eventually

PATIENCE_S = 10.0


class Stream:
    """It can be stuck, and it can be full."""

    def __init__(self) -> None:
        self.written = b""
        self.full = False
        self.reached = threading.Semaphore(0)
        self.free = threading.Event()
        self.free.set()

    def write(self, data: bytes) -> int:
        self.reached.release()
        assert self.free.wait(PATIENCE_S)
        if self.full:
            raise OSError("no space")
        self.written += data
        return len(data)


def say(handler: BackgroundHandler, text: str) -> None:
    handler.emit(logging.LogRecord("agent", logging.INFO, "", 0, text, None, None))


def test_lines_are_written_in_order_to_the_last() -> None:
    stream = Stream()
    handler = BackgroundHandler(stream.write)
    for number in range(5):
        say(handler, str(number))
    handler.close()
    assert stream.written == b"0\n1\n2\n3\n4\n"


def test_a_stream_that_is_stuck_holds_nobody_up_and_what_was_lost_is_said() -> None:
    stream = Stream()
    stream.free.clear()
    handler = BackgroundHandler(stream.write, max_waiting=2)
    say(handler, "first")
    assert stream.reached.acquire(timeout=PATIENCE_S)
    for text in ("second", "third", "lost", "lost"):
        say(handler, text)
    assert handler.dropped == 2
    stream.free.set()
    eventually(lambda: stream.written.endswith(b"third\n"), "it is written")
    handler.close()
    assert stream.written == b"first\n2 lines of this log were lost\nsecond\nthird\n"


def test_what_a_full_disk_refuses_is_said_once_it_takes_some() -> None:
    stream = Stream()
    stream.full = True
    handler = BackgroundHandler(stream.write)
    say(handler, "lost")
    eventually(lambda: handler.dropped == 1, "it is lost")
    stream.full = False
    say(handler, "written")
    handler.close()
    assert stream.written == b"1 lines of this log were lost\nwritten\n"
