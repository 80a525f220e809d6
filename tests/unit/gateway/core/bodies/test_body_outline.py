"""What is parsed of a large body says the same as the whole body, and is small."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.core.bodies.body import HEAD_CHARS, model_places, prompt_chars_and_key
from gateway.core.bodies.body_outline import SLICE, BodyOutline, OutlineLimits

LIMITS = OutlineLimits(max_bytes=1 << 20, max_fields=1000, max_items=5000)
ROOM = OutlineLimits(max_bytes=1 << 20, max_fields=1000, max_items=50_000)

texts = st.builds(
    lambda part, times: part * times,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from([1, 3, 4000]),
)
numbers = st.builds(
    lambda some, times: some * times,
    st.lists(st.integers(-(2**40), 2**40) | st.just(0.5), min_size=1, max_size=4),
    st.sampled_from([1, 3000]),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts | numbers,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=4,
)


def outlined(body: bytes, pieces: int = 1, limits: OutlineLimits = LIMITS) -> BodyOutline:
    outline = BodyOutline(limits)
    step = max(1, len(body) // pieces)
    for start in range(0, len(body), step):
        outline.feed(body[start : start + step])
    outline.end()
    return outline


def check_same(whole: Any, outlined: Any) -> None:
    """Alike but for the inside of what is long."""
    assert type(whole) is type(outlined)
    if isinstance(whole, dict):
        assert whole.keys() == outlined.keys()
        for name, value in whole.items():
            check_same(value, outlined[name])
    elif isinstance(whole, list):
        if len(whole) != len(outlined):
            assert len(whole) > 1000
            assert whole[:100] == outlined[:100]
            assert whole[-1] == outlined[-1]
        else:
            for one, other in zip(whole, outlined, strict=True):
                check_same(one, other)
    elif isinstance(whole, str) and len(whole) > SLICE // 6:
        # Half as much where each character takes two escapes.
        assert outlined[: HEAD_CHARS // 2] == whole[: HEAD_CHARS // 2]
    else:
        assert whole == outlined


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    fields=st.dictionaries(st.sampled_from(["x", "prompt", "a b"]), values, max_size=3),
    more=values,
    ascii=st.booleans(),
    spaces=st.sampled_from([None, 1]),
    pieces=st.sampled_from([1, 30]),
)
def test_an_outline_says_what_the_body_says(
    fields: dict[str, Any], more: Any, ascii: bool, spaces: int | None, pieces: int
) -> None:
    whole = {**fields, "model": "m", "later": more}
    body = json.dumps(whole, ensure_ascii=ascii, indent=spaces).encode()
    outline = outlined(body, pieces, ROOM)
    assert not outline.problem
    check_same(orjson.loads(body), orjson.loads(outline.text))
    places = [(outline.place(a), outline.place(b)) for a, b in model_places(bytes(outline.text))]
    assert tuple(places) == model_places(body)
    assert [body[a:b] for a, b in places] == [b'"m"']


@pytest.mark.parametrize("text", ["Wie geht es? ", "né\n", "日本語 ", '"\\\t', "😀 "])
@pytest.mark.parametrize("ascii", [True, False])
def test_a_long_text_is_counted_and_told_by_its_head(text: str, ascii: bool) -> None:
    prompt = text * 20_000
    body = json.dumps({"prompt": prompt}, ensure_ascii=ascii).encode()
    outline = outlined(body)
    chars, key = prompt_chars_and_key(orjson.loads(outline.text))
    whole_chars, whole_key = prompt_chars_and_key({"prompt": prompt})
    assert len(outline.text) < 2 * SLICE
    assert key == whole_key or (text, ascii) == ("😀 ", True)
    # Escapes count as they are written.
    assert whole_chars * 0.99 <= chars + outline.chars_left_out <= len(body)


def test_the_head_of_a_text_does_not_depend_on_where_it_stands() -> None:
    texts = set()
    for padding in range(0, 9000, 700):
        body = json.dumps({"pad": "p" * padding, "prompt": "zwölf Boxkämpfer " * 9000}).encode()
        outline = outlined(body)
        texts.add(orjson.loads(outline.text)["prompt"][:HEAD_CHARS])
    assert len(texts) == 1


def test_token_ids_count_as_text_and_pictures_do_not() -> None:
    ids = outlined(json.dumps({"prompt": list(range(30_000))}).encode())
    chars, _ = prompt_chars_and_key(orjson.loads(ids.text))
    assert chars + ids.chars_left_out == 4 * 30_000
    picture = outlined(json.dumps({"x": "data:image/png;base64," + "iVBORw0K" * 50_000}).encode())
    assert picture.chars_left_out == 0
    assert len(picture.text) < 2 * SLICE


@pytest.mark.parametrize(
    ("body", "setting"),
    [
        (b'{"x":[' + b"[]," * 2000 + b"[]]}", "limits.max_fields"),
        (b'{"x":' + b"[" * 2000, "limits.max_fields"),
        (b'{"x":' + b'{"a":' * 2000, "limits.max_fields"),
        (b'{"x":{' + b'"k":1,' * 2000 + b"}}", "limits.max_fields"),
        (b'{"x":[' + b'"",' * 6000 + b"1]}", "limits.max_items"),
        (b'{"x":[' + b"true," * 6000 + b"1]}", "limits.max_items"),
        (b'{"x":' + b"1" * (2 << 20) + b"}", "limits.max_outline_bytes"),
        (b'{"x":[' + b'"' + b"\\n" * 3000 + b'",' * 300 + b"1]}", ""),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_what_would_take_too_long_to_parse_names_its_setting(body: bytes, setting: str) -> None:
    outline = outlined(body, 20)
    assert setting in outline.problem
    assert bool(outline.problem) == bool(setting)


def test_text_with_brackets_and_commas_has_no_fields() -> None:
    code = 'for (x of [1,2,3]) { call({"a": x}, `${x}`); }\n' * 4000
    outline = outlined(json.dumps({"prompt": code}).encode(), 7)
    assert not outline.problem
