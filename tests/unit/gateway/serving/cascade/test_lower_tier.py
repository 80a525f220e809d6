"""A device as the lowest stage: when it is asked, and by which rule its answer is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.core.cascade.predictor import ConfidenceModel, Predictor, Term
from gateway.core.devices.member import (
    DeviceModel,
    MemberFailed,
    WorkEnd,
    WorkPiece,
)
from gateway.core.types import EndpointState
from gateway.serving.cascade.options import StageSpec
from tests.unit.gateway.build import state
from tests.unit.gateway.fake_members import FakeMembers, failing, steps
from tests.unit.gateway.serving.cascade.rig import EDGE_CLOUD, CascadeRig, about, chat

pytestmark = pytest.mark.anyio


DEVICE_FIRST = (StageSpec(devices=("any",)), *EDGE_CLOUD)


@pytest.mark.parametrize(("logprob", "text"), [(-0.01, "Hi!"), (-1.0, "No"), (None, "No")])
async def test_a_device_answers_first_and_is_judged_by_its_mean(
    logprob: float | None, text: str
) -> None:
    members = FakeMembers(
        {
            "phone": steps(
                WorkPiece("Hi", 1),
                WorkPiece("!", 1),
                WorkEnd(reason="stop", prompt_tokens=4, completion_tokens=2, logprob=logprob),
            )
        }
    )
    rig = CascadeRig({"edge:1": chat("No")}, {}, stages=DEVICE_FIRST, members=members)
    body = await rig.ask(temperature=0, seed=7)
    assert body["choices"][0]["message"]["content"] == text
    assert about(body)["stages"][0]["tier"] == "device"
    [(_, order)] = members.orders
    assert order.sampling == {"temperature": 0, "seed": 7} and members.cancelled


BY_MEAN = ConfidenceModel(
    terms=[Term(feature="mean", weight=1.0)], link="exp", thresholds={0.99: 0.5}
)
BY_ALL = ConfidenceModel(terms=[Term(feature="low_share", weight=-1.0)], thresholds={0.99: 0.4})


@pytest.mark.parametrize(("logprob", "accepted"), [(-0.4, True), (-0.8, False)])
async def test_a_device_is_judged_by_the_model_that_is_fitted_to_its_mean(
    logprob: float, accepted: bool
) -> None:
    """What is fitted to all that a server's tokens tell can't judge it."""
    predictor = Predictor({"logprobs": BY_ALL, "mean": BY_MEAN})
    members = FakeMembers(
        {
            "phone": steps(
                WorkPiece("Hi", 1),
                WorkEnd(reason="stop", prompt_tokens=4, completion_tokens=2, logprob=logprob),
            )
        }
    )
    rig = CascadeRig(
        {"edge:1": chat("No")}, {}, stages=DEVICE_FIRST, members=members, predictor=predictor
    )
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == ("Hi" if accepted else "No")
    report = about(body)
    assert (report["method"], report["threshold"]) == (
        ("mean", 0.5) if accepted else ("logprobs", 0.4)
    )


FITTED = Predictor({"logprobs": BY_MEAN}, 3, ("rill-edge", "rill-cloud"))
FITTED_TO_DEVICES = Predictor({"mean": BY_MEAN}, 3, ("rill-device", "rill-cloud"))
CAUTIOUS_THRESHOLD, FITTED_THRESHOLD = 0.95, 0.5
THREE = (StageSpec("tierflow-edge"), StageSpec("middle"), StageSpec("tierflow-cloud"))


@pytest.mark.parametrize(
    ("states", "tiers", "threshold"),
    [
        ([state(), state("cloud:1", "cloud")], EDGE_CLOUD, FITTED_THRESHOLD),
        ([state(), state("cloud:1", "cloud", model="big")], EDGE_CLOUD, CAUTIOUS_THRESHOLD),
        ([state(model="my"), state("cloud:1", "cloud")], EDGE_CLOUD, CAUTIOUS_THRESHOLD),
        (
            [state(), state("edge:2", model="my"), state("cloud:1", "cloud")],
            EDGE_CLOUD,
            CAUTIOUS_THRESHOLD,
        ),
        ([state(), state("cloud:1", "cloud")], THREE, CAUTIOUS_THRESHOLD),
    ],
)
async def test_a_shipped_predictor_judges_only_its_pair_of_models(
    states: Sequence[EndpointState], tiers: Sequence[StageSpec], threshold: float
) -> None:
    replies = {"edge:1": chat("Hi"), "edge:2": chat("Hi")}
    rig = CascadeRig(replies, {}, states=states, stages=tiers, shipped=[FITTED, FITTED_TO_DEVICES])
    assert about(await rig.ask())["threshold"] == threshold
    asked: dict[str, Any] = {"cascade": {"confidence": "agreement"}}
    assert about(await rig.ask(tierflow=asked))["threshold"] == 0.9, "not fitted: cautious"


@pytest.mark.parametrize(("model", "passes"), [("rill-device", True), ("of-nobody", False)])
async def test_a_shipped_predictor_of_a_devices_model_judges_only_that_model(
    model: str, passes: bool
) -> None:
    members = FakeMembers(
        {
            "phone": steps(
                WorkPiece("Hi", 1),
                WorkEnd(reason="stop", prompt_tokens=4, completion_tokens=2, logprob=-0.4),
            )
        },
        phone={"models": [DeviceModel(name=model)]},
    )
    shipped = [FITTED, FITTED_TO_DEVICES]
    rig = CascadeRig(
        {"edge:1": chat("No")}, {}, stages=DEVICE_FIRST, members=members, shipped=shipped
    )
    assert (await rig.ask())["choices"][0]["message"]["content"] == ("Hi" if passes else "No")


async def test_a_cascade_of_devices_and_a_top_needs_only_a_predictor_of_devices() -> None:
    members = FakeMembers(
        {
            "phone": steps(
                WorkPiece("Hi", 1),
                WorkEnd(reason="stop", prompt_tokens=4, completion_tokens=2, logprob=-0.1),
            )
        }
    )
    tiers = (StageSpec(devices=("any",)), StageSpec("tierflow-cloud"))
    rig = CascadeRig({}, {}, stages=tiers, members=members, predictor=Predictor({"mean": BY_MEAN}))
    assert about(await rig.ask())["escalated"] is False


async def test_where_devices_are_named_no_other_is_asked() -> None:
    tiers = (StageSpec(devices=("tablet", "watch")), *EDGE_CLOUD)
    phone, watch = FakeMembers({"phone": "Hi"}), FakeMembers({"watch": "Hi"})
    rig = CascadeRig({"edge:1": chat("No")}, {}, stages=tiers, members=phone)
    assert (await rig.ask())["choices"][0]["message"]["content"] == "No"
    assert not phone.orders
    await CascadeRig({"edge:1": chat("No")}, {}, stages=tiers, members=watch).ask()
    assert len(watch.orders) == 1


@pytest.mark.parametrize("code", ["busy", "lost"])
async def test_a_device_that_refuses_or_is_lost_is_passed_over(code: str) -> None:
    members = FakeMembers({"phone": failing(code)})
    rig = CascadeRig({"edge:1": chat("No")}, {}, stages=DEVICE_FIRST, members=members)
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "No"
    assert [s["decision"] for s in about(body)["stages"]] == ["failed", "accepted"]


async def test_tokens_of_a_device_that_was_lost_are_counted() -> None:
    work = steps(
        WorkPiece("Hi", 2),
        WorkPiece("!", 1),
        MemberFailed(device="phone", code="lost", message="it can't"),
    )
    rig = CascadeRig(
        {"edge:1": chat("No")}, {}, stages=DEVICE_FIRST, members=FakeMembers({"phone": work})
    )
    body = await rig.ask()
    assert [stage["tokens"] for stage in about(body)["stages"]] == [3, 3]
    assert about(body)["stages"][0]["tier"] == "device"
    assert body["usage"]["completion_tokens"] == 6


async def test_devices_that_are_private_or_full_are_not_asked() -> None:
    members = FakeMembers({"phone": "Hi"}, phone={"privacy": "private"})
    rig = CascadeRig({"edge:1": chat("No")}, {}, stages=DEVICE_FIRST, members=members)
    assert (await rig.ask())["choices"][0]["message"]["content"] == "No"
    assert not members.orders
