"""Read from a request's body what routing needs, and put another model's name into it.

The body is parsed once, and only read: what the engine gets is the caller's own bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

from gateway.protocol.paths import ROUTES

HEAD_CHARS = 1024
MAX_DEPTH = 8
"""Deeper than any prompt's text; a body nested without end must not exhaust the stack."""

MAX_NESTING = 200
"""Lists and objects within one another in one field."""
_WRITTEN_NESTING = 254
"""Deeper values can be read by orjson, and not written."""

MAX_MODEL_KEYS = 256
"""In one body, at whatever depth; a schema may have a property of this name."""

_ANY_PROMPT_FIELDS = ("messages", "prompt", "input")
_TOOL_FIELDS = ("tools", "functions")
_TEXTS = ("content", "text", "output", "arguments", "tool_calls", "function")
"""A message has content, and calls of tools; a part of it has text; images have none of them."""

# Possessive: a string is read once, and nothing is kept to go back to.
_MODEL = re.compile(rb'"model"\s*+:\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
_CHARS_PER_TOKEN_ID = 4


def field_nested_too_deep(body: bytes | bytearray, fields: Mapping[str, Any]) -> str | None:
    """The name of the first field beyond MAX_NESTING, None: there is none. `fields` are those of
    the JSON `body`. Most are told by their brackets: there are too few."""
    if body.count(b"[") + body.count(b"{") <= MAX_NESTING:
        return None
    for name, value in fields.items():
        if isinstance(value, list | dict):
            for _ in range(_WRITTEN_NESTING - MAX_NESTING):
                value = [value]
            try:
                orjson.dumps(value)
            except orjson.JSONEncodeError:
                return name
    return None


def prompt_chars_and_key(body: Mapping[str, Any], path: str = "") -> tuple[int, bytes]:
    """The prompt's length in characters of text, that of its tools included, and a key that equal
    heads share. The prompt is in the fields of the route `path`; "": in whichever there are.

    Token ids count as four characters each. The key is b"" when there is no text.
    """
    head: list[str] = []
    route = ROUTES.get(path)
    names = _ANY_PROMPT_FIELDS if route is None or not route.prompt else route.prompt
    length = sum(_measure(body[name], head) for name in names if name in body)
    length += sum(_written_chars(body[name]) for name in _TOOL_FIELDS if name in body)
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
                ids = (item for item in value[: HEAD_CHARS // 4] if isinstance(item, int))
                head.append(" ".join(map(str, ids)))
            return len(value) * _CHARS_PER_TOKEN_ID
        return sum(_measure(item, head, depth + 1) for item in value)
    if isinstance(value, Mapping):
        return sum(_measure(value[name], head, depth + 1) for name in _TEXTS if name in value)
    return 0


def _written_chars(value: Any) -> int:
    """A chat template writes out the schemas of tools. What can't be written has no length."""
    if not value:
        return 0
    try:
        return len(orjson.dumps(value).decode())
    except orjson.JSONEncodeError:
        return 0


def model_places(body: bytes) -> tuple[tuple[int, int], ...]:
    """Where the values of `model` begin and end at the top level of this JSON object; empty also
    where there are too many.

    A second `model` key there (parsers take the last) counts as well; deeper ones do not.
    """
    places = []
    depth, done, in_string = 0, 0, False
    for count, found in enumerate(_MODEL.finditer(body)):
        if count == MAX_MODEL_KEYS:
            return ()
        plain = without_escapes(body[done : found.start()])
        outside, in_string = outside_strings(plain, in_string)
        depth += outside.count(b"{") + outside.count(b"[")
        depth -= outside.count(b"}") + outside.count(b"]")
        # An escaped quote is no end of a string, nor a beginning.
        done = found.start() + plain.endswith(b"\\")
        if depth == 1 and not in_string:
            places.append(found.span(1))
    return tuple(places)


def without_escapes(piece: bytes) -> bytes:
    """The piece with other characters for escaped quotes and backslashes, as long as before. It
    ends with a backslash where the next piece's first character is escaped."""
    if b"\\" not in piece:
        return piece
    return piece.replace(b"\\\\", b"__").replace(b'\\"', b"__")


def outside_strings(plain: bytes, in_string: bool) -> tuple[bytes, bool]:
    """Of a piece `without_escapes`: what stands in no string, and whether it ends in one."""
    parts = plain.split(b'"')
    return b"".join(parts[in_string::2]), in_string ^ (len(parts) % 2 == 0)


def replace_model(
    body: bytes,
    model: str,
    places: tuple[tuple[int, int], ...] | None = None,
    *,
    form: bool = False,
) -> bytes | None:
    """The same bytes with the top-level `model` value replaced; None when it isn't found.
    `places` are `model_places` where they are known; in a `form` they always are."""
    if places is None:
        places = model_places(body)
    if not places:
        return None
    # Views: a large body is copied once.
    view, done = memoryview(body), 0
    written = (model if form else json.dumps(model)).encode()
    pieces: list[bytes | memoryview] = []
    for start, end in places:
        pieces += [view[done:start], written]
        done = end
    return b"".join([*pieces, view[done:]])
