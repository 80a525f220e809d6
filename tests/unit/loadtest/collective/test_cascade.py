import pytest

from loadtest.collective import cascade
from loadtest.measure.chat import Reply
from loadtest.measure.command import BenchmarkFailure
from tests.unit.loadtest.collective.replies import CLOUD, EDGE, QUESTIONS, right


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


def escalating(cloud: int, *, escalated: bool, n: int) -> Reply:
    stages = [{"tier": "edge", "tokens": 10, "confidence": 0.5}]
    if escalated:
        stages.append({"tier": "cloud", "tokens": cloud, "confidence": 1.0})
    report = {"stages": stages, "escalated": escalated, "predicted_tokens": 10, "kept_tokens": 7}
    text = f"Answer: {n + 1}"
    if not escalated:
        report |= {"predicted_tokens": 0, "kept_tokens": 0}
    return Reply(status=200, text=text, tokens=10, seconds=0.1, tierflow={"cascade": report})


def test_a_cascade_is_charged_for_the_cloud_tokens_that_it_used() -> None:
    ran = [escalating(20, escalated=n == 0, n=n) for n in range(4)]
    point = cascade.measured("ours", ran, CLOUD, QUESTIONS)
    assert point.saving == pytest.approx(0.75)
    assert (point.ratio, point.escalated, point.kept) == (1.0, 0.25, 0.7)


def test_a_cascade_that_hides_its_confidence_is_a_failed_benchmark() -> None:
    with pytest.raises(BenchmarkFailure, match="confidence"):
        cascade.confidences([right(0)])
