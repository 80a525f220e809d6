"""Audits: what is drawn, what is logged, what is missed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.core.privacy import PrivacyRule
from gateway.core.speculation.job import Batch
from gateway.core.tier import Tier
from gateway.serving.cascade.audits import MAX_RUNNING
from tests.unit.gateway.fakes import (
    FakeAnswer,
)
from tests.unit.gateway.serving.cascade.rig import TOP, CascadeRig, chat, verified

pytestmark = pytest.mark.anyio


def event(text: str, reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return b"data: " + orjson.dumps({"choices": [choice], **more}) + b"\n\n"


def sure(text: str, *ids: int) -> bytes:
    logprobs = {"content": [{"token": "t", "logprob": 0.0}] * len(ids)}
    choice = {"index": 0, "delta": {"content": text}, "token_ids": ids, "logprobs": logprobs}
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


async def test_audits_that_are_not_made_are_logged_as_missed() -> None:
    """One fails, and of many at once only so many are made."""

    def hang() -> FakeAnswer:
        return FakeAnswer([None], 200, "application/json")

    audits = iter([chat("Hi"), lambda: FakeAnswer([], 500), *[hang] * MAX_RUNNING])
    rig = CascadeRig({"edge:1": chat("Hi"), "cloud:1": lambda: next(audits)()}, {}, audit_share=0.5)
    for count in (1, 2):
        await rig.ask()
        await rig.log.reach(count)
    for _ in range(MAX_RUNNING + 1):
        await rig.ask()
    rows = await rig.log.reach(3)
    assert [(row["audit"], row["agreed"]) for row in rows] == [
        ("done", True), ("missed", None), ("missed", None),
    ]  # fmt: skip
    assert {row["weight"] for row in rows} == {2.0} and rows[0]["upper"] == "rill-cloud"
    await rig.stack.aclose()


async def test_of_what_is_not_public_nothing_is_logged_and_nobody_else_is_asked() -> None:
    rules = PrivacyRule.of(owner_tiers=list(Tier), private_tiers=[]).classes
    rig = CascadeRig({"edge:1": chat("Hi"), "cloud:1": chat("Hi")}, {}, audit_share=1.0)
    await rig.ask({"privacy": rules["owner"]})
    await rig.ask()
    await rig.log.reach(1)
    await rig.stack.aclose()
    assert len(await rig.log.reach(1)) == 1


async def test_an_answer_that_the_top_only_continued_is_audited() -> None:
    """Text had flowed, so nobody knows what the top itself would have said."""
    doubt = {"content": [{"token": "t", "logprob": -3.0}]}
    choice = {"index": 0, "delta": {"content": "b"}, "token_ids": [9], "logprobs": doubt}
    doubtful = b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"
    small = [*[sure("a", 7)] * 12, doubtful, event("", "stop"), b"data: [DONE]\n\n"]
    rig = CascadeRig(
        {"edge:1": lambda: FakeAnswer(small), "cloud:1": chat("a" * 12 + "b")},
        verified(Batch(ids=[8], reason="stop", text="c")),
        audit_share=0.5,
    )
    reply = await rig.stream()
    assert reply.text.startswith("a" * 5) and reply.about["escalated"]
    [row] = await rig.log.reach(1)
    assert (row["decision"], row["agreed"], row["audit"]) == ("escalated", True, "done")
    assert (row["weight"], row["upper_tokens"]) == (2.0, 3)


async def test_an_answer_that_the_top_gave_whole_needs_no_audit() -> None:
    rig = CascadeRig({"edge:1": chat("No", -2.0)}, TOP, audit_share=0.5)
    await rig.ask()
    [row] = rig.log.rows
    assert (row["agreed"], row["audit"], row["weight"]) == (False, None, 1.0)
    assert len(rig.server.calls) == 1
