"""One engine's stream, on its way to whoever reads the answer."""

from __future__ import annotations

import re
from collections import deque

from gateway.core.streams.protocols import stream_protocol
from gateway.core.streams.sse import DONE, EventBuffer, answer_object, each_event, payload
from gateway.core.streams.usage import Usage, find_usage
from gateway.core.upstream_errors import ended_early, error_event
from gateway.errors import EngineFailed

DONE_EVENT = b"data: " + DONE + b"\n\n"
_LAST_PIECES = 4
"""So many of the last pieces are kept, as the engine's usage figures stand in one of them."""
_OBJECT_ENDS = (b"}\n\n", b"}\r\n\r\n")
_ERROR_NAMES = (b"event: error", b"event:error")
_CONTENT_FREE = re.compile(rb'"role": ?"assistant", ?"content": ?""')


class AnswerStream:
    """An engine's stream: the good events of what has come, and how it ended.

    What `feed` gives may go on to the caller: whole events, none of which says that the answer has
    failed. A look at the bytes is enough for ordinary events, which are nearly all; what looks
    otherwise is parsed.

    `done`: the stream has ended as its route's protocol says. `over`: it has ended, well or not;
    what comes after that is no part of it. `progressed`: the last piece brought an event of the
    answer, not only comments or the half of one. `tokens`: about how many tokens the last piece
    carried, one for each event, the opening ones aside. That is exact for an engine that sends an
    event for each token; speculation puts several in one.
    """

    __slots__ = (
        "_buffer",
        "_endpoint",
        "_failure",
        "_head",
        "_joint",
        "_last",
        "_lines",
        "_mark",
        "_opening",
        "_protocol",
        "done",
        "over",
        "progressed",
        "tokens",
    )

    def __init__(self, path: str, endpoint: str) -> None:
        protocol = self._protocol = stream_protocol(path)
        self._head, self._lines = protocol.head, protocol.lines
        self._joint = _OBJECT_ENDS[0] + protocol.head
        self._mark = protocol.marks[0] if protocol.marks else b""
        self._opening = protocol.chunks
        self._endpoint = endpoint
        self._buffer = EventBuffer(endpoint)
        self._last: deque[bytes] = deque(maxlen=_LAST_PIECES)
        self._failure: EngineFailed | None = None
        self.done = self.over = self.progressed = False
        self.tokens = 0

    def feed(self, chunk: bytes) -> bytes:
        """The events that are complete and good now, b"" if there are none.

        Raises EngineFailed for an endless event. Any other failure ends the stream here, so that
        the good events before it are given; `finish` then raises it.
        """
        if self.over:
            self.tokens, self.progressed = 0, False
            return b""
        events = self._buffer.feed(chunk)
        if self._is_ordinary(events):
            return events
        if self._protocol.done_ends and events.endswith(DONE_EVENT):
            # The last tokens of an answer and its [DONE] often come together.
            if self._is_ordinary(events[: -len(DONE_EVENT)]):
                self.done = self.over = True
                return events
        return self._examine(events)

    def _is_ordinary(self, events: bytes) -> bool:
        """Whether a look at the bytes is enough for all of these events; they are noted then."""
        if not (self._mark and events.startswith(self._head) and events.endswith(_OBJECT_ENDS)):
            return False
        count = events.count(self._mark)
        if events.count(b"\n") != count * self._lines:
            return False
        if count > 1 and events.count(self._joint) != count - 1:
            return False
        self._last.append(events)
        self.progressed = True
        self.tokens = self._without_openings(events, count) if self._opening else count
        return True

    def finish(self) -> bytes:
        """The last events, when the stream is over or its connection has ended. Raises the
        EngineFailed that says why it did not end well."""
        events = b""
        if not self.over:
            rest = self._buffer.rest()
            events = self._examine(rest + b"\n\n") if rest.strip() else b""
            if self._failure is None:
                self.done = self.done or self._protocol.close_ends
            elif self._failure.code == "unreadable_answer":
                # The half of an event.
                self._failure = None
            self.over = True
        if not self.done:
            raise self._failure or ended_early(self._endpoint)
        return events

    @property
    def usage(self) -> Usage | None:
        """What the engine itself has counted, as far as the last events say it."""
        return find_usage(b"".join(self._last))

    def _examine(self, events: bytes) -> bytes:
        """The good ones of these events, each of which is read."""
        self.tokens, self.progressed = 0, False
        good: list[bytes] = []
        try:
            for event in each_event(events):
                good.append(self._read(event))
                if self.over:
                    break
        except EngineFailed as failure:
            self._failure, self.over = failure, True
        return b"".join(good)

    def _read(self, event: bytes) -> bytes:
        """The event, as it goes on. Raises EngineFailed."""
        data = payload(event)
        if data is None:
            return event
        if data == DONE:
            if not (self._protocol.done_ends and self._last):
                raise ended_early(self._endpoint)
            self.done = self.over = self.progressed = True
            return DONE_EVENT
        answer = answer_object(data, self._endpoint)
        if event.startswith(_ERROR_NAMES):
            raise error_event(self._endpoint)
        self._protocol.check(answer, self._endpoint)
        self.done = self.over = self._protocol.ends(answer)
        self._last.append(event)
        self.progressed = True
        self._count(event)
        return event

    def _count(self, event: bytes) -> None:
        """Add one event's token, and note the way in which the engine writes its JSON."""
        mark = next((mark for mark in self._protocol.marks if mark in event), None)
        self._mark = mark or self._mark
        if self._opening:
            self.tokens += self._without_openings(event, 1)
        elif self._protocol.chunks or mark is not None:
            self.tokens += 1

    def _without_openings(self, events: bytes, count: int) -> int:
        """A stream of chunks opens with events that name the role and carry nothing else."""
        openings = len(_CONTENT_FREE.findall(events))
        self._opening = openings == count
        return max(0, count - openings)
