"""The figures of `make bench-collective`, from replies that are written down here."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from loadtest.calibration.asking import split_of
from loadtest.collective import cascade, failures, plan, questions, report, streaming
from loadtest.collective.accuracy import Result, results
from loadtest.collective.asking import Reply
from loadtest.collective.cost import Cost
from loadtest.collective.plan import EVERYBODY, Way
from loadtest.measure.spread import Spread
from loadtest.speculation.questions import Question

QUESTIONS = [Question("arithmetic", f"{n} + 1 = ?", f"Answer: {n + 1}") for n in range(4)]


def right(n: int, tokens: int = 10) -> Reply:
    return Reply(200, f"{n} + 1. Answer: {n + 1}", tokens, 0.1)


def wrong(tokens: int = 10) -> Reply:
    return Reply(200, "Answer: 99", tokens, 0.1)


EDGE = [right(0), wrong(), right(2), wrong()]
CLOUD = [right(n, tokens=20) for n in range(4)]


def test_the_curve_goes_from_edge_alone_to_cloud_alone() -> None:
    points = cascade.curve([0.9, 0.1, 0.8, 0.2], EDGE, CLOUD, QUESTIONS)
    assert (points[0].saving, points[0].ratio) == (1.0, 0.5)
    assert (points[-1].saving, points[-1].ratio) == (0.0, 1.0)


def test_the_least_confident_answers_go_to_the_cloud_first() -> None:
    points = cascade.curve([0.9, 0.1, 0.8, 0.2], EDGE, CLOUD, QUESTIONS)
    assert [point.ratio for point in points] == [0.5, 0.75, 1.0, 1.0, 1.0]
    assert points[2].saving == pytest.approx(0.5)


def test_random_routing_joins_the_two_ends() -> None:
    points = cascade.curve([0.9, 0.1, 0.8, 0.2], EDGE, CLOUD, QUESTIONS)
    assert cascade.random_routing(points) == (points[0], points[-1])


def answered(cloud: int, *, escalated: bool, n: int) -> Reply:
    stages = [{"tier": "edge", "tokens": 10, "confidence": 0.5}]
    if escalated:
        stages.append({"tier": "cloud", "tokens": cloud, "confidence": 1.0})
    about = {"stages": stages, "escalated": escalated, "predicted_tokens": 10, "kept_tokens": 7}
    text = f"Answer: {n + 1}"
    return Reply(200, text, 10, 0.1, about={"cascade": about if escalated else about | {
        "predicted_tokens": 0, "kept_tokens": 0}})  # fmt: skip


def test_a_cascade_is_charged_for_the_cloud_tokens_that_it_used() -> None:
    ran = [answered(20, escalated=n == 0, n=n) for n in range(4)]
    point = cascade.measured("ours", ran, CLOUD, QUESTIONS)
    assert point.saving == pytest.approx(0.75)
    assert (point.ratio, point.escalated, point.kept) == (1.0, 0.25, 0.7)


def test_a_cascade_that_hides_its_confidence_is_a_failed_benchmark() -> None:
    with pytest.raises(Exception, match="confidence"):
        cascade.confidences([right(0)])


def test_failed_requests_count_as_wrong_answers() -> None:
    replies = [right(0), Reply(503, "", 0, 0.1), right(2), right(3)]
    way = Way("some", "tierflow-collective")
    found = results([way], {"some": replies}, QUESTIONS, lambda reply: float(reply.tokens))["some"]
    assert found.accuracy.median == 75.0
    assert found.failed == 1


def test_the_slowest_needed_member_is_the_last_whose_answer_was_used() -> None:
    members = [
        {"ms": 30.0, "outcome": "answered"},
        {"ms": 80.0, "outcome": "answered"},
        {"ms": 900.0, "outcome": "straggler"},
    ]
    reply = Reply(200, "", 1, 1.0, 0.09, about={"collective": {"members": members}})
    assert streaming.slowest_needed_ms(reply) == 80.0


def test_no_question_is_asked_in_two_streams() -> None:
    shares = streaming.shares(QUESTIONS)
    asked = [question for share in shares.values() for question in share]
    assert shares.keys() == {streaming.NANO_MS, streaming.AGX_MS}
    assert len(set(asked)) == len(asked) == len(QUESTIONS)


def test_the_headline_is_the_worse_way_at_the_pace_of_an_orin_nano() -> None:
    def first(way: str, pace_ms: float, ratio: float) -> streaming.First:
        some = Spread(1.0, 1.0, 1.0)
        return streaming.First(way, pace_ms, 1, some, some, Spread(ratio, ratio, ratio))

    nano, agx = streaming.NANO_MS, streaming.AGX_MS
    found = [first("a", nano, 1.1), first("b", nano, 1.2), first("a", agx, 1.5)]
    assert streaming.worst(found) == 1.2


def test_the_first_questions_of_every_task_are_cut_off() -> None:
    drawn = [Question(task, f"{n} {task}", "") for n in range(3) for task in ("sum", "sort")]
    asked, further = questions.cut(drawn, 1)
    assert [question.prompt for question in asked] == ["0 sum", "0 sort"]
    assert asked + further == drawn


def test_the_best_member_is_chosen_by_accuracy() -> None:
    spread = [Spread(50.0 + n, 0, 100) for n in range(len(EVERYBODY))]
    found = {
        f"{name} alone": Result(Way(f"{name} alone", "m"), spread[n], 0, 0, 0, 0, 0, [], [])
        for n, name in enumerate(EVERYBODY)
    }
    assert report.best_member(found) == EVERYBODY[-1]


def test_every_way_has_a_name_of_its_own() -> None:
    names = [way.name for way in plan.ways()]
    assert len(set(names)) == len(names)


def test_three_of_ten_devices_fail() -> None:
    models = failures.twins({name: name for name in EVERYBODY})  # type: ignore[misc]
    assert len(models) == 10
    assert {*failures.KILLED, *failures.STALLED} < models.keys()
    assert len({*failures.KILLED, *failures.STALLED}) == 3


def test_the_drop_is_that_from_the_first_failure_on() -> None:
    before = [right(n) for n in range(4)]
    found = failures.Failing(before, [right(0), right(1), wrong(), right(3)], since=2)
    assert report.drop(found, QUESTIONS) == 50.0


def test_a_question_of_the_cascade_was_not_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [Question("arithmetic", f"{n} + 2 = ?", f"Answer: {n + 2}") for n in range(60)]
    monkeypatch.setattr(questions, "held_out", lambda python, count: drawn)
    found = questions.unfitted("python", 10)
    assert len(found) == 10
    assert {split_of(question) for question in found} == {"evaluation"}


def test_every_sample_of_self_moa_is_paid_for(tmp_path: Path) -> None:
    for name, size in (("small", 1), ("large", 4)):
        (tmp_path / name).mkdir()
        header = json.dumps({"w": {"shape": [size], "dtype": "F32"}}).encode()
        (tmp_path / name / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    family = {"edge": tmp_path / "small", "cloud": tmp_path / "large"}
    price = Cost(family, {"a": tmp_path / "small"}).sampling("a", 2)
    members = [{"device": "sample-1", "tokens": 8}, {"device": "sample-2", "tokens": 8}]
    about = {"members": members, "decided_by": "agreement", "aggregator": None}
    assert price(Reply(200, "", 16, 0.1, about={"collective": about})) == 4.0
