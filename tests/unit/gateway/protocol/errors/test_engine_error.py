from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors.engine_error import MAX_WORDS_CHARS, EngineError, read_error


@pytest.mark.parametrize(
    ("body", "words", "field"),
    [
        ({"error": {"message": "no", "param": "body.x"}}, "no", "x"),
        ({"object": "error", "message": "no", "param": "max_tokens"}, "no", "max_tokens"),
        ({"error": "no"}, "no", None),
        ({"message": "no"}, "no", None),
        ({"detail": "no"}, "no", None),
        ({"detail": [{"loc": ["body", "n"], "msg": "no", "input": "x"}]}, "n: no", "n"),
        (
            {"detail": [{"loc": ["body", "a", 0, "b"], "msg": "no"}, {"msg": "never"}]},
            "a.0.b: no; never",
            "a.0.b",
        ),
        ({"error": {"message": 5}}, "", None),
        ([1], "", None),
    ],
)
def test_the_words_are_found_in_whatever_form_they_come(
    body: Any, words: str, field: str | None
) -> None:
    assert read_error(orjson.dumps(body)) == EngineError(words, field)


VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["error", "message", "param", "detail", "loc", "msg"]), inner
        )
    ),
    max_leaves=8,
)


@given(VALUES)
def test_whatever_comes_is_read(body: Any) -> None:
    words, field = read_error(orjson.dumps(body))
    assert isinstance(words, str) and (field is None or isinstance(field, str))


def test_long_words_are_cut() -> None:
    assert len(read_error(orjson.dumps({"detail": "x" * 99_999})).words) == MAX_WORDS_CHARS
    assert read_error(b"no JSON") == EngineError()
