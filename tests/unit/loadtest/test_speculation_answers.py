import json

import pytest

from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.wire import Exchange
from loadtest.speculation.answers import LEAST_TOKENS, read, total_rate
from loadtest.speculation.preparing import read_acceptance, spoil_for
from loadtest.speculation.questions import Question, is_right, longest_first


def event(ids: list[int], text: str = "", **fields: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "token_ids": ids}
    return f"data: {json.dumps({'choices': [choice], **fields})}\n\n".encode()


def exchange(*pieces: tuple[float, bytes]) -> Exchange:
    found = Exchange(1.0, 200, list(pieces))
    found.done = pieces[-1][0]
    return found


def test_tpot_counts_all_tokens_after_the_first() -> None:
    first = list(range(4))
    stream = read(exchange((1.5, event(first)), (2.5, event(list(range(16))))))
    assert stream.ids == [*range(4), *range(16)]
    assert stream.ttft == pytest.approx(0.5)
    assert stream.tpot == pytest.approx(1.0 / 19)
    assert stream.gaps == [1.0]


def test_events_that_arrive_in_pieces_are_put_together() -> None:
    whole = event([1, 2], "so") + event([3], " it is", tierflow={"degraded": "link lost"})
    stream = read(exchange((1.1, whole[:30]), (1.2, whole[30:]), (1.3, b"data: [DONE]\n\n")))
    assert (stream.ids, stream.text, stream.degraded) == ([1, 2, 3], "so it is", True)
    assert total_rate([stream]) == pytest.approx(3 / 0.3)


def test_short_answers_have_no_tpot() -> None:
    short = [1] * (LEAST_TOKENS - 2)
    assert read(exchange((1.1, event([1])), (1.2, event(short)))).tpot is None
    assert read(exchange((1.1, event([1])), (1.2, event([*short, 1])))).tpot is not None


def test_an_answer_that_arrives_at_once_can_still_be_compared() -> None:
    tpot = read(exchange((1.1, event(list(range(30)))))).tpot
    assert tpot is not None and 0 < tpot < 1e-4


@pytest.mark.parametrize(
    "body",
    [b'data: {"error": {"message": "engine lost"}}\n\n', b"data: [DONE]\n\n"],
    ids=["error", "nothing"],
)
def test_an_answer_without_tokens_ends_the_measurement(body: bytes) -> None:
    with pytest.raises(BenchmarkFailure):
        read(exchange((1.1, body)))


def test_only_the_final_answer_is_compared() -> None:
    assert is_right("3 + 4 = 7. Answer: 7", "Answer: 7")
    assert not is_right("7", "Answer: 8")
    assert is_right(" [1, 2]\n", "[1, 2]")


def test_prompts_come_once_and_longest_answers_first() -> None:
    asked = [Question("a", "p", "12"), Question("b", "q", "1234"), Question("a", "p", "12")]
    assert [question.prompt for question in longest_first(asked)] == ["q", "p"]


def test_spoiling_brings_acceptance_down_to_what_the_drafter_is_called() -> None:
    spoil = spoil_for(0.95)
    assert 0.95 * (1 - spoil["0.8"]) == pytest.approx(0.8)
    assert 0.95 * (1 - spoil["0.3"]) == pytest.approx(0.3)
    assert spoil["useless"] == 1.0
    assert spoil_for(0.7)["0.8"] == 0.0, "a drafter can't be made better"


def test_an_agents_own_acceptance_is_read_for_the_cloud_size() -> None:
    page = (
        "# TYPE tierflow_device_acceptance gauge\n"
        'tierflow_device_acceptance{guess="first",model="rill-edge"} 0.5\n'
        'tierflow_device_acceptance{guess="first",model="rill-cloud"} 0.8125\n'
        'tierflow_device_acceptance{guess="second",model="rill-cloud"} 0.6\n'
    )
    assert read_acceptance(page) == 0.8125
    assert read_acceptance("tierflow_device_active_answers 1.0\n") is None
