"""What operators see of the devices when the shared state is lost."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from gateway.api import error_handlers
from gateway.api.operators.admin_token import AdminGate
from gateway.api.operators.devices import devices_router
from gateway.core.devices.grant import Grant
from gateway.protocol.device_link import speculation as wire
from tests.unit.gateway.serving.devices.device_rig import until
from tests.unit.gateway.serving.devices.replica_rig import Replica, device, replicas

pytestmark = pytest.mark.anyio
ADMIN = "token-of-the-operator"


@asynccontextmanager
async def api(replica: Replica) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    error_handlers.install(app)
    gate = AdminGate(hashlib.sha256(ADMIN.encode()).hexdigest())
    app.include_router(devices_router(gate, replica.admin))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://gateway",
        headers={"authorization": f"Bearer {ADMIN}"},
    ) as client:
        yield client


async def test_the_list_has_what_is_known_here_and_says_that_it_is_partial() -> None:
    async with replicas(1) as (here,), api(here) as client:
        await here.enrolments.exchange(
            await here.enrolments.mint("camera", "", frozenset({"public"}), 900.0), "", "1.1.1.1"
        )
        await device(here, None, Grant(device="phone"))
        whole = (await client.get("/v1/devices")).json()
        assert [card["id"] for card in whole["data"]] == ["camera", "kitchen", "phone"]
        assert whole["partial"] is False
        here.store.lost = True
        answer = await client.get("/v1/devices")
        assert answer.status_code == 200
        assert [card["id"] for card in answer.json()["data"]] == ["kitchen", "phone"]
        assert answer.json()["partial"] is True


async def test_a_device_that_is_known_here_is_shown_and_no_other_is_denied_to_exist() -> None:
    async with replicas(1) as (here,), api(here) as client:
        await device(here, None, Grant(device="phone"))
        here.store.lost = True
        found = {
            name: (await client.get(f"/v1/devices/{name}")).status_code
            for name in ("kitchen", "phone", "nobody")
        }
        assert found == {"kitchen": 200, "phone": 200, "nobody": 503}
        here.store.lost = False
        assert (await client.get("/v1/devices/nobody")).status_code == 404


async def test_what_a_device_measured_is_shown_in_microseconds_and_bytes() -> None:
    async with replicas(1) as (here,), api(here) as client:
        phone = await device(here, None, Grant(device="phone"))
        phone.put(wire.Ping(n=1, round_trip_s=0.006031226302795525, bytes_per_s=123456.789))
        await until(lambda: here.members.members()[0].condition.round_trip_s)
        card = (await client.get("/v1/devices/phone")).json()
        assert card["registration"]["link"] == {"round_trip_s": 0.006031, "bytes_per_s": 123457.0}


async def test_who_shows_a_wrong_token_is_in_the_log_and_the_token_is_not() -> None:
    async with replicas(1) as (here,), api(here) as client:
        with capture_logs() as lines:
            wrong = {"authorization": "Bearer guessed"}
            assert (await client.get("/v1/devices", headers=wrong)).status_code == 401
            body = {"enrolment_token": "tfe_guessed"}
            assert (await client.post("/v1/devices/enrol", json=body)).status_code == 403
    told = [(line["event"], line["log_level"], line["address"]) for line in lines]
    assert told == [
        ("admin_refused", "warning", "127.0.0.1"),
        ("enrolment_refused", "warning", "127.0.0.1"),
    ]
    assert "guessed" not in str(lines)
