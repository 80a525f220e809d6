"""A cascade before scripted tiers, devices and a verifier."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.adapters.files.predictors import load_predictor
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
from gateway.core.speculation.job import Batch
from gateway.core.types import EndpointState
from gateway.serving.cascade.options import StageSpec
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.settings.cascade import ANY
from gateway.wiring.cascade import build_cascade
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import FakeAnswer, ListSink, VerifiedScripts
from tests.unit.gateway.fakes import VerifiedPiece as Piece
from tests.unit.gateway.rig import SharedRig

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


class Rig(SharedRig):
    """A cascade as it is wired, before scripted tiers, devices and a verifier."""

    def __init__(
        self,
        small: Mapping[str, Callable[[], FakeAnswer]],
        large: VerifiedScripts,
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
        super().__init__(
            small,
            states,
            verified=large,
            timeouts=timeouts,
            clock=clock,
            cascade={"stages": [_stage(spec) for spec in stages], "audit_share": audit_share},
        )
        self.log, self.told = Entries(), Told()
        self.stack = AsyncExitStack()
        self.cascade = build_cascade(
            self.stack,
            self.settings.cascade,
            shared=self.shared,
            members=members,
            predictors=Predictors(load_predictor("cautious"), shipped, predictor),
            telemetry=self.told,
            log=self.log,
        ).handler

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


def _stage(spec: StageSpec) -> Mapping[str, Any]:
    asks = {"device": "any" if spec.devices == (ANY,) else spec.devices} if spec.devices else {}
    return {"model": spec.model or None, "max_tokens": spec.max_tokens, **asks}


def verified(*batches: Piece) -> Mapping[str, Callable[[], Sequence[Piece]]]:
    return {"cloud:1": lambda: batches}


TOP = verified(Batch(ids=[5, 6], text="Ye"), Batch(ids=[8], reason="stop", text="s"))


def about(body: Any) -> Any:
    return body["tierflow"]["cascade"]
