"""Whoever logs never waits and never breaks; what is lost is counted and said."""

from __future__ import annotations

import errno
import threading

import pytest

from gateway.adapters.line_writer import LineWriter
from tests.servers import eventually

PATIENCE_S = 10.0


class Sink:
    """A file that can be full, can be stuck, and takes `at_once` bytes at most in one write."""

    def __init__(self, at_once: int = 1 << 20) -> None:
        self.written = b""
        self.at_once = at_once
        self.room: int | None = None
        self.called = threading.Semaphore(0)
        self.free = threading.Event()
        self.free.set()

    def write(self, data: memoryview) -> int:
        self.called.release()
        assert self.free.wait(PATIENCE_S)
        number = min(len(data), self.at_once)
        if self.room is not None:
            if self.room == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            number = min(number, self.room)
            self.room -= number
        self.written += data[:number]
        return number

    def stick(self) -> None:
        self.free.clear()

    def next_call(self) -> None:
        assert self.called.acquire(timeout=PATIENCE_S)


def writer_of(sink: Sink, max_bytes: int = 1024) -> LineWriter:
    return LineWriter(
        name="test", sink=sink.write, resumed=lambda n: b"lost %d\n" % n, max_bytes=max_bytes
    )


def counted(writer: LineWriter, lost: int) -> None:
    eventually(lambda: writer.dropped == lost, "the loss is counted")


@pytest.fixture
def sink() -> Sink:
    return Sink()


def test_lines_are_written_in_order_and_the_last_ones_at_the_end(sink: Sink) -> None:
    writer = writer_of(sink)
    for number in range(20):
        assert writer.write(b"%d" % number)
    writer.close(PATIENCE_S)
    assert sink.written == b"".join(b"%d\n" % number for number in range(20))
    assert writer.dropped == 0


def test_a_sink_that_takes_a_part_gets_the_rest() -> None:
    sink = Sink(at_once=3)
    writer = writer_of(sink)
    writer.write(b"a long line")
    writer.close(PATIENCE_S)
    assert sink.written == b"a long line\n"


def test_nobody_waits_for_a_sink_that_is_stuck_and_the_loss_is_said_where_it_was(
    sink: Sink,
) -> None:
    sink.stick()
    writer = writer_of(sink, max_bytes=8)
    assert writer.write(b"first")
    sink.next_call()
    # The first still counts: it is not written.
    assert writer.write(b"abc")
    assert not writer.write(b"d")
    assert not writer.write(b"e")
    assert writer.dropped == 2
    sink.free.set()
    writer.close(PATIENCE_S)
    assert sink.written == b"first\nlost 2\nabc\n"


def test_a_sink_that_is_stuck_for_good_does_not_hold_up_the_end(sink: Sink) -> None:
    sink.stick()
    writer = writer_of(sink)
    writer.write(b"first")
    sink.next_call()
    writer.close(0.01)
    assert not writer.write(b"too late")
    sink.free.set()


def test_lines_that_a_full_disk_refuses_are_counted_and_said_once_it_takes_some(
    sink: Sink,
) -> None:
    sink.room = 0
    writer = writer_of(sink)
    for number in (1, 2):
        writer.write(b"lost")
        counted(writer, number)
    sink.room = None
    writer.write(b"written")
    writer.close(PATIENCE_S)
    assert sink.written == b"written\nlost 2\n"


def test_a_line_that_was_cut_off_does_not_spoil_the_next(sink: Sink) -> None:
    sink.room = 4
    writer = writer_of(sink)
    writer.write(b"cut off")
    counted(writer, 1)
    writer.write(b"lost")
    counted(writer, 2)
    sink.room = None
    writer.write(b"whole")
    writer.close(PATIENCE_S)
    assert sink.written == b"cut \nwhole\nlost 2\n"
