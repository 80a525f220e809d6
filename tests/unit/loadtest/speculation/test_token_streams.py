import json

import pytest

from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.http_client import Exchange
from loadtest.speculation.token_streams import LEAST_TOKENS, read_token_stream


def event(ids: list[int], text: str = "", **fields: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "token_ids": ids}
    return f"data: {json.dumps({'choices': [choice], **fields})}\n\n".encode()


def exchange(*pieces: tuple[float, bytes]) -> Exchange:
    return Exchange(sent=1.0, status=200, pieces=list(pieces), done=pieces[-1][0])


def test_tpot_counts_all_tokens_after_the_first() -> None:
    first = list(range(4))
    stream = read_token_stream(exchange((1.5, event(first)), (2.5, event(list(range(16))))))
    assert stream.ids == [*range(4), *range(16)]
    assert stream.ttft == pytest.approx(0.5)
    assert stream.tpot == pytest.approx(1.0 / 19)
    assert stream.gaps == [1.0]


def test_events_that_arrive_in_pieces_are_put_together() -> None:
    whole = event([1, 2], "so") + event([3], " it is", tierflow={"degraded": "link lost"})
    stream = read_token_stream(
        exchange((1.1, whole[:30]), (1.2, whole[30:]), (1.3, b"data: [DONE]\n\n"))
    )
    assert (stream.ids, stream.text, stream.degraded) == ([1, 2, 3], "so it is", True)


def test_short_answers_have_no_tpot() -> None:
    short = [1] * (LEAST_TOKENS - 2)
    assert read_token_stream(exchange((1.1, event([1])), (1.2, event(short)))).tpot is None
    assert (
        read_token_stream(exchange((1.1, event([1])), (1.2, event([*short, 1])))).tpot is not None
    )


def test_an_answer_that_arrives_at_once_can_still_be_compared() -> None:
    tpot = read_token_stream(exchange((1.1, event(list(range(30)))))).tpot
    assert tpot is not None and 0 < tpot < 1e-4


@pytest.mark.parametrize(
    "body",
    [b'data: {"error": {"message": "engine lost"}}\n\n', b"data: [DONE]\n\n"],
    ids=["error", "nothing"],
)
def test_an_answer_without_tokens_ends_the_measurement(body: bytes) -> None:
    with pytest.raises(BenchmarkFailure):
        read_token_stream(exchange((1.1, body)))
