"""Read from a request's body what routing needs, and put another model's name into it.

The body is parsed once, and only read: what the engine gets is the caller's own bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

HEAD_CHARS = 1024
MAX_DEPTH = 8
"""Deeper than any prompt's text; a body nested without end must not exhaust the stack."""

# Runs of plain characters in one step each: a prompt is one long string.
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKENS = re.compile(_STRING + rb"|[{}\[\]]", re.DOTALL)
_VALUE = re.compile(rb"\s*:\s*(" + _STRING + rb")", re.DOTALL)
_CHARS_PER_TOKEN_ID = 4


def prompt_chars_and_key(body: Mapping[str, Any]) -> tuple[int, bytes]:
    """The prompt's length in characters of text, and a key that equal heads share.

    Token ids count as four characters each. The key is b"" when there is no text.
    """
    head: list[str] = []
    length = _measure(body.get("messages") or body.get("prompt") or body.get("input"), head)
    text = "\x00".join(head)[:HEAD_CHARS]
    if not text:
        return length, b""
    return length, blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _measure(value: Any, head: list[str], depth: int = 0) -> int:
    """Sum up text lengths below `value`; the first HEAD_CHARS of it, roughly, go to `head`."""
    if isinstance(value, str):
        if len(head) < HEAD_CHARS // 8:
            head.append(value[:HEAD_CHARS])
        return len(value)
    if depth >= MAX_DEPTH:
        return 0
    if isinstance(value, list):
        if value and isinstance(value[0], int):
            if len(head) < HEAD_CHARS // 8:
                head.append(repr(value[: HEAD_CHARS // 4]))
            return len(value) * _CHARS_PER_TOKEN_ID
        return sum(_measure(item, head, depth + 1) for item in value)
    if isinstance(value, Mapping):
        # A message has content, a part of a message has text; images have neither.
        return _measure(value.get("content") or value.get("text"), head, depth + 1)
    return 0


def replace_model(body: bytes, model: str) -> bytes | None:
    """The same bytes with the top-level `model` value replaced; None when it isn't found.

    A second `model` key at the top level (parsers take the last) is replaced as well; deeper
    ones are left alone.
    """
    quoted = json.dumps(model).encode()
    pieces: list[bytes] = []
    depth, done, position = 0, 0, 0
    while token := _TOKENS.search(body, position):
        position = token.end()
        text = token[0]
        if text in b"{[":
            depth += 1
        elif text in b"}]":
            depth -= 1
        elif depth == 1 and text == b'"model"' and (value := _VALUE.match(body, position)):
            pieces += [body[done : value.start(1)], quoted]
            done = position = value.end(1)
    if not pieces:
        return None
    return b"".join([*pieces, body[done:]])
