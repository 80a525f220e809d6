"""The events of a resumable stream on their way through the device."""

from __future__ import annotations


class ResumableEvents:
    """A filter that passes on whole events only, so that nothing comes twice when the rest is
    fetched over a new connection. `last_id` is the id of the last event that was passed on, "" for
    none. Without `keep_ids` the ids stay here."""

    def __init__(self, *, keep_ids: bool) -> None:
        self.last_id = ""
        self._keep_ids = keep_ids
        self._id = ""
        self._event: list[bytes] = []
        self._line = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be passed on now."""
        *lines, self._line = (self._line + piece).split(b"\n")
        return b"".join(self._passed(line + b"\n") for line in lines)

    def rest(self) -> bytes:
        """What a stream that has ended properly left without a final blank line."""
        rest = b"".join(self._event) + self._line
        self.drop_incomplete()
        return rest

    def drop_incomplete(self) -> None:
        """The connection broke within an event, which will come again."""
        self._event, self._line, self._id = [], b"", ""

    def _passed(self, line: bytes) -> bytes:
        if line.startswith(b":") and not self._event:
            # A comment between events only says that the answer is under way.
            return line
        if line.strip(b"\r\n"):
            self._add(line)
            return b""
        self._event.append(line)
        event, self._event = b"".join(self._event), []
        self.last_id, self._id = self._id or self.last_id, ""
        return event

    def _add(self, line: bytes) -> None:
        if line.startswith(b"id:"):
            self._id = line[3:].strip().decode("latin-1")
            if not self._keep_ids:
                return
        self._event.append(line)
