from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.core.outcome import Outcome
from gateway.errors import ClientStalled, EngineFailed
from gateway.serving.chat.reply import CallerSink, Conclusion, Reply, ReplyHead, reply_to
from gateway.serving.chat.request import read
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import ListSink, SteppingClock

pytestmark = pytest.mark.anyio

END = Conclusion(finish_reason="stop", usage=(3, 4), tierflow={"cascade": {"x": 1}})
BROKEN = EngineFailed("edge:1 broke", endpoint="edge:1", code="engine_error")


class ReplyRig:
    def __init__(self, **fields: Any) -> None:
        body = {"messages": [{"role": "user", "content": "hi"}], **fields}
        stream = fields.get("stream") is True
        inference = request("tierflow-cascade", body=orjson.dumps(body), stream=stream)
        self.sink, self.outcome = ListSink(), Outcome(request=inference)
        self.reply: Reply = reply_to(
            chat=read(inference, "tierflow-cascade"),
            caller=CallerSink(
                sink=self.sink, outcome=self.outcome, clock=SteppingClock(), stalled_s=30.0
            ),
            head=ReplyHead("chatcmpl-1", 9),
            model="small",
        )

    @property
    def body(self) -> Any:
        return orjson.loads(self.sink.body)

    @property
    def events(self) -> list[str]:
        return self.sink.body.decode().split("\n\n")[:-1]

    @property
    def chunks(self) -> list[Any]:
        data = [event[6:] for event in self.events if event.startswith("data: {")]
        return [orjson.loads(event) for event in data]


async def test_a_body_holds_all_the_text_at_once() -> None:
    rig = ReplyRig()
    for piece in ("six", " sevens"):
        await rig.reply.text(piece, [1])
    assert rig.sink.sent == []
    rig.reply.model = "large"
    await rig.reply.finish(END)
    (choice,) = rig.body["choices"]
    assert choice["message"] == {"role": "assistant", "content": "six sevens"}
    assert (choice["finish_reason"], choice["token_ids"]) == ("stop", None)
    assert (rig.body["id"], rig.body["model"]) == ("chatcmpl-1", "large")
    assert rig.body["usage"]["total_tokens"] == 7
    assert rig.body["tierflow"] == {"cascade": {"x": 1}}
    assert rig.outcome.first_byte is not None


async def test_ids_of_an_engine_that_tells_none_are_not_an_empty_list() -> None:
    rig = ReplyRig(return_token_ids=True)
    await rig.reply.text("six")
    await rig.reply.finish(END)
    assert rig.body["choices"][0]["token_ids"] is None


async def test_a_stream_counts_in_each_chunk_where_that_is_asked_for() -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    rig = ReplyRig(stream=True, stream_options=options)
    counted = iter([(3, 0), (3, 1), (3, 2)])
    rig.reply.spent = lambda: next(counted)
    await rig.reply.begin()
    await rig.reply.text("six", [1])
    await rig.reply.text(" sevens", [2])
    await rig.reply.finish(END)
    assert [chunk["usage"]["completion_tokens"] for chunk in rig.chunks] == [0, 1, 2, 4, 4]


async def test_text_that_was_discarded_is_not_in_the_body() -> None:
    rig = ReplyRig(return_token_ids=True)
    await rig.reply.text("wrong", [1, 2])
    rig.reply.discard()
    await rig.reply.text("right", [3])
    await rig.reply.finish(END)
    (choice,) = rig.body["choices"]
    assert (choice["message"]["content"], choice["token_ids"]) == ("right", [3])


async def test_an_engine_s_own_body_goes_out_with_our_id_usage_and_object() -> None:
    rig = ReplyRig()
    own: dict[str, Any] = {
        "id": "x",
        "model": "m",
        "choices": [{"index": 0}],
        "usage": {},
        "metrics": None,
    }
    await rig.reply.finish(
        Conclusion(finish_reason="stop", usage=(1, 1), tierflow={}, engine_body=own)
    )
    assert list(rig.body) == [*own, "tierflow"]
    assert (rig.body["id"], rig.body["usage"]["total_tokens"]) == ("chatcmpl-1", 2)


async def test_an_error_before_a_body_is_an_error_s_status() -> None:
    rig = ReplyRig()
    await rig.reply.begin()
    await rig.reply.text("half")
    with pytest.raises(EngineFailed):
        await rig.reply.fail(BROKEN)
    assert rig.sink.status == 0


async def test_what_comes_before_a_stream_begins_is_kept_until_then() -> None:
    rig = ReplyRig(stream=True)
    await rig.reply.say("selected a")
    await rig.reply.text("six")
    assert rig.sink.sent == []
    await rig.reply.begin()
    await rig.reply.begin()
    await rig.reply.say("revising\nb")
    assert rig.chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert rig.events[1] == ": selected a"
    assert rig.chunks[1]["choices"][0]["delta"] == {"content": "six"}
    assert rig.events[3] == ": revising b"


async def test_a_stream_ends_with_its_reason_its_usage_and_done() -> None:
    rig = ReplyRig(stream=True, stream_options={"include_usage": True})
    await rig.reply.text("six")
    await rig.reply.finish(END)
    *_, last, usage = rig.chunks
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["tierflow"] == {"cascade": {"x": 1}}
    assert usage["choices"] == [] and usage["usage"]["total_tokens"] == 7
    assert rig.events[-1] == "data: [DONE]"
    assert rig.sink.ended


async def test_a_stream_s_token_ids_go_only_to_who_asks_for_them() -> None:
    for asked, shown in ((False, None), (True, [5])):
        rig = ReplyRig(stream=True, return_token_ids=asked)
        await rig.reply.begin()
        await rig.reply.text("six", [5])
        assert rig.chunks[1]["choices"][0]["token_ids"] == shown


async def test_an_error_ends_a_stream_only_when_it_has_begun() -> None:
    rig = ReplyRig(stream=True)
    with pytest.raises(EngineFailed):
        await rig.reply.fail(BROKEN)
    await rig.reply.begin()
    assert rig.reply.begun and not rig.reply.has_text
    await rig.reply.fail(BROKEN)
    assert rig.sink.failure is BROKEN


async def test_times_of_a_stream_are_those_of_its_text() -> None:
    rig = ReplyRig(stream=True)
    await rig.reply.begin()
    assert rig.outcome.first_byte is None
    await rig.reply.text("six")
    await rig.reply.text(" sevens")
    first, last = rig.outcome.first_byte, rig.outcome.last_byte
    assert first is not None and last is not None and first < last


async def test_a_caller_who_reads_nothing_is_given_up() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    caller = CallerSink(
        sink=ListSink(never),
        outcome=Outcome(request=request()),
        clock=MonotonicClock(),
        stalled_s=0.01,
    )
    with pytest.raises(ClientStalled):
        await caller.send(b"x", more=True)
