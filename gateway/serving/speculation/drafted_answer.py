"""An engine's answer for which drafts are left, on its way to whoever reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.core.answer_faults import named_fault
from gateway.core.ports import Answer, DraftSource
from gateway.core.streams.answer_stream import AnswerStream
from gateway.core.streams.event_ids import IDS, PROMPT_IDS, numbers, without_ids
from gateway.core.streams.sse import EventBuffer, each_event, objects, payload
from gateway.core.streams.usage import UsageDetails, with_details
from gateway.errors import EngineFailed
from gateway.serving.speculation.whole_answer import WholeAnswer

_USAGE = b'"usage":'


class DraftedStream:
    """An engine's stream as an `Answer` whose token ids its draft `source` gets. `shows_ids`: they
    stay in the events; `usage_details` go into the event with the usage. `marks`: each event with
    tokens says who made them first."""

    def __init__(
        self,
        *,
        answer: Answer,
        endpoint: str,
        source: DraftSource,
        shows_ids: bool,
        usage_details: UsageDetails,
        marks: bool,
    ) -> None:
        self.status, self.headers = answer.status, answer.headers
        self._answer = answer
        self._buffer = EventBuffer(endpoint)
        self._drafts = DraftedEvents(source)
        self._source = source
        self._shows_ids = shows_ids
        self._usage_details = usage_details
        self._marks = marks

    async def read(self) -> bytes:
        while chunk := await self._answer.read():
            if events := self._buffer.feed(chunk):
                return self._note(events)
        return self._note(self._buffer.rest())

    def drain(self) -> None:
        self._source.close()
        self._answer.drain()

    def close(self) -> None:
        self._source.close()
        self._answer.close()

    def _note(self, events: bytes) -> bytes:
        if self._marks:
            events = b"".join(
                _marked(event, self._drafts.note(event)) for event in each_event(events)
            )
        else:
            self._drafts.note(events)
        shown = events if self._shows_ids else without_ids(events)
        if _USAGE in shown and (details := self._usage_details()):
            return b"".join(_with_usage(event, details) for event in each_event(shown))
        return shown


class DraftedWhole:
    """An engine's stream as an `Answer` in one piece, of which the draft `source` gets the token
    ids as they come."""

    status = 200

    def __init__(
        self,
        *,
        answer: Answer,
        path: str,
        endpoint: str,
        source: DraftSource,
        shows_ids: bool,
        usage_details: UsageDetails,
    ) -> None:
        self.headers: Mapping[str, str] = {"content-type": "application/json"}
        self._answer = answer
        self._path, self._endpoint = path, endpoint
        self._source = source
        self._shows_ids = shows_ids
        self._usage_details = usage_details
        self._read = False

    async def read(self) -> bytes:
        """All of it, then nothing. Raises EngineFailed."""
        if self._read:
            return b""
        self._read = True
        stream = AnswerStream(self._path, self._endpoint)
        drafts = DraftedEvents(self._source)
        whole = WholeAnswer(self._path, self._endpoint, shows_ids=self._shows_ids)
        first = b""
        try:
            while not stream.over:
                chunk = await self._answer.read()
                if not stream.begun:
                    first += chunk
                events = stream.feed(chunk) if chunk else stream.finish()
                drafts.note(events)
                for event in objects(events, self._endpoint):
                    whole.add(event)
            stream.finish()
        except EngineFailed:
            if stream.begun or named_fault(self._endpoint, self._path, {}, first) is None:
                raise
            # An error in place of the answer is judged as an engine's own whole answer is.
            return next(filter(None, map(payload, each_event(first))), b"")
        self._answer.drain()
        return whole.body(self._usage_details())

    def drain(self) -> None:
        self._source.close()
        self._answer.drain()

    def close(self) -> None:
        self._source.close()
        self._answer.close()


class DraftedEvents:
    """The events of an engine's stream, of which the draft `source` hears the token ids."""

    def __init__(self, source: DraftSource) -> None:
        self._source = source
        self._prompt_told = False

    def note(self, events: bytes) -> Sequence[str]:
        """Whole events; gives who made their tokens first. What can't be read tells nothing."""
        try:
            if not self._prompt_told and (found := PROMPT_IDS.search(events)):
                self._prompt_told = True
                self._source.prompt(numbers(found[1]))
            ids = [token for group in IDS.findall(events) for token in numbers(group)]
        except ValueError:
            return ()
        return self._source.advance(ids) if ids else ()


def _marked(event: bytes, writers: Sequence[str]) -> bytes:
    """The event with who made its tokens."""
    data = payload(event) if writers else None
    if data is None:
        return event
    try:
        told: dict[str, Any] = orjson.loads(data)
    except orjson.JSONDecodeError:
        return event
    return b"data: " + orjson.dumps({**told, "tierflow": {"by": list(writers)}}) + b"\n\n"


def _with_usage(event: bytes, details: Mapping[str, int]) -> bytes:
    """The event with these details, if it is the one that has the usage of all of the answer."""
    data = payload(event)
    if data is None or _USAGE not in data:
        return event
    try:
        told: dict[str, Any] = orjson.loads(data)
    except orjson.JSONDecodeError:
        return event
    if not isinstance(told, dict) or told.get("choices"):
        return event
    usage = told.get("usage")
    if not isinstance(usage, dict):
        return event
    return b"data: " + orjson.dumps({**told, "usage": with_details(usage, details)}) + b"\n\n"
