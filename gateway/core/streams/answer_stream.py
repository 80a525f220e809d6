"""One engine's stream, on its way to whoever reads the answer."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from gateway.core.streams.protocols import stream_protocol
from gateway.core.streams.sse import DONE, EventBuffer, answer_object, each_event, payload
from gateway.core.streams.usage import Usage, find_usage
from gateway.core.upstream_errors import ended_early, error_event
from gateway.errors import EngineFailed

DONE_EVENT = b"data: " + DONE + b"\n\n"
_LAST_PIECES = 4
"""So many of the last pieces are kept, as the engine's usage figures stand in one of them."""
_OBJECT_ENDS = (b"}\n\n", b"}\r\n\r\n")
_OPENING = re.compile(rb'"role": ?"assistant", ?"content": ?""')
_TEXT = re.compile(rb'"(?:content|text)": ?"[^"]')
_ERROR_NAMES = (b"event: error", b"event:error")


class AnswerStream:
    """An engine's stream: the good events of what has come, and how it ended.

    What `feed` gives may go on to the caller: whole events, none of which says that the answer has
    failed. A look at the bytes is enough for ordinary events, which are nearly all; what looks
    otherwise is parsed. `several`: the request asks for more than one text, so each event is
    parsed, to know the texts that have begun and those that have ended.

    `begun`: something of the answer itself has come, and not only what opens it. `done`: the stream
    has ended as its route's protocol says. `over`: it has ended, well or not; what comes after that
    is no part of it. `progressed`: the last piece brought an event of the answer, not only comments
    or the half of one. `tokens`: about how many tokens the last piece carried, one for each event,
    the opening ones aside. That is exact for an engine that sends an event for each token;
    speculation puts several in one.
    """

    __slots__ = (
        "_buffer",
        "_endpoint",
        "_ended",
        "_failure",
        "_head",
        "_joint",
        "_last",
        "_lines",
        "_mark",
        "_protocol",
        "_several",
        "_started",
        "begun",
        "done",
        "over",
        "progressed",
        "tokens",
    )

    def __init__(self, path: str, endpoint: str, *, several: bool = False) -> None:
        protocol = self._protocol = stream_protocol(path)
        self._head, self._lines = protocol.head, protocol.lines
        self._joint = _OBJECT_ENDS[0] + protocol.head
        self._mark = protocol.marks[0] if protocol.marks else b""
        self._several = several
        self._endpoint = endpoint
        self._buffer = EventBuffer(endpoint)
        self._last: deque[bytes] = deque(maxlen=_LAST_PIECES)
        self._failure: EngineFailed | None = None
        self._started: set[object] = set()
        self._ended: set[object] = set()
        self.begun = self.done = self.over = self.progressed = False
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
        if not self._several and self._is_ordinary(events) and (self.begun or self._begins(events)):
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
        self.tokens = count
        return True

    def _begins(self, events: bytes) -> bool:
        """Whether a look at the first ordinary events tells if the answer begins with them."""
        openings = len(_OPENING.findall(events))
        if openings == self.tokens:
            self.tokens = 0
            return True
        self.begun = openings == 0 and _TEXT.search(events) is not None
        return self.begun

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

    def fail(self, failure: EngineFailed) -> None:
        """The stream ends here: its connection broke. `finish` raises this."""
        self._failure, self.over = self._failure or failure, True

    @property
    def usage(self) -> Usage | None:
        """What the engine itself has counted, as far as the last events say it."""
        return find_usage(b"".join(self._last))

    def _examine(self, events: bytes) -> bytes:
        """The good ones of these events. Each is read that opens the answer, and those that follow
        its ordinary ones: the last tokens of an answer and its end often come together."""
        self.tokens, self.progressed = 0, False
        good: list[bytes] = []
        try:
            rest = events if self.begun else self._read_each(events, good)
            if rest and not (self.over or self._several):
                end = rest.find(_OBJECT_ENDS[0], rest.rfind(self._mark)) + len(_OBJECT_ENDS[0])
                before = self.tokens
                if self._is_ordinary(rest[:end]):
                    self.tokens += before
                    good.append(rest[:end])
                    rest = rest[end:]
            while rest and not self.over:
                rest = self._read_each(rest, good)
        except EngineFailed as failure:
            self._failure, self.over = failure, True
        return b"".join(good)

    def _read_each(self, events: bytes, good: list[bytes]) -> bytes:
        """Read these events up to the stream's end, or to the one that begins the answer; gives
        what follows. Raises EngineFailed."""
        begun, end = self.begun, 0
        for event in each_event(events):
            end += len(event)
            good.append(self._read(event))
            if self.over or self.begun != begun:
                break
        return events[end:]

    def _read(self, event: bytes) -> bytes:
        """The event, as it goes on. Raises EngineFailed."""
        data = payload(event)
        if data is None:
            return event
        if data == DONE:
            if not (self._protocol.done_ends and self._last and self._all_ended()):
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
        self._note(event, answer)
        return event

    def _all_ended(self) -> bool:
        """Whether every text that has begun has its finish reason."""
        if not self._protocol.gives_reasons:
            return True
        return bool(self._ended) and self._started <= self._ended

    def _note(self, event: bytes, answer: Mapping[str, Any]) -> None:
        """Note what one event says of the answer's course: its token, the texts that it begins or
        ends, and the way in which the engine writes its JSON."""
        protocol, says = self._protocol, False
        mark = next((mark for mark in protocol.marks if mark in event), None)
        self._mark = mark or self._mark
        for index, reason in protocol.texts(answer):
            says = True
            self._started.add(index)
            if reason is not None:
                self._ended.add(index)
        if not self.begun:
            says = self.begun = not protocol.opens(answer)
        self.tokens += says if protocol.chunks else mark is not None
