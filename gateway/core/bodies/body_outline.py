"""The outline of a large JSON body: what is left once the inside of long strings and of long lists
of numbers is taken out.

Parsing a body costs time and memory by what is in it, not by its size alone: 16 MiB of empty lists
take seconds and 20 times their size. Of a body beyond `SMALL_BYTES` only the outline is parsed. It
is made in linear time while the pieces arrive, and has everything that routing reads: names,
numbers, short strings, and the head of long ones.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from gateway.core.bodies.body import HEAD_CHARS, outside_strings, without_escapes

SMALL_BYTES = 64 * 1024
"""No body below this holds the process up, whatever is in it."""
SLICE = 8192
HEAD_BYTES = 6 * HEAD_CHARS
"""Of a long string, at most; a character may be written as `\\u` and four digits."""
CUT = "\0cut"
"""Ends a string in an outline of which something was left out."""
_CUT = rb"\u0000cut"
_NUMBERS = b"0123456789+-.eE, \t\r\n"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_"
_WHOLE = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4})*+",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class OutlineLimits:
    """`max_bytes` of outline, and in it `max_fields` lists, objects and fields of objects and
    `max_items` commas: what may be parsed in one go."""

    max_bytes: int
    max_fields: int
    max_items: int


class BodyOutline:
    """The outline of one body. `feed` the pieces, then `end`; `text` is then valid JSON if the
    body is, and `problem` says which of the limits it exceeds, "" for none.

    `chars_left_out` is the text that is not in the outline, roughly: a list's number counts as
    four, and base64, which is a picture or sound, as nothing.
    """

    def __init__(self, limits: OutlineLimits) -> None:
        self._limits = limits
        self._rest = b""
        self._offset = 0
        self._string = self._escape = self._cut = self._in_numbers = False
        self._opened = 0
        self._fields = self._items = 0
        self._places: list[tuple[int, int]] = [(0, 0)]
        self.text = bytearray()
        self.chars_left_out = 0
        self.problem = ""

    def feed(self, piece: bytes) -> None:
        if self.problem:
            return
        data = self._rest + piece if self._rest else piece
        end = len(data) - len(data) % SLICE
        for start in range(0, end, SLICE):
            self._take(data[start : start + SLICE])
        self._rest = data[end:]

    def end(self) -> None:
        if self._rest and not self.problem:
            self._take(self._rest)
        self._rest = b""

    def place(self, position: int) -> int:
        """Where in the body the byte at this position of the outline stands."""
        at = bisect_right(self._places, position, key=lambda place: place[0]) - 1
        outline, body = self._places[at]
        return body + position - outline

    def _take(self, piece: bytes) -> None:
        plain = piece
        if self._escape:
            plain = b"_" + plain[1:]
        plain = without_escapes(plain)
        self._escape = plain.endswith(b"\\")
        if self._string and b'"' not in plain:
            self._take_text(piece)
        elif not self._string and not plain.translate(None, _NUMBERS):
            self._take_numbers(piece)
            self._in_numbers = True
        else:
            self._take_mixed(piece, plain)
            self._in_numbers = False
        self._offset += len(piece)
        self._check()

    def _take_text(self, piece: bytes) -> None:
        """All of this is inside of one string."""
        if self._cut:
            self._leave_out(piece)
            return
        self.text += piece
        if len(self.text) - self._opened >= HEAD_BYTES:
            head = bytes(self.text[self._opened : self._opened + HEAD_BYTES])
            # Neither a character nor an escape is cut through.
            kept = _WHOLE.match(head.decode("utf-8", "ignore").encode())
            whole = kept[0] if kept else b""
            self._leave_out(bytes(self.text[self._opened + len(whole) :]))
            self.text[self._opened :] = whole + _CUT
            self._cut = True

    def _leave_out(self, text: bytes) -> None:
        if text.translate(None, _BASE64):
            self.chars_left_out += len(text.decode("utf-8", "ignore"))

    def _take_numbers(self, piece: bytes) -> None:
        """The first number and the last one may reach beyond this piece. A list's beginning is
        kept."""
        first, last = piece.find(b","), piece.rfind(b",")
        if first < last and self._in_numbers:
            between = piece.count(b",") - 1
            self.chars_left_out += 4 * between
            self.text += piece[: first + 1]
            self._resume(last + 1)
            self.text += piece[last + 1 :]
        elif piece.isspace():
            self.text += b" "
            self._resume(len(piece))
        else:
            self.text += piece

    def _take_mixed(self, piece: bytes, plain: bytes) -> None:
        outside, self._string = outside_strings(plain, self._string)
        self._fields += outside.count(b"[") + outside.count(b"{") + outside.count(b":")
        self._items += outside.count(b",")
        if self._cut:
            closed = plain.index(b'"')
            self._leave_out(piece[:closed])
            self._resume(closed)
            self.text += piece[closed:]
            self._cut = False
        else:
            self.text += piece
        self._opened = len(self.text) - (len(plain) - plain.rfind(b'"') - 1)

    def _resume(self, position: int) -> None:
        """The outline goes on with what stands here in the piece."""
        self._places.append((len(self.text), self._offset + position))

    def _check(self) -> None:
        limits = self._limits
        if self._fields > limits.max_fields:
            self.problem = (
                f"more than {limits.max_fields} lists, objects and fields (limits.max_fields)"
            )
        elif self._items > limits.max_items:
            self.problem = f"more than {limits.max_items} items (limits.max_items)"
        elif len(self.text) > limits.max_bytes:
            self.problem = (
                f"more than {limits.max_bytes} bytes beside long strings (limits.max_outline_bytes)"
            )
        if self.problem:
            self.text = bytearray()
            self._places = [(0, 0)]
