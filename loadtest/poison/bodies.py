"""Bodies by their shape: each takes a size, and gives a JSON object with a question in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_QUESTION = b'"messages":[{"role":"user","content":"hi"}],"prompt":"hi","input":"hi","max_tokens":2'


def body(shape: str, model: str, size: int) -> bytes:
    """An object of about `size` bytes for this model. See SHAPES."""
    return b'{"model":"%b",%b,%b}' % (model.encode(), _QUESTION, SHAPES[shape](size))


def flood_of_headers(path: str, size: int) -> bytes:
    """A whole request whose one header is as large as this."""
    return b"POST %b HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n" % (path.encode(), b"y" * size)


def _items(item: bytes) -> Callable[[int], bytes]:
    return lambda size: b'"x":[' + item * (size // len(item)) + b"1]"


def _text(unit: bytes) -> Callable[[int], bytes]:
    return lambda size: b'"x":"' + unit * (size // len(unit)) + b'"'


def _fields(size: int) -> bytes:
    pieces, made = list[bytes](), 0
    while made < size:
        pieces.append(b'"k%d":1' % len(pieces))
        made += len(pieces[-1]) + 1
    return b'"x":{' + b",".join(pieces) + b"}"


def _long_names(size: int) -> bytes:
    name = b"k" * 65_536
    return b'"x":{' + b",".join(b'"%b%d":1' % (name, i) for i in range(size // 65_540)) + b"}"


def _deep(opens: bytes, closes: bytes) -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        depth = size // (len(opens) + len(closes))
        return b'"x":' + opens * depth + b"1" + closes * depth

    return make


def _messages(size: int) -> bytes:
    one = b'{"role":"user","content":"What is 3 + 4?"},'
    return b'"messages":[' + one * (size // len(one)) + one[:-1] + b"]"


def _pictures(size: int) -> bytes:
    url = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}},'
    parts = url * (size // len(url)) + url[:-1]
    return b'"messages":[{"role":"user","content":[' + parts + b"]}]"


def _one_picture(size: int) -> bytes:
    data = b"iVBORw0KGgo" * (size // 11)
    part = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,' + data + b'"}}'
    return b'"messages":[{"role":"user","content":[' + part + b"]}]"


def _tools(size: int) -> bytes:
    tool = (
        b'{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object",'
        b'"properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["a"]}}},'
    )
    return b'"tools":[' + tool * (size // len(tool)) + tool[:-1] + b"]"


def _prompt(size: int) -> bytes:
    words = b"How many are there of each kind, in all? \\n" * (size // 43)
    return b'"messages":[{"role":"user","content":"' + words + b'"}]'


SHAPES: Mapping[str, Callable[[int], bytes]] = {
    "nested lists": _items(b"[],"),
    "small objects": _items(b'{"a":1},'),
    "fields": _fields,
    "long names": _long_names,
    "deep lists": _deep(b"[", b"]"),
    "deep objects": _deep(b'{"a":', b"}"),
    "line feeds": _text(b"\\n"),
    "unicode escapes": _text(b"\\u00e9"),
    "one string": _text(b"a"),
    "many strings": _items(b'"",'),
    "strings of 6 KiB": _items(b'"' + b"\\n" * 3000 + b'",'),
    "one number": lambda size: b'"x":' + b"1" * size,
    "fractions": _items(b"1.2345e10,"),
    "token ids": lambda size: b'"prompt":[' + b"12345," * (size // 6) + b"1]",
    "spaces": lambda size: b'"x":' + b" " * size + b"1",
    "messages": _messages,
    "pictures": _pictures,
    "one picture": _one_picture,
    "tools": _tools,
    "long prompt": _prompt,
    "grammar": lambda size: (
        b'"structured_outputs":{"grammar":"' + b"a ::= b\\n" * (size // 9) + b'"}'
    ),
    "choices": lambda size: b'"structured_outputs":{"choice":[' + b'"a",' * (size // 4) + b'"b"]}',
    "huge n": lambda size: b'"n":' + b"9" * 18 + b',"y":"' + b"a" * size + b'"',
}
