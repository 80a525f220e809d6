"""What the gateway's log tells of devices: who comes, registers and goes, and why."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.devices.grant import Grant
from tests.unit.gateway.serving.devices.replica_rig import device, registration, replicas

pytestmark = pytest.mark.anyio


async def lines_of(how: str) -> list[dict[str, Any]]:
    """The log of a device that registers and then goes in this way."""
    with capture_logs() as lines:
        async with replicas(1) as (here,):
            phone = await device(here, None, Grant(device="phone"))
            if how == "leaves":
                await phone.leave()
            elif how == "comes twice":
                again = await device(here, registration(), Grant(device="phone"))
                await phone.task
                await again.leave()
            else:
                other = await device(here, registration("another-process"), Grant(device="phone"))
                await other.task
                await phone.leave()
    return [dict(line) for line in lines if line["event"].startswith("device_")]


async def test_a_device_that_comes_registers_and_leaves_has_three_lines() -> None:
    connected, registered, gone = await lines_of("leaves")
    assert (connected["event"], connected["device"]) == ("device_connected", "phone")
    assert registered["event"] == "device_registered"
    assert (registered["models"], registered["max_work"]) == (["rill-device"], 2)
    assert (gone["event"], gone["reason"]) == ("device_gone", "left")
    assert gone["lasted_s"] >= 0
    assert {line["log_level"] for line in (connected, registered, gone)} == {"info"}


async def test_a_device_that_had_to_go_is_logged_with_the_code_that_it_was_told() -> None:
    reasons = [line["reason"] for line in await lines_of("comes twice") if "reason" in line]
    assert reasons == ["replaced", "left"]
    reasons = [line["reason"] for line in await lines_of("is another") if "reason" in line]
    assert reasons == ["duplicate_device", "left"]
