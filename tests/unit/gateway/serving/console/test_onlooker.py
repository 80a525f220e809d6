"""What the console is told of requests that end."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.core.outcome import Outcome
from gateway.core.speculation.outcome import SessionOutcome
from gateway.serving.console.feed import Feed
from gateway.serving.console.onlooker import ConsoleOnlooker
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import StoppedClock

pytestmark = pytest.mark.anyio


class Looking:
    def __init__(self) -> None:
        self.feed = Feed(name="life", clock=StoppedClock(), most=1)
        self.onlooker = ConsoleOnlooker(feed=self.feed, wall=lambda: 1e9)

    async def seen(self, outcome: Outcome | SessionOutcome) -> dict[str, Any]:
        with self.feed.watch(0) as watch:
            if isinstance(outcome, SessionOutcome):
                self.onlooker.session_ended(outcome)
            else:
                self.onlooker.request_ended(outcome, asked="tierflow-auto", status=200)
            ((_, made),) = await watch.news(0.0)
        told: dict[str, Any] = orjson.loads(made)
        return told


def outcome(**fields: Any) -> Outcome:
    asked = request("rill-edge", body=b"a question that nobody else may read", stream=True)
    return Outcome(
        request=asked,
        model="rill-edge",
        tier="edge",
        endpoint="edge:1",
        reason="least-time",
        attempts=1,
        first_byte=asked.received + 0.25,
        last_byte=asked.received + 1.25,
        finished=asked.received + 1.5,
        completion_tokens=11,
        **fields,
    )


async def test_a_request_is_told_with_its_place_and_times_and_without_its_text() -> None:
    told = await Looking().seen(outcome())
    assert (told["tier"], told["model"], told["reason"]) == ("edge", "rill-edge", "least-time")
    assert (told["ttft_s"], told["tpot_s"], told["duration_s"]) == pytest.approx((0.25, 0.1, 1.5))
    assert (told["asked"], told["status"], told["at"]) == ("tierflow-auto", 200, 1e9)
    assert "question" not in orjson.dumps(told).decode()


async def test_a_session_is_told_with_its_device() -> None:
    ended = SessionOutcome(request=outcome(), device="phone", drafted=9, accepted=7)
    told = await Looking().seen(ended)
    assert (told["device"], told["drafted"], told["accepted"]) == ("phone", 9, 7)


async def test_what_became_of_a_prediction_is_told() -> None:
    told = await Looking().seen(
        outcome(prediction="used", prediction_accepted=8, prediction_rejected=2)
    )
    assert (told["prediction"], told["prediction_accepted"]) == ("used", 8)
