"""The encodings in which a body of JSON may come."""

from __future__ import annotations

import json


def in_utf8(body: bytes) -> bytes:
    """A JSON body in UTF-8 without a byte order mark. One in UTF-16 or UTF-32, or with a mark, is
    told by its first bytes, as engines' own reader tells it (RFC 4627, 3). What is in none of them
    is returned as it is."""
    if body[:1] == b"{" and body[1:2] != b"\0":
        return body
    encoding = json.detect_encoding(body)
    if encoding == "utf-8":
        return body
    try:
        return body.decode(encoding).encode()
    except UnicodeError:
        return body
