"""Bodies in other encodings than UTF-8, which engines' own reader takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.requests.json_encoding import in_utf8

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", ['{"model": "é", "n": 1}', ' \n{"a": []}', "[1]"])
def test_what_json_reads_is_the_same_in_utf8(encoding: str, text: str) -> None:
    body = text.encode(encoding)
    assert in_utf8(body).decode() == text
    assert json.loads(in_utf8(body)) == json.loads(body)


def test_a_body_in_utf8_is_not_copied() -> None:
    body = b'{"model": "m"}'
    assert in_utf8(body) is body


@given(st.binary(max_size=64))
def test_no_bytes_fail(body: bytes) -> None:
    assert isinstance(in_utf8(body), bytes)
