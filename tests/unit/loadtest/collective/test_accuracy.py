from loadtest.collective.accuracy import results
from loadtest.collective.plan import Method
from loadtest.measure.chat import Reply
from tests.unit.loadtest.collective.replies import QUESTIONS, right


def test_failed_requests_count_as_wrong_answers() -> None:
    replies = [right(0), Reply(status=503, text="", tokens=0, seconds=0.1), right(2), right(3)]
    method = Method("some", "tierflow-collective")
    price = lambda reply: float(reply.tokens)  # noqa: E731
    result = results([method], {"some": replies}, QUESTIONS, price)["some"]
    assert result.accuracy.median == 75.0
    assert result.failed == 1
