"""A collective on fakes: scripted devices, a scripted server model, a store in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import orjson

from gateway.core.collective.report import Report
from gateway.core.devices.grant import Grant
from gateway.core.ports import Embedder, StateStore
from gateway.core.streams.chat_answer import read_choices
from gateway.core.types import Caller, InferenceRequest
from gateway.errors import EngineFailed, GatewayError, StateLost
from gateway.serving.requests.engine_calls import EngineCall, EngineReply
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.wiring.collective import build_collective, collective_templates
from tests.unit.gateway.build import BOUNDS, request, state
from tests.unit.gateway.fake_members import FakeMembers, Script
from tests.unit.gateway.fakes import CountingStore, ListSink, StreamedReply
from tests.unit.gateway.rig import SharedRig

COLLECTIVE = {"domains": {"mathematics": "numbers, times, plus"}, "rather_likelihood": ()}
"""Settings of the collective that tests have unless they say otherwise."""
QUESTION = "What is 6 times 7?"
THREE = {"maths": "Answer: 42", "code": "Answer: 42", "reading": "Answer: 48"}


class FakeCalls:
    """The calls to a server model. `scripted` is its text, an error, or made from the call. Streams
    come word by word; one breaks off after `breaks_after` words."""

    def __init__(
        self, answer: str | GatewayError | Callable[[EngineCall], Any] = "Answer: 42"
    ) -> None:
        self.scripted = answer
        self.breaks_after: int | None = None
        self.calls: list[EngineCall] = []

    def prompt(self, place: int = -1) -> str:
        """The last message of a call."""
        return str(self.calls[place].body["messages"][-1]["content"])

    def _answer(self, call: EngineCall) -> Any:
        self.calls.append(call)
        answer = self.scripted(call) if callable(self.scripted) else self.scripted
        if isinstance(answer, GatewayError):
            raise answer
        return answer

    async def whole(self, call: EngineCall) -> EngineReply:
        answer = self._answer(call)
        return _reply(answer if isinstance(answer, dict) else _completion(answer))

    async def stream(self, call: EngineCall) -> Any:
        words = str(self._answer(call)).split(" ")
        for place, word in enumerate(words):
            if place == self.breaks_after:
                self.breaks_after = None
                raise EngineFailed("gone", endpoint="edge:1", code="engine_disconnected")
            delta = {"content": word if place == 0 else f" {word}"}
            yield _reply({"choices": [{"delta": delta}]})
        yield _reply({"choices": [], "usage": _usage()})


def _reply(body: dict[str, Any]) -> EngineReply:
    choices = read_choices(body, "edge:1", whole=False)
    return EngineReply(
        body=body, choices=choices, model="rill-edge", tier="edge", endpoint="edge:1"
    )


def _completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": _usage()}


def _usage() -> dict[str, int]:
    return {"prompt_tokens": 100, "completion_tokens": 20}


def broken(code: str = "engine_error") -> EngineFailed:
    return EngineFailed("edge:1 failed", endpoint="edge:1", code=code)


class CollectiveRecorder:
    """A `CollectiveTelemetry` that remembers what it was given."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.lost: list[str] = []
        self.judged: list[str] = []
        self.unembedded: list[str] = []

    def finished(self, report: Report) -> None:
        self.reports.append(report)

    def feedback(self, domain: str) -> None:
        self.judged.append(domain)

    def state_lost(self, step: str) -> None:
        self.lost.append(step)

    def embedding_failed(self, source: str) -> None:
        self.unembedded.append(source)


class LostStore:
    """A store that can't be reached."""

    async def run(self, *operations: Any) -> list[Any]:
        raise StateLost("no state", retry_after=1.0, code="state_lost")


class FakeCallers:
    """Tokens by device: `Bearer token-of-<device>`; `owners` by device."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        self._owners = owners

    async def device_of(self, authorization: str, address: str = "") -> Grant | None:
        device = authorization.removeprefix("Bearer token-of-")
        owner = self._owners.get(device)
        return None if owner is None else Grant(device=device, owner=owner)


class CollectiveRig(SharedRig):
    """A collective as it is wired, with fakes around it. `ask` and `stream` give what a client
    would read: the body, or a stream's events and comments.

    `collective` are settings of the collective, `fields` those of the devices' `Member`s,
    `owners` the devices' owners by device. The edge serves rill-edge, the cloud big.
    """

    def __init__(
        self,
        scripts: Mapping[str, Script | Sequence[Script]],
        calls: FakeCalls | None = None,
        *,
        store: StateStore | None = None,
        collective: Mapping[str, Any] | None = None,
        prices: Mapping[str, float] | None = None,
        owners: Mapping[str, str] | None = None,
        embedder: Embedder | None = None,
        fields: Mapping[str, Mapping[str, Any]] | None = None,
        idle_s: float = 5.0,
    ) -> None:
        ids = (f"{n:032x}" for n in itertools.count(1))
        super().__init__(
            states=[state(), state("cloud:1", "cloud", model="big")],
            timeouts=AnswerTimeouts(first_token_s=30.0, idle_s=idle_s, answer_s=30.0),
            wall=lambda: 1_700_000_000.0,
            new_id=lambda: next(ids),
            collective={**COLLECTIVE, **(collective or {})},
            prices=prices or {},
        )
        self.members = FakeMembers(scripts, **(fields or {}))
        self.calls = calls or FakeCalls()
        self.store = store or CountingStore(self.clock, BOUNDS)
        self.collectives = CollectiveRecorder()
        engine_calls: Any = self.calls
        parts = build_collective(
            AsyncExitStack(),
            self.settings,
            shared=replace(self.shared, calls=engine_calls),
            members=self.members,
            callers=FakeCallers(owners or {}),
            store=self.store,
            templates=collective_templates(self.settings),
            telemetry=self.collectives,
            embedder=embedder,
        )
        self.handler, self.feedback = parts.handler, parts.feedback

    async def send(self, request: InferenceRequest) -> ListSink:
        sink = ListSink()
        await self.handler.answer(request, {}, sink)
        await self.handler.close()
        return sink

    async def ask(self, **options: Any) -> dict[str, Any]:
        sink = await self.send(chat(**options))
        body: dict[str, Any] = orjson.loads(sink.body)
        return body

    async def stream(self, **options: Any) -> StreamedReply:
        return StreamedReply(await self.send(chat(stream=True, **options)))


def chat(
    question: str = QUESTION,
    *,
    body: Mapping[str, Any] | None = None,
    stream: bool = False,
    token: str = "",
    key: str | None = None,
    session: str | None = None,
    **options: Any,
) -> InferenceRequest:
    """`options` are those of `tierflow.collective`."""
    given: dict[str, Any] = {
        "model": "tierflow-collective",
        "messages": [{"role": "user", "content": question}],
        "stream": stream,
        "tierflow": {"collective": options},
        **(body or {}),
    }
    return request(
        "tierflow-collective",
        body=orjson.dumps(given),
        stream=stream,
        max_tokens=given.get("max_tokens"),
        session=session,
        caller=Caller(
            authorization=f"Bearer token-of-{token}" if token else "",
            owner=token or "",
            idempotency_key=key,
        ),
    )


def outcomes(body: dict[str, Any]) -> dict[str, str]:
    return {m["device"]: m["outcome"] for m in body["tierflow"]["collective"]["members"]}
