from loadtest.collective import ttft
from loadtest.measure.chat import Reply
from loadtest.measure.statistics import Spread
from tests.unit.loadtest.collective.replies import QUESTIONS


def test_the_slowest_needed_member_is_the_last_whose_answer_was_used() -> None:
    members = [
        {"ms": 30.0, "outcome": "answered"},
        {"ms": 80.0, "outcome": "answered"},
        {"ms": 900.0, "outcome": "straggler"},
    ]
    reply = Reply(
        status=200,
        text="",
        tokens=1,
        seconds=1.0,
        first_s=0.09,
        tierflow={"collective": {"members": members}},
    )
    assert ttft.slowest_needed_ms(reply) == 80.0


def test_no_question_is_asked_in_two_streams() -> None:
    shares = ttft.shares(QUESTIONS)
    asked = [question for share in shares.values() for question in share]
    assert shares.keys() == {ttft.NANO_MS, ttft.AGX_MS}
    assert len(set(asked)) == len(asked) == len(QUESTIONS)


def test_the_headline_is_the_worse_method_at_the_pace_of_an_orin_nano() -> None:
    def measured(method: str, pace_ms: float, ratio: float) -> ttft.TtftResult:
        some = Spread(1.0, 1.0, 1.0)
        return ttft.TtftResult(
            method=method,
            pace_ms=pace_ms,
            streams=1,
            ttft_ms=some,
            slowest_ms=some,
            ratio=Spread(ratio, ratio, ratio),
        )

    nano, agx = ttft.NANO_MS, ttft.AGX_MS
    results = [measured("a", nano, 1.1), measured("b", nano, 1.2), measured("a", agx, 1.5)]
    assert ttft.worst(results) == 1.2
