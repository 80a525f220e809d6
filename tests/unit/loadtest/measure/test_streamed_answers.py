import json

import pytest

from loadtest.measure.streams import StreamedAnswer, followed


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def token(text: str) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}}])


ROLE = event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}])
DONE = b"data: [DONE]\n\n"


def test_the_first_token_is_the_first_event_with_text() -> None:
    answer = followed(10.0, [(10.1, ROLE), (10.5, token("a")), (10.7, token("b")), (10.8, DONE)])
    assert answer.ttft == pytest.approx(0.5)
    assert answer.itl == pytest.approx([0.2])
    assert answer.text == "ab"
    assert answer.complete


def test_the_engines_own_count_wins_over_the_number_of_events() -> None:
    usage = event(choices=[], usage={"completion_tokens": 5})
    answer = followed(0.0, [(1.0, token("a")), (2.0, token("bcde")), (2.0, usage), (2.0, DONE)])
    assert answer.tokens == 5
    assert answer.tpot == pytest.approx(0.25)
    assert answer.tokens_per_s == pytest.approx(2.5)


def test_text_completions_count_as_well() -> None:
    answer = followed(0.0, [(1.0, event(choices=[{"text": "x"}]))])
    assert answer.tokens == 1


def test_an_answer_without_text_has_no_times() -> None:
    answer = followed(0.0, [(1.0, ROLE), (1.0, DONE)])
    assert (answer.ttft, answer.tpot, answer.tokens_per_s, answer.itl) == (None, None, None, [])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (event(error={"message": "the engine broke"}), "the engine broke"),
        (b"data: {oops\n\n", "an event is not valid JSON"),
        (b"data: 3\n\n", "an event is not a JSON object"),
    ],
)
def test_a_broken_stream_says_why(data: bytes, error: str) -> None:
    answer = StreamedAnswer(sent=0.0)
    answer.observe(1.0, data)
    assert answer.error == error
    assert not answer.complete
