"""The one rig: the gateway's parts as the composition root wires them, with fakes behind the ports.

`SharedRig` has what all ways of answering share. The rigs of each way build on it, by the same
functions of `gateway.wiring` that the gateway itself is built with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from gateway.core.ports import Clock
from gateway.core.retry import RetryBudget
from gateway.core.types import EndpointState, InferenceRequest, PoolState
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.settings import Settings
from gateway.wiring.shared import build_inference, build_shared
from tests.unit.gateway.build import FAMILY, request, routing, state
from tests.unit.gateway.fakes import (
    ChainRecorder,
    FakeAnswer,
    FakeEndpoints,
    FakeServer,
    FakeVerifier,
    ListSink,
    Piece,
    Recorder,
    SteppingClock,
    VerifiedScripts,
)

PATIENT = AnswerTimeouts(first_token_s=30.0, idle_s=30.0, answer_s=30.0)


class SharedRig:
    """The parts that all ways of answering share, on fakes.

    `scripts` are what engines answer by HTTP, `verified` what verifiers do, by endpoint id. The
    endpoints have the tokenizer `f` where a test gives none. `clock`: by default every look at it
    is a millisecond later; waits need a real one. `settings` by group; `timeouts_more` are of the
    group `timeouts`.
    """

    def __init__(
        self,
        scripts: Mapping[str, Callable[[], FakeAnswer]] | None = None,
        states: Sequence[EndpointState] | None = None,
        *,
        verified: VerifiedScripts | None = None,
        pools: Sequence[PoolState] = (),
        timeouts: AnswerTimeouts | None = None,
        timeouts_more: Mapping[str, float] | None = None,
        budget: RetryBudget | None = None,
        clock: Clock | None = None,
        uniform: Callable[[], float] = lambda: 0.0,
        wall: Callable[[], float] = lambda: 9.0,
        new_id: Callable[[], str] = lambda: "0" * 32,
        **settings: Mapping[str, Any],
    ) -> None:
        if states is None:
            states = [state("edge:1", "edge"), state("cloud:1", "cloud")]
        for each in states:
            each.tokenizer = each.tokenizer or "f"
        self.states = states
        self.server, self.verifier = FakeServer(scripts or {}), FakeVerifier(verified or {})
        self.endpoints, self.telemetry = FakeEndpoints(states, pools), Recorder()
        self.chains = ChainRecorder()
        self.clock = clock or SteppingClock()
        waits = timeouts or PATIENT
        self.settings = Settings.model_validate(
            {
                "discovery": {},
                "family": FAMILY,
                "timeouts": {
                    "first_token_s": waits.first_token_s,
                    "idle_s": waits.idle_s,
                    "answer_s": waits.answer_s,
                    **(timeouts_more or {}),
                },
                **settings,
            }
        )
        self.shared = build_shared(
            self.settings,
            routing=routing(),
            endpoints=self.endpoints,
            server=self.server,
            verifier=self.verifier,
            clock=self.clock,
            telemetry=self.telemetry,
            chain_telemetry=self.chains,
            budget=budget,
            uniform=uniform,
            wall=wall,
            new_id=new_id,
        )

    def assert_nothing_left_open(self) -> None:
        assert [state.in_flight for state in self.states] == [0] * len(self.states)
        assert all(answer.closed for answer in self.server.answers)
        assert all(made.closed for made in self.verifier.made)
        assert self.telemetry.loads[-1] == (0, 0)


class InferenceRig(SharedRig):
    """Requests for models that engines serve."""

    async def ask(self, inference: InferenceRequest, sink: ListSink | None = None) -> ListSink:
        sink = sink or ListSink()
        await build_inference(self.shared).answer(inference, {}, sink)
        return sink


DONE = b"data: [DONE]\n\n"


def chunk(text: str, reason: str | None = None, index: int = 0) -> bytes:
    """One token's event, as vLLM writes it."""
    choice = {"index": index, "delta": {"content": text}, "finish_reason": reason}
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


def opening(index: int = 0) -> bytes:
    """The event that names the role of a chat's answer, and says nothing yet."""
    delta = {"role": "assistant", "content": ""}
    choice = {"index": index, "delta": delta, "finish_reason": None}
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


def stream(*pieces: Piece) -> Callable[[], FakeAnswer]:
    return lambda: FakeAnswer(pieces)


def whole(body: bytes, status: int = 200) -> Callable[[], FakeAnswer]:
    return lambda: FakeAnswer([body], status, "application/json")


def streamed(model: str = "tierflow-edge", **fields: Any) -> InferenceRequest:
    return request(model, stream=True, **fields)
