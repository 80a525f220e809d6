"""An `InferenceHandler` on fakes, and scripts for the engines behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.core.admission import AdmissionLimits
from gateway.core.retry import RetryBudget
from gateway.core.types import EndpointState, InferenceRequest, PoolState
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.dispatch import Dispatch
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.serving.requests.relay import InferenceHandler
from gateway.serving.requests.scale_from_zero import WakeQueue
from tests.unit.gateway.build import FAMILY, request, routing, state
from tests.unit.gateway.fakes import (
    FakeAnswer,
    FakeEndpoints,
    FakeServer,
    ListSink,
    Piece,
    Recorder,
    SteppingClock,
)


def stream(*pieces: Piece) -> Callable[[], FakeAnswer]:
    return lambda: FakeAnswer(pieces)


def whole(body: bytes, status: int = 200) -> Callable[[], FakeAnswer]:
    return lambda: FakeAnswer([body], status, "application/json")


class Rig:
    """An `InferenceHandler` on fakes. Waits are short where a test makes them run out."""

    def __init__(
        self,
        scripts: Mapping[str, Callable[[], FakeAnswer]],
        states: Sequence[EndpointState] | None = None,
        timeouts: AnswerTimeouts | None = None,
        budget: RetryBudget | None = None,
        pools: Sequence[PoolState] = (),
        max_held: int = 8,
    ) -> None:
        if states is None:
            states = [state("edge:1", "edge"), state("cloud:1", "cloud")]
        self.states = states
        self.server = FakeServer(scripts)
        self.endpoints = FakeEndpoints(self.states, pools)
        self.telemetry = Recorder()
        clock = SteppingClock()
        timeouts = timeouts or AnswerTimeouts(first_token_s=30.0, idle_s=30.0, answer_s=30.0)
        dispatch = Dispatch(
            routing=routing(),
            endpoints=self.endpoints,
            server=self.server,
            clock=clock,
            telemetry=self.telemetry,
            budget=budget or RetryBudget(),
            timeouts=timeouts,
            uniform=lambda: 0.0,
            wake_queue=WakeQueue(
                endpoints=self.endpoints, family=FAMILY, clock=clock, max_held=max_held
            ),
        )
        admission = Admission(AdmissionLimits(), clock, self.telemetry)
        self.inference = InferenceHandler(
            admission=admission,
            dispatch=dispatch,
            clock=clock,
            telemetry=self.telemetry,
            timeouts=timeouts,
        )

    async def ask(self, asked: InferenceRequest, sink: ListSink | None = None) -> ListSink:
        sink = sink or ListSink()
        await self.inference.answer(asked, {}, sink)
        return sink

    def assert_nothing_left_open(self) -> None:
        assert [s.in_flight for s in self.states] == [0] * len(self.states)
        assert all(answer.closed for answer in self.server.answers)
        assert self.telemetry.loads[-1] == (0, 0)


def streamed(model: str = "tierflow-edge", **fields: Any) -> InferenceRequest:
    return request(model, stream=True, **fields)
