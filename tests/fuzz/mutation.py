"""Inputs by mutation: bytes of a corpus, cut, joined, repeated, nested and sprinkled with words
that parsers stumble over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

MAX_BYTES = 8192
HOSTILE = (
    *(
        b"",
        b"\x00",
        b"\xff\xfe",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x80\xa8",
    ),
    *(b"null", b"true", b"-1", b"0", b"1e400", b"-0.0", b"NaN", b"Infinity", b"1e-400"),
    *(b"9223372036854775808", b"-9223372036854775809", b"1" * 400, b"0.1e1000000"),
    *(b'"\\ud800"', b'"\\u0000"', b'"\\', b'{"', b"[[", b"]]", b"}}", b'""', b"[]", b"{}"),
    *(b"\n\n", b"\r\n\r\n", b"\r", b"data:", b"data: [DONE]", b"event: error\n", b": ", b"id: "),
    *(b"\x80", b"\x90", b"\xc0", b"\xc1", b"\xdf\xff\xff\xff\xff", b"\xdd\x7f\xff\xff\xff"),
    *(b"\xc6\xff\xff\xff\xff", b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", b"\xcf" + b"\xff" * 8),
    *(
        b"\x1b[31m",
        b"%s%n",
        b"${jndi:x}",
        b"../../etc/passwd",
        b"<script>",
        b"&a *a",
        b"!!python/x",
    ),
)


class Mutator:
    """A mutator of the inputs in `corpus`, to which `keep` adds. The same `random` gives the same
    inputs."""

    def __init__(self, seeds: Sequence[bytes], random: Random) -> None:
        self.corpus = list(seeds)
        self._random = random
        self._steps: tuple[Callable[[bytes], bytes], ...] = (
            self._flip,
            self._overwrite,
            self._insert,
            self._remove,
            self._repeat,
            self._join,
            self._nest,
            self._swap,
            self._number,
        )

    def next(self) -> bytes:
        data = self._random.choice(self.corpus)
        for _ in range(1 + int(self._random.expovariate(0.6))):
            data = self._random.choice(self._steps)(data)
        return data[:MAX_BYTES]

    def keep(self, data: bytes) -> None:
        self.corpus.append(data)

    def _place(self, data: bytes) -> int:
        return self._random.randint(0, len(data))

    def _span(self, data: bytes) -> tuple[int, int]:
        start = self._place(data)
        length = min(int(self._random.expovariate(1 / 12)) + 1, 512)
        return start, min(len(data), start + length)

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return data
        changed = bytearray(data)
        changed[self._random.randrange(len(changed))] ^= 1 << self._random.randrange(8)
        return bytes(changed)

    def _overwrite(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + self._random.randbytes(end - start) + data[end:]

    def _insert(self, data: bytes) -> bytes:
        place = self._place(data)
        return data[:place] + self._random.choice(HOSTILE) + data[place:]

    def _remove(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def _repeat(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:end] + data[start:end] * self._random.choice((1, 2, 16, 200)) + data[end:]

    def _join(self, data: bytes) -> bytes:
        other = self._random.choice(self.corpus)
        return data[: self._place(data)] + other[self._place(other) :]

    def _nest(self, data: bytes) -> bytes:
        depth = self._random.choice((1, 3, 60, 1200))
        before, after = self._random.choice(
            ((b"[", b"]"), (b'{"a":', b"}"), (b"\x91", b""), (b"\x81\xa1a", b""), (b"- ", b""))
        )
        start, end = self._span(data)
        return data[:start] + before * depth + data[start:end] + after * depth + data[end:]

    def _swap(self, data: bytes) -> bytes:
        start, end = self._span(data)
        middle = (start + end) // 2
        return data[:start] + data[middle:end] + data[start:middle] + data[end:]

    def _number(self, data: bytes) -> bytes:
        """Another number in the place of a digit."""
        digits = [i for i, byte in enumerate(data) if 0x30 <= byte <= 0x39]
        if not digits:
            return data
        place = self._random.choice(digits)
        number = self._random.choice((b"-1", b"0", b"1.5", b"4294967296", b"1e308", b"", b'"1"'))
        return data[:place] + number + data[place + 1 :]
