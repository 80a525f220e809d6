"""The answer to a request: uvicorn's, whose head is checked in one go.

Every answer of the gateway has some twenty headers, and uvicorn looks for forbidden characters in
each name and each value on its own: that is a part of what the gateway costs a request.
"""

from __future__ import annotations

from functools import lru_cache

from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

_CONTROLS = bytes(code for code in range(0x20) if code != 0x09) + b"\x7f"
_BODILESS = (204, 304)


class HttpAnswer(RequestResponseCycle):
    """The answer to one request of a connection."""

    async def send(self, message: ASGISendEvent) -> None:
        """Raises RuntimeError for messages out of order, and for a header that HTTP forbids."""
        plain = not self.response_started and not self.access_log and not self.flow.write_paused
        if plain and not self.disconnected and message["type"] == "http.response.start":
            self._start(message)
        else:
            await super().send(message)

    def _start(self, message: HTTPResponseStartEvent) -> None:
        self.response_started, self.waiting_for_100_continue = True, False
        status = message["status"]
        lines = [STATUS_LINE[status]]
        closes = False
        for name, value in (*self.default_headers, *message.get("headers", ())):
            begin, framing = _line(name)
            lines += (begin, value, b"\r\n")
            if framing == b"content-length" and self.chunked_encoding is None:
                self.expected_content_length, self.chunked_encoding = int(value), False
            elif framing == b"transfer-encoding" and value.lower() == b"chunked":
                self.expected_content_length, self.chunked_encoding = 0, True
            elif framing == b"connection" and _says_close(value):
                self.keep_alive, closes = False, True
        head = _checked(lines)
        if not self.keep_alive and not closes:
            head += b"connection: close\r\n"
        if self._without_length(status):
            self.chunked_encoding = True
            head += b"transfer-encoding: chunked\r\n"
        self.transport.write(head + b"\r\n")

    def _without_length(self, status: int) -> bool:
        unknown = self.chunked_encoding is None
        return unknown and status not in _BODILESS and self.scope["method"] != "HEAD"


@lru_cache(1024)
def _line(name: bytes) -> tuple[bytes, bytes]:
    """How a header's line begins, and its name in lower case where it is one that says how the
    answer ends."""
    if HEADER_RE.search(name):
        raise RuntimeError("Invalid HTTP header name.")
    lower = name.lower()
    frames = lower in (b"content-length", b"transfer-encoding", b"connection")
    return lower + b": ", lower if frames else b""


def _says_close(value: bytes) -> bool:
    return b"close" in [token.strip() for token in value.lower().split(b",")]


def _checked(lines: list[bytes]) -> bytes:
    """The head that the pieces of its lines make. Raises RuntimeError where a value has a character
    that would end its line, or that none may have: the head has two of those for each line."""
    head = b"".join(lines)
    # The status line, and three pieces for each header.
    ends = 1 + (len(lines) - 1) // 3
    if len(head.translate(None, _CONTROLS)) != len(head) - 2 * ends:
        raise RuntimeError("Invalid HTTP header value.")
    return head
