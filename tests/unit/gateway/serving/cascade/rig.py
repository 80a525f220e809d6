"""A cascade before scripted tiers, devices and a verifier."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.adapters.files.predictors import load_predictor
from gateway.core.admission import AdmissionLimits
from gateway.core.cascade.ports import CascadeOutcome
from gateway.core.cascade.predictor import Predictor
from gateway.core.cascade.predictor_choice import Predictors
from gateway.core.devices.member import (
    DeviceModel,
    Member,
    MemberFailed,
    WorkEnd,
    WorkOrder,
    WorkPiece,
)
from gateway.core.ports import Clock
from gateway.core.retry import RetryBudget
from gateway.core.speculation.job import Batch
from gateway.core.types import EndpointState
from gateway.serving.cascade.audits import Audits
from gateway.serving.cascade.confidence import ConfidenceProbes, ProbeSettings
from gateway.serving.cascade.handler import CascadeHandler
from gateway.serving.cascade.lower_tier import DeviceTier, LowerTier
from gateway.serving.cascade.options import AcceptanceRules, CascadeDefaults, StageSpec
from gateway.serving.cascade.state import CascadeDeps
from gateway.serving.cascade.top_tier import TopTier
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.dispatch import Dispatch
from gateway.serving.requests.engine_calls import EngineCalls
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.serving.requests.scale_from_zero import WakeQueue
from gateway.serving.requests.verifiers import VerifierEndpoints
from tests.unit.gateway.build import FAMILY, request, routing, state
from tests.unit.gateway.fakes import (
    FakeAnswer,
    FakeEndpoints,
    FakeServer,
    FakeVerifier,
    ListSink,
    Recorder,
    SteppingClock,
)
from tests.unit.gateway.fakes import VerifiedPiece as Piece

EDGE_CLOUD = (StageSpec("tierflow-edge"), StageSpec("tierflow-cloud"))


def chat(text: str, logprob: float = -0.001, reason: str = "stop", tokens: int = 3) -> Any:
    body = {
        "id": "a",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "logprobs": {"content": [{"token": "t", "logprob": logprob}] * tokens},
                "finish_reason": reason,
                "token_ids": list(range(5, 5 + tokens)),
            }
        ],
        "usage": {"prompt_tokens": 4, "completion_tokens": tokens},
    }
    return lambda: FakeAnswer([orjson.dumps(body)], 200, "application/json")


@dataclass
class Told:
    outcomes: list[CascadeOutcome] = field(default_factory=list)

    def cascaded(self, outcome: CascadeOutcome) -> None:
        self.outcomes.append(outcome)

    def audited(self, agreed: bool) -> None: ...


class Entries:
    """An `OutcomeLog`."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []

    def write(self, entry: Mapping[str, Any]) -> None:
        self.rows.append(entry)

    async def reach(self, count: int) -> list[Mapping[str, Any]]:
        while len(self.rows) < count:
            await asyncio.sleep(0)
        # The task that wrote it ends, too.
        await asyncio.sleep(0)
        return self.rows


class FakeAssignment:
    def __init__(self, said: Sequence[WorkPiece | WorkEnd | MemberFailed]) -> None:
        self._said = list(said)
        self.cancelled = False

    async def read(self) -> WorkPiece | WorkEnd:
        said = self._said.pop(0)
        if isinstance(said, MemberFailed):
            raise said
        return said

    def cancel(self) -> None:
        self.cancelled = True


class FakeMembers:
    def __init__(self, *said: WorkPiece | WorkEnd | MemberFailed) -> None:
        model = DeviceModel(name="rill-device")
        self.known = [
            Member(
                id="phone",
                instance="i",
                description="",
                models=[model],
                abilities=frozenset({"generate"}),
            )
        ]
        self.orders: list[WorkOrder] = []
        self.work = FakeAssignment(said)

    def members(self) -> Sequence[Member]:
        return self.known

    def assign(self, device: str, order: WorkOrder) -> FakeAssignment:
        self.orders.append(order)
        return self.work


@dataclass
class Streamed:
    text: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def take(self, chunk: Mapping[str, Any]) -> None:
        assert "error" not in chunk, chunk
        self.usage = chunk.get("usage") or self.usage
        self.about = (chunk.get("tierflow") or {}).get("cascade") or self.about
        for choice in chunk["choices"]:
            self.text += choice["delta"].get("content") or ""


class Rig:
    def __init__(
        self,
        small: Mapping[str, Callable[[], FakeAnswer]],
        large: Mapping[str, Callable[[], Sequence[Piece]]],
        *,
        stages: Sequence[StageSpec] = EDGE_CLOUD,
        members: FakeMembers | None = None,
        states: Sequence[EndpointState] | None = None,
        timeouts: AnswerTimeouts | None = None,
        clock: Clock | None = None,
        predictor: Predictor | None = None,
        shipped: Sequence[Predictor] = (),
        audit_share: float = 0.0,
    ) -> None:
        """`clock`: by default every look at it is a millisecond later; waits need a real one."""
        self.states = states or [state("edge:1", "edge"), state("cloud:1", "cloud")]
        for each in self.states:
            each.tokenizer = each.tokenizer or "f"
        self.log = Entries()
        self.server, self.verifier = FakeServer(small), FakeVerifier(large)
        self.endpoints, self.telemetry, self.told = FakeEndpoints(self.states), Recorder(), Told()
        clock = clock or SteppingClock()
        timeouts = timeouts or AnswerTimeouts(30.0, 30.0, 30.0)
        dispatch = Dispatch(
            routing=routing(),
            endpoints=self.endpoints,
            server=self.server,
            clock=clock,
            telemetry=self.telemetry,
            budget=RetryBudget(),
            timeouts=timeouts,
            uniform=lambda: 0.0,
            wake_queue=WakeQueue(endpoints=self.endpoints, family=FAMILY, clock=clock, max_held=8),
        )
        calls = EngineCalls(
            dispatch=dispatch, clock=clock, telemetry=self.telemetry, timeouts=timeouts
        )
        verifiers = VerifierEndpoints(
            routing=routing(),
            endpoints=self.endpoints,
            verifier=self.verifier,
            clock=clock,
            telemetry=self.telemetry,
            budget=RetryBudget(),
            uniform=lambda: 0.0,
        )
        lower_tier = LowerTier(calls, self.endpoints)
        defaults = CascadeDefaults(
            quality=0.99, method="logprobs", stream_mode="live", audit_share=audit_share
        )
        predictors = Predictors(load_predictor("cautious"), shipped, predictor)
        deps = CascadeDeps(
            stages=stages,
            defaults=defaults,
            rules=AcceptanceRules(
                stages=stages, endpoints=self.endpoints, predictors=predictors, defaults=defaults
            ),
            lower_tier=lower_tier,
            top_tier=TopTier(
                verifiers=verifiers, calls=calls, timeouts=timeouts, new_id=lambda: "0" * 32
            ),
            probes=ConfidenceProbes(
                calls,
                lower_tier,
                ProbeSettings(
                    samples=4,
                    temperature=0.7,
                    lead="Answer:",
                    template="{question} {answer}",
                    expects="yes",
                    max_tokens=8,
                ),
            ),
            device_tier=DeviceTier(members),
            endpoints=self.endpoints,
            clock=clock,
            telemetry=self.told,
            log=self.log,
            uniform=lambda: 0.4,
            unix_time=lambda: 9.0,
        )
        admission = Admission(AdmissionLimits(), clock, self.telemetry)
        self.audits = Audits(deps, calls)
        self.cascade = CascadeHandler(
            deps=deps,
            admission=admission,
            telemetry=self.telemetry,
            audits=self.audits,
            stalled_s=timeouts.idle_s,
        )

    async def ask(self, headers: Mapping[str, Any] | None = None, **fields: Any) -> Any:
        body = {"model": "tierflow-cascade", "messages": [{"role": "user", "content": "hi"}]}
        most, data = fields.get("max_tokens"), orjson.dumps(body | fields)
        asked = request("tierflow-cascade", body=data, max_tokens=most, **(headers or {}))
        sink = ListSink()
        await self.cascade.answer(asked, {}, sink)
        return json.loads(sink.body)

    async def stream(self, **fields: Any) -> Streamed:
        messages = [{"role": "user", "content": "hi"}]
        body = {"model": "tierflow-cascade", "messages": messages, "stream": True, **fields}
        body["stream_options"] = {"include_usage": True}
        asked = request("tierflow-cascade", body=orjson.dumps(body), stream=True)
        sink, found = ListSink(), Streamed()
        await self.cascade.answer(asked, {}, sink)
        for line in sink.body.split(b"\n"):
            if line.startswith(b"data: {"):
                found.take(json.loads(line[6:]))
        return found

    def assert_nothing_left_open(self) -> None:
        assert [each.in_flight for each in self.states] == [0] * len(self.states)
        assert all(made.closed for made in self.verifier.made)
        assert all(answer.closed for answer in self.server.answers)
        assert self.telemetry.loads[-1] == (0, 0)


def verified(*batches: Piece) -> Mapping[str, Callable[[], Sequence[Piece]]]:
    return {"cloud:1": lambda: batches}


TOP = verified(Batch(ids=[5, 6], text="Ye"), Batch(ids=[8], reason="stop", text="s"))


def about(body: Any) -> Any:
    return body["tierflow"]["cascade"]
