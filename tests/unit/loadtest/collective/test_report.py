from loadtest.collective import report
from loadtest.collective.accuracy import MethodResult
from loadtest.collective.failures import FailureRun
from loadtest.collective.plan import EVERYBODY, Method
from loadtest.measure.statistics import Spread
from tests.unit.loadtest.collective.replies import QUESTIONS, right, wrong


def alone(name: str, accuracy: Spread) -> MethodResult:
    return MethodResult(
        method=Method(f"{name} alone", "m"),
        accuracy=accuracy,
        tokens=0,
        cost=0,
        median_ms=0,
        p95_ms=0,
        failed=0,
        right=[],
        replies=[],
    )


def test_the_best_member_is_chosen_by_accuracy() -> None:
    accuracy = [Spread(50.0 + n, 0, 100) for n in range(len(EVERYBODY))]
    results = {f"{name} alone": alone(name, accuracy[n]) for n, name in enumerate(EVERYBODY)}
    assert report.best_member(results) == EVERYBODY[-1]


def test_the_drop_is_that_from_the_first_failure_on() -> None:
    before = [right(n) for n in range(4)]
    run = FailureRun(before, [right(0), right(1), wrong(), right(3)], since=2)
    assert report.drop(run, QUESTIONS) == 50.0
