"""A cascade before scripted tiers, devices and a verifier."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.adapters.files.predictors import load_predictor
from gateway.core.cascade.ports import CascadeOutcome
from gateway.core.cascade.predictor import Predictor
from gateway.core.cascade.predictor_choice import Predictors
from gateway.core.ports import Clock
from gateway.core.speculation.job import Batch
from gateway.core.types import EndpointState
from gateway.serving.cascade.options import StageSpec
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.settings.virtual_models.cascade import ANY
from gateway.wiring.cascade import build_cascade
from tests.unit.gateway.build import request
from tests.unit.gateway.fake_members import FakeMembers
from tests.unit.gateway.fakes import FakeAnswer, ListSink, StreamedReply, VerifiedScripts
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
class CascadeRecorder:
    """A `CascadeTelemetry` that remembers."""

    outcomes: list[CascadeOutcome] = field(default_factory=list)

    def cascaded(self, outcome: CascadeOutcome) -> None:
        self.outcomes.append(outcome)

    def audited(self, agreed: bool) -> None: ...


class OutcomeEntries:
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


class CascadeStream(StreamedReply):
    """A streamed answer of the cascade; none of its events is an error."""

    def __init__(self, sink: ListSink) -> None:
        super().__init__(sink)
        assert not [chunk for chunk in self.chunks if "error" in chunk]

    @property
    def usage(self) -> dict[str, int]:
        return self._last(chunk.get("usage") for chunk in self.chunks)

    @property
    def about(self) -> dict[str, Any]:
        return self._last((chunk.get("tierflow") or {}).get("cascade") for chunk in self.chunks)

    def _last(self, found: Iterable[dict[str, Any] | None]) -> dict[str, Any]:
        return next(reversed([each for each in found if each]), {})


class CascadeRig(SharedRig):
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
        self.log, self.cascades = OutcomeEntries(), CascadeRecorder()
        self.stack = AsyncExitStack()
        self.cascade = build_cascade(
            self.stack,
            self.settings.cascade,
            shared=self.shared,
            members=members,
            predictors=Predictors(load_predictor("cautious"), shipped, predictor),
            telemetry=self.cascades,
            log=self.log,
        ).handler

    async def ask(self, headers: Mapping[str, Any] | None = None, **fields: Any) -> Any:
        body = {"model": "tierflow-cascade", "messages": [{"role": "user", "content": "hi"}]}
        most, data = fields.get("max_tokens"), orjson.dumps(body | fields)
        sink = ListSink()
        await self.cascade.answer(
            request("tierflow-cascade", body=data, max_tokens=most, **(headers or {})), {}, sink
        )
        return json.loads(sink.body)

    async def ask_into(self, sink: ListSink, *, stream: bool) -> None:
        body = {"model": "tierflow-cascade", "messages": [{"role": "user", "content": "hi"}]}
        data = orjson.dumps({**body, "stream": stream})
        await self.cascade.answer(request("tierflow-cascade", body=data, stream=stream), {}, sink)

    async def stream(self, **fields: Any) -> CascadeStream:
        messages = [{"role": "user", "content": "hi"}]
        body = {"model": "tierflow-cascade", "messages": messages, "stream": True}
        body |= {"stream_options": {"include_usage": True}, **fields}
        sink = ListSink()
        await self.cascade.answer(
            request("tierflow-cascade", body=orjson.dumps(body), stream=True), {}, sink
        )
        return CascadeStream(sink)


def _stage(spec: StageSpec) -> Mapping[str, Any]:
    asks = {"device": "any" if spec.devices == (ANY,) else spec.devices} if spec.devices else {}
    return {"model": spec.model or None, "max_tokens": spec.max_tokens, **asks}


def verified(*batches: Piece) -> Mapping[str, Callable[[], Sequence[Piece]]]:
    return {"cloud:1": lambda: batches}


TOP = verified(Batch(ids=[5, 6], text="Ye"), Batch(ids=[8], reason="stop", text="s"))


def about(body: Any) -> Any:
    return body["tierflow"]["cascade"]
