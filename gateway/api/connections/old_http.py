"""Answers to HTTP/1.0, which knows no chunks: where their length is not known, the end of the
connection is theirs."""

from __future__ import annotations

import sys

from uvicorn._types import ASGISendEvent

from gateway.api.connections.answer import HttpAnswer


class CloseDelimitedAnswer(HttpAnswer):
    """The answer to a request of HTTP/1.0; uvicorn would send one without a length in chunks."""

    without_length = False

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            self.without_length = b"content-length" not in names and self.scope["method"] != "HEAD"
            if self.without_length:
                self.chunked_encoding, self.expected_content_length = False, sys.maxsize
        elif self.without_length and message["type"] == "http.response.body":
            if not message.get("more_body", False):
                self.expected_content_length = len(message.get("body", b""))
        await super().send(message)
