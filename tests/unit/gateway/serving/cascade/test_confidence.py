"""Samples and self-checks: their time, their tier, their tokens, and a caller that leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.core.tier import Tier as Place
from gateway.serving.cascade.options import StageSpec
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import (
    FakeAnswer,
)
from tests.unit.gateway.serving.cascade.rig import TOP, CascadeRig, about, chat

pytestmark = pytest.mark.anyio
AGREEMENT: dict[str, Any] = {"cascade": {"confidence": "agreement"}}
SELF_CHECK: dict[str, Any] = {"cascade": {"confidence": "self-check"}}


def _usage(prompt: int, completion: int) -> dict[str, int]:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {**counts, "total_tokens": prompt + completion}


@pytest.mark.parametrize("options", [AGREEMENT, SELF_CHECK])
async def test_samples_and_self_checks_end_with_the_lower_tiers_time(
    options: dict[str, Any],
) -> None:
    clock = MonotonicClock()
    answers = iter([chat("No"), lambda: FakeAnswer([None], 200, "application/json")])
    rig = CascadeRig({"edge:1": lambda: next(answers)()}, TOP, clock=clock)
    body = await rig.ask({"deadline_s": 0.4, "received": clock.now()}, tierflow=options)
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert about(body)["escalated"]
    rig.assert_nothing_left_open()


@pytest.mark.parametrize("demands", [{}, {"max_tier": Place.CLOUD}])
async def test_samples_do_not_overflow_to_the_tier_above(demands: dict[str, Any]) -> None:
    states = [state("edge:1", "edge", healthy=False), state("cloud:1", "cloud")]
    rig = CascadeRig({"cloud:1": chat("Yes")}, {}, states=states)
    body = await rig.ask(demands, tierflow=AGREEMENT)
    assert about(body)["stages"][0]["decision"] == "answered"
    assert len(rig.server.calls) == 1, "the answer itself"


@pytest.mark.parametrize("options", [AGREEMENT, SELF_CHECK])
async def test_probes_keep_to_the_callers_highest_tier(
    options: dict[str, Any],
) -> None:
    """The model is served at both tiers, and is soonest done at the forbidden one."""
    states = [
        state("edge:1", "edge", model="same", in_flight=3, waiting=3, in_flight_at_scrape=3),
        state("cloud:1", "cloud", model="same"),
    ]
    tiers = (StageSpec("same"), StageSpec("tierflow-cloud"))
    rig = CascadeRig(
        {"edge:1": chat("No"), "cloud:1": chat("No")}, TOP, stages=tiers, states=states
    )
    await rig.ask({"max_tier": Place.EDGE}, tierflow=options)
    assert [endpoint for endpoint, _, _ in rig.server.calls] == ["edge:1"] * 2


@pytest.mark.parametrize(("options", "answers"), [(AGREEMENT, 2), (SELF_CHECK, 2)])
async def test_tokens_of_probes_are_counted_with_their_prompts(
    options: dict[str, Any], answers: int
) -> None:
    rig = CascadeRig({"edge:1": chat("yes")}, {})
    body = await rig.ask(tierflow=options)
    assert about(body)["reason"] is None
    assert body["usage"] == _usage(4 * answers, 3 * answers)


async def test_an_answer_whose_caller_left_during_its_self_check_is_reported() -> None:
    answers = iter([chat("No"), lambda: FakeAnswer([None], 200, "application/json")])
    rig = CascadeRig({"edge:1": lambda: next(answers)()}, {})
    task = asyncio.create_task(rig.ask(tierflow=SELF_CHECK))
    while len(rig.server.answers) < 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [stage] = rig.cascades.outcomes[0].stages
    assert (stage.model, stage.tokens, stage.prompt_tokens) == ("rill-edge", 3, 4)


async def test_samples_end_when_the_caller_leaves() -> None:
    rig = CascadeRig({"edge:1": lambda: FakeAnswer([None], 200, "application/json")}, {})
    task = asyncio.create_task(rig.ask(tierflow=AGREEMENT))
    while len(rig.server.answers) < 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    rig.assert_nothing_left_open()
