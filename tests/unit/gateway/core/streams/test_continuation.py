"""What is kept of a stream, and which streams can be continued."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.streams.continuation import (
    ContinuationTerms,
    SentAnswer,
    continuation_terms,
    with_token_ids,
)
from gateway.protocol.paths import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES

HEAD = {"id": "one", "object": "chat.completion.chunk", "created": 7, "model": "rill-edge"}
MESSAGES: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
TOKENS = st.lists(st.tuples(st.integers(0, 99_999), st.text(max_size=5)), max_size=30)


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps({**HEAD, **fields}, separators=(",", ":")).encode() + b"\n\n"


def opening(prompt: list[int] | None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    return event(choices=[choice], prompt_token_ids=prompt)


def token(id: int, text: str, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, "token_ids": [id]}
    return event(choices=[choice | fields])


@given(TOKENS, st.lists(st.integers(0, 99_999), max_size=20), st.booleans(), st.booleans())
def test_the_ids_of_what_went_by_are_known_whatever_the_texts_are(
    tokens: list[tuple[int, str]], prompt: list[int], shows_ids: bool, keeps_text: bool
) -> None:
    sent = SentAnswer(ContinuationTerms(shows_ids=shows_ids, keeps_text=keeps_text))
    shown = [sent.note(piece) for piece in (opening(prompt), *(token(*one) for one in tokens))]
    part = sent.read()
    assert part is not None
    assert (part.prompt_ids, part.ids + part.repeated) == (prompt, [id for id, _ in tokens])
    assert part.repeated == [] or not any(text for _, text in tokens[len(part.ids) :])
    assert part.text == ("".join(text for _, text in tokens) if keeps_text else None)
    assert (part.head.id, part.head.created, part.head.model) == ("one", 7, "rill-edge")
    for piece, (id, text) in zip(shown[1:], tokens, strict=True):
        choice = json.loads(piece[6:])["choices"][0]
        assert choice["delta"]["content"] == text
        assert choice["token_ids"] == ([id] if shows_ids else None)
    assert json.loads(shown[0][6:])["prompt_token_ids"] == (prompt if shows_ids else None)


@given(TOKENS)
def test_several_events_at_once_are_as_one_by_one(tokens: list[tuple[int, str]]) -> None:
    pieces = [opening([1]), *(token(*one) for one in tokens)]
    terms = ContinuationTerms(shows_ids=False, keeps_text=False)
    together, alone = SentAnswer(terms), SentAnswer(terms)
    assert together.note(b"".join(pieces)) == b"".join(alone.note(piece) for piece in pieces)
    assert together.read() == alone.read()


def test_a_text_that_speaks_of_token_ids_is_left_as_it_is() -> None:
    sent = SentAnswer(ContinuationTerms(shows_ids=False, keeps_text=False))
    sent.note(opening([1]))
    text = '"token_ids":[4,5],"prompt_token_ids":[6]'
    shown = sent.note(token(3, text))
    assert json.loads(shown[6:])["choices"][0]["delta"]["content"] == text
    part = sent.read()
    assert part is not None and part.ids == [3]


@pytest.mark.parametrize(
    "piece",
    [
        token(3, "", delta={"tool_calls": [{"index": 0}]}),
        token(3, "", delta={"reasoning": "hm"}),
    ],
)
def test_nobody_goes_on_with_a_tool_call_or_a_thought(piece: bytes) -> None:
    sent = SentAnswer(ContinuationTerms(shows_ids=False, keeps_text=False))
    sent.note(opening([1]))
    sent.note(piece)
    assert sent.read() is None


def test_nobody_goes_on_without_the_engines_token_ids() -> None:
    sent = SentAnswer(ContinuationTerms(shows_ids=False, keeps_text=False))
    sent.note(opening(None))
    assert not sent.has_ids and sent.read() is None


def test_an_answer_that_lacks_only_its_end_is_known_as_finished() -> None:
    sent = SentAnswer(ContinuationTerms(shows_ids=False, keeps_text=False))
    sent.note(opening([1]))
    sent.note(token(3, "", finish_reason="stop"))
    part = sent.read()
    assert part is not None and part.finished and part.ids == [3]


@pytest.mark.parametrize("counted", [True, False])
def test_whether_a_finished_answer_has_its_token_counts_is_known(counted: bool) -> None:
    sent = SentAnswer(ContinuationTerms(shows_ids=False, keeps_text=False))
    sent.note(opening([1]))
    # Running counts in an event of the answer are not those at its end.
    sent.note(event(choices=[{"delta": {}, "finish_reason": "stop"}], usage={"total_tokens": 2}))
    if counted:
        sent.note(event(choices=[], usage={"total_tokens": 2}))
    part = sent.read()
    assert part is not None and part.finished and part.counted == counted


def test_tokens_to_repeat_are_still_known_when_nothing_was_repeated() -> None:
    sent = SentAnswer(ContinuationTerms(shows_ids=False, keeps_text=False))
    for piece in (opening([1]), token(3, "a"), token(4, "")):
        sent.note(piece)
    before = sent.read()
    assert before is not None and (before.ids, before.repeated) == ([3], [4])
    sent.rewind(before.ids, before.repeated)
    assert sent.read() == before
    sent.note(token(4, "b"))
    after = sent.read()
    assert after is not None and (after.ids, after.repeated) == ([3, 4], [])


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (CHAT, MESSAGES | {"stream": False}),
        (CHAT, MESSAGES | {"n": 2}),
        (CHAT, MESSAGES | {"tools": [{"type": "function"}]}),
        (CHAT, MESSAGES | {"response_format": {"type": "json_object"}}),
        (CHAT, {"stream": True, "messages": [{"content": [{"type": "image_url"}]}]}),
        (COMPLETIONS, {"stream": True, "prompt": ["one", "two"]}),
        (COMPLETIONS, {"stream": True, "prompt": [[1], [2]]}),
        (COMPLETIONS, {"stream": True, "prompt": "x", "echo": True}),
        (COMPLETIONS, {"stream": True, "prompt": "x", "best_of": 3}),
        (CHAT, MESSAGES | {"temperature": 0, "presence_penalty": 0.5}),
        (COMPLETIONS, {"stream": True, "prompt": "x", "temperature": 0, "frequency_penalty": 1}),
        (RESPONSES, {"stream": True, "input": "x"}),
        (EMBEDDINGS, {"input": "x"}),
    ],
)
def test_what_can_not_be_taken_up_in_the_middle_is_not_continued(
    path: str, fields: dict[str, Any]
) -> None:
    assert continuation_terms(path, fields, 10) is None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n": 1},
        {"tools": []},
        {"response_format": {"type": "text"}},
        {"echo": False},
        {"temperature": 0, "presence_penalty": 0, "repetition_penalty": 1.2},
        {"temperature": 0.7, "frequency_penalty": 0.5},
    ],
)
def test_neutral_values_keep_an_answer_from_nothing(fields: dict[str, Any]) -> None:
    assert continuation_terms(CHAT, MESSAGES | fields, 10) == ContinuationTerms(False, False)


def test_the_body_asks_for_token_ids_whatever_it_said_before() -> None:
    body = json.loads(with_token_ids(b'{"model":"m","return_token_ids":null} \n'))
    assert body == {"model": "m", "return_token_ids": True}
