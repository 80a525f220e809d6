"""The events of one stream, numbered and kept, so that a caller who was cut off can go on.

Each event gets a line `id: <stream>:<number>` before it. A comment gets none, and loses its blank
line: a reader that has seen an id takes a blank line after a comment for an event without data.
Comments are numbered all the same, so numbers of events may have gaps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.errors import StreamGone

OVERHEAD_BYTES = 128
"""What an event costs in memory beside its bytes, about."""
_END = re.compile(rb"\r?\n\r?\n")
EVENT_ID_PATTERN = r"^[0-9a-f]{16}-[0-9a-f]{32}:[0-9]{1,12}$"
_STREAM_ID = re.compile(r"([0-9a-f]{16})-[0-9a-f]{32}")
_EVENT_ID = re.compile(r"([0-9a-f]{16}-[0-9a-f]{32}):([0-9]{1,12})")


def stream_id(replica: str, random: str) -> str:
    """The id of a stream of this replica (16 hex digits); `random`: 32 that nobody can guess."""
    return f"{replica}-{random}"


def replica_of(stream: str) -> str | None:
    """The replica that made a stream; None for what is no stream's id."""
    match = _STREAM_ID.fullmatch(stream)
    return None if match is None else match[1]


def read_event_id(value: str) -> tuple[str, int] | None:
    """The stream's id and the event's number; None for an id that `EventLog` did not write."""
    match = _EVENT_ID.fullmatch(value)
    return None if match is None else (match[1], int(match[2]))


class EventLog:
    """A bounded log of a stream's events. `first` and `last` are the numbers of those that it has,
    from 1; `kept_bytes` is what they cost in memory."""

    def __init__(self, stream: str) -> None:
        self.first, self.last = 1, 0
        self.kept_bytes = 0
        self._id = f"id: {stream}:".encode()
        self._entries: dict[int, bytes] = {}
        self._open = False

    def append(self, data: bytes) -> None:
        """Add whole events. One that is incomplete goes on with the next piece."""
        for block in _blocks(data):
            entry = block if self._open else self._marked(block.lstrip(b"\r\n"))
            if not entry:
                continue
            self.last += 1
            self._entries[self.last] = entry
            self.kept_bytes += len(entry) + OVERHEAD_BYTES
            self._open = not block.endswith((b"\n\n", b"\n\r\n"))

    def since(self, position: int, max_bytes: int) -> tuple[bytes, int]:
        """The events after the one with this number, and the number of the last of them: as many as
        `max_bytes` hold, one at least where there is one. Raises StreamGone for events that are
        not kept any more."""
        if position + 1 < self.first:
            raise StreamGone(
                f"events up to {self.first - 1} of this stream are not kept any more, and you had "
                f"{position} (resumable.max_stream_bytes); send the request anew",
                code="stream_gone",
            )
        parts, size = list[bytes](), 0
        while position < self.last:
            entry = self._entries[position + 1]
            if parts and size + len(entry) > max_bytes:
                break
            parts.append(entry)
            size += len(entry)
            position += 1
        return b"".join(parts), position

    def bytes_since(self, position: int) -> int:
        """The size of the events after the one with this number."""
        numbers = range(max(position + 1, self.first), self.last + 1)
        return sum(len(self._entries[number]) for number in numbers)

    def trim(self, max_bytes: int, sent: int) -> None:
        """Drop the oldest until the rest costs `max_bytes` at most, but none after `sent`."""
        while self.kept_bytes > max_bytes and self.first <= min(sent, self.last):
            entry = self._entries.pop(self.first)
            self.kept_bytes -= len(entry) + OVERHEAD_BYTES
            self.first += 1

    def _marked(self, block: bytes) -> bytes:
        """An event with its id, or a comment without its blank line."""
        if block.startswith(b":") and all(line[:1] in (b":", b"") for line in block.splitlines()):
            return block.rstrip(b"\r\n") + b"\n"
        return b"%s%d\n%s" % (self._id, self.last + 1, block) if block else b""


def _blocks(data: bytes) -> Iterator[bytes]:
    if data.find(b"\n\n") == len(data) - 2 and b"\r" not in data:
        # One event, as nearly all pieces are: a search by the expression costs ten times as much.
        yield data
        return
    start = 0
    for match in _END.finditer(data):
        yield data[start : match.end()]
        start = match.end()
    if start < len(data):
        yield data[start:]
