"""One engine's stream, on its way to whoever reads the answer."""

from __future__ import annotations

import re
from collections import deque

from gateway.core.streams.protocols import stream_protocol
from gateway.core.streams.sse import DONE, EventBuffer, answer_object, each_event, payload
from gateway.core.streams.usage import Usage, find_usage
from gateway.core.upstream_errors import ended_early
from gateway.errors import EngineFailed

DONE_EVENT = b"data: " + DONE + b"\n\n"
_LAST_PIECES = 4
"""So many of the last pieces are kept, as the engine's usage figures stand in one of them."""
_CONTENT_FREE = re.compile(rb'"role": ?"assistant", ?"content": ?""')


class AnswerStream:
    """An engine's stream: the good events of what has come, and how it ended.

    What `feed` gives may go on to the caller: whole events, none of which says that the answer has
    failed. An engine writes one line of JSON an event, so a look at its bytes is enough for nearly
    all of them; only an event that raises a doubt is parsed.

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
        "_last",
        "_opening",
        "_protocol",
        "done",
        "over",
        "progressed",
        "tokens",
    )

    def __init__(self, path: str, endpoint: str) -> None:
        self._protocol = stream_protocol(path)
        self._endpoint = endpoint
        self._buffer = EventBuffer(endpoint)
        self._last: deque[bytes] = deque(maxlen=_LAST_PIECES)
        self._failure: EngineFailed | None = None
        self._opening = True
        self.done = self.over = self.progressed = False
        self.tokens = 0

    def feed(self, chunk: bytes) -> bytes:
        """The events that are complete and good now, b"" if there are none.

        Raises EngineFailed for an endless event. Any other failure ends the stream here, so that
        the good events before it are given; `finish` then raises it.
        """
        events = self._buffer.feed(chunk)
        count = _plain_events(events)
        if count:
            for mark in self._protocol.marks:
                if mark in events:
                    break
            else:
                self._note(events, count)
                return events
        return self._examine(events)

    def finish(self) -> bytes:
        """The last events, when the stream is over or its connection has ended. Raises the
        EngineFailed that says why it did not end well."""
        events = b""
        if not self.over:
            rest = self._buffer.rest()
            events = self._examine(rest + b"\n\n") if rest.strip() else b""
            if self._protocol.close_ends and self._failure is None:
                self.done = True
            elif self._failure is not None and self._failure.code == "unreadable_answer":
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
                if self.over:
                    break
                good.append(self._read(event))
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
        self._protocol.check(answer, self._endpoint)
        self.done = self.over = self._protocol.ends(answer)
        tokens = self.tokens
        self._note(event, 1)
        self.tokens += tokens
        return event

    def _note(self, events: bytes, count: int) -> None:
        self.progressed = True
        self._last.append(events)
        mark = self._protocol.token_mark
        if mark is not None:
            count = events.count(mark)
        elif self._opening:
            openings = len(_CONTENT_FREE.findall(events))
            self._opening = openings == count
            count -= openings
        self.tokens = count


def _plain_events(events: bytes) -> int:
    """How many events these are, if each has one line of data that looks like a JSON object; 0 if
    one has not, and must be read."""
    if not events.endswith(b"}\n\n"):
        return 0
    count = events.count(b"\n\n")
    begun = events.count(b"\ndata: {") + events.startswith(b"data: {")
    if begun != count or (count > 1 and events.count(b"}\n\n") != count):
        return 0
    return count
