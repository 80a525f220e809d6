from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from gateway.core.ports import LeaveDrafts
from gateway.core.speculation.eligibility import Fields
from gateway.core.speculation.job import DraftFacts, DraftRun
from gateway.core.streams.sse import objects
from gateway.core.types import Endpoint
from gateway.errors import EngineFailed
from gateway.protocol.paths import CHAT
from gateway.serving.speculation.drafted_server import DraftedServer
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import FakeServer
from tests.unit.gateway.rig import DONE, stream, whole

pytestmark = pytest.mark.anyio
ENDPOINT = state("cloud:1", "cloud").endpoint
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "rill-cloud"}


def event(ids: list[int], text: str, reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": reason}
    about = {**HEAD, "choices": [{**choice, "token_ids": ids}], **more}
    return b"data: " + orjson.dumps(about) + b"\n\n"


USAGE = {"prompt_tokens": 3, "total_tokens": 6, "completion_tokens": 3}
LAST = b"data: " + orjson.dumps({**HEAD, "choices": [], "usage": USAGE}) + b"\n\n"
FIRST = event([], "", prompt_token_ids=[7, 8, 9])
EVENTS = [FIRST, event([1, 2], "ab"), event([3], "c", "stop"), LAST, DONE]


class Source:
    """A draft source that leaves the ids that it hears, one position on."""

    def __init__(self) -> None:
        self.heard: list[Sequence[int]] = []
        self.closed = False
        self._leave: LeaveDrafts | None = None

    def start(self, leave: LeaveDrafts) -> None:
        self._leave = leave

    def prompt(self, ids: Sequence[int]) -> None:
        self.heard.append(ids)

    def advance(self, ids: Sequence[int]) -> Sequence[str]:
        self.heard.append(ids)
        assert self._leave is not None and self._leave([(1, ids, [])])
        return ["edge", *["verifier"] * (len(ids) - 1)]

    def close(self) -> None:
        self.closed = True


class Engines:
    def __init__(self, per_step: int = 4) -> None:
        self.per_step = per_step
        self.left: list[tuple[str, Sequence[DraftRun]]] = []

    def facts(self, endpoint: Endpoint) -> DraftFacts:
        return DraftFacts(self.per_step, 100)

    def put(self, endpoint: Endpoint, session: str, runs: Sequence[DraftRun]) -> bool:
        self.left.append((session, runs))
        return True

    async def encode(self, endpoint: Endpoint, model: str, text: str) -> list[int]:
        return [ord(letter) for letter in text]


class Drafted:
    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.reason = ""

    def source(self, endpoint: Endpoint, facts: DraftFacts, path: str, fields: Fields) -> Source:
        self.sources.append(Source())
        return self.sources[-1]

    def engine_fields(self, fields: Fields) -> Fields:
        return fields

    def unused(self, reason: str) -> None:
        self.reason = reason

    def usage_details(self) -> Mapping[str, int]:
        return {"accepted_prediction_tokens": 2}


class Rig:
    def __init__(
        self, script: Any, *, stream: bool, per_step: int = 4, marks: bool = False
    ) -> None:
        self.server, self.engines = FakeServer({"cloud:1": script}), Engines(per_step)
        self.drafted = Drafted()
        self.drafting = DraftedServer(
            server=self.server,
            engines=self.engines,
            drafted=self.drafted,
            stream=stream,
            new_id=lambda: "a" * 32,
            marks=marks,
        )

    async def ask(self, **fields: Any) -> bytes:
        body = {"model": "rill-cloud", "messages": [], **fields}
        answer = await self.drafting.open(ENDPOINT, CHAT, {}, orjson.dumps(body))
        pieces = []
        while piece := await answer.read():
            pieces.append(piece)
        answer.close()
        return b"".join(pieces)

    @property
    def sent(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.server.calls[-1][2])
        return found


async def test_a_stream_passes_without_the_ids_that_its_source_hears() -> None:
    rig = Rig(stream(*EVENTS), stream=True)
    shown = await rig.ask(stream=True, vllm_xargs={"mine": 1})
    (source,) = rig.drafted.sources
    assert source.heard == [[7, 8, 9], [1, 2], [3]] and source.closed
    assert rig.engines.left == [("a" * 32, [(1, [1, 2], [])]), ("a" * 32, [(1, [3], [])])]
    assert rig.sent["return_token_ids"] is True
    assert rig.sent["vllm_xargs"] == {"mine": 1, "draft_session": "a" * 32}
    assert b'"token_ids":[' not in shown and b'"prompt_token_ids":[' not in shown
    assert b'"completion_tokens_details":{"accepted_prediction_tokens":2}' in shown
    assert shown.endswith(DONE)


async def test_the_caller_keeps_the_ids_that_it_asks_for() -> None:
    rig = Rig(stream(*EVENTS), stream=True)
    shown = await rig.ask(stream=True, return_token_ids=True)
    assert b'"token_ids":[1,2]' in shown and b'"prompt_token_ids":[7,8,9]' in shown


async def test_a_stream_says_who_made_its_tokens_where_that_is_asked() -> None:
    rig = Rig(stream(*EVENTS), stream=True, marks=True)
    shown = await rig.ask(stream=True)
    told = list(objects(shown, "cloud:1"))
    by = [each["tierflow"]["by"] for each in told if "tierflow" in each]
    assert by == [["edge", "verifier"], ["edge"]]
    assert b'"token_ids":[' not in shown and shown.endswith(DONE)
    assert b"tierflow" not in await Rig(stream(*EVENTS), stream=True).ask(stream=True)


async def test_a_whole_answer_is_folded_out_of_a_stream() -> None:
    rig = Rig(stream(*EVENTS), stream=False)
    body = orjson.loads(await rig.ask())
    assert rig.sent["stream"] is True
    assert rig.drafted.sources[0].heard == [[7, 8, 9], [1, 2], [3]]
    (choice,) = body["choices"]
    assert choice["message"]["content"] == "abc" and choice["finish_reason"] == "stop"
    assert choice["token_ids"] is None and body["prompt_token_ids"] is None
    assert (body["id"], body["object"]) == ("chatcmpl-1", "chat.completion")
    assert body["usage"]["completion_tokens"] == 3
    assert body["usage"]["completion_tokens_details"] == {"accepted_prediction_tokens": 2}


async def test_events_cut_anywhere_are_heard_whole() -> None:
    data = b"".join(EVENTS)
    for cut in range(1, len(data), 7):
        rig = Rig(stream(data[:cut], data[cut:]), stream=True)
        await rig.ask(stream=True)
        assert [one for ids in rig.drafted.sources[0].heard for one in ids] == [7, 8, 9, 1, 2, 3]


async def test_an_endpoint_without_a_mailbox_is_asked_plainly() -> None:
    rig = Rig(whole(b'{"choices":[]}'), stream=False, per_step=0)
    assert await rig.ask(n=1) == b'{"choices":[]}'
    assert rig.sent == {"model": "rill-cloud", "messages": [], "n": 1}
    assert rig.drafted.reason == "endpoint-takes-no-drafts"


async def test_a_field_that_forbids_drafts_is_named() -> None:
    rig = Rig(stream(*EVENTS), stream=True)
    assert await rig.ask(stream=True, min_p=0.1) == b"".join(EVENTS)
    assert rig.drafted.reason == "min_p"


async def test_an_error_in_place_of_a_whole_answer_is_given_as_it_is() -> None:
    error = {"error": {"message": "too long", "code": 400}}
    rig = Rig(stream(b"data: " + orjson.dumps(error) + b"\n\n", DONE), stream=False)
    assert orjson.loads(await rig.ask()) == error


async def test_a_whole_answer_that_breaks_is_no_answer() -> None:
    rig = Rig(stream(EVENTS[0], EVENTS[1]), stream=False)
    with pytest.raises(EngineFailed):
        await rig.ask()
