"""Enrolment, the operators' API and their command line, over two gateways that share a Redis."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from gateway.protocol.device_link import work
from tests.integration.device import connected
from tests.integration.devices.asking_gateway import asking_gateway, known, order, whole
from tests.integration.devices.two_gateways import ADMIN, Gateways, gateways
from tests.integration.member import answers, member, registration, stalls
from tests.redis_server import needs_redis
from tests.servers import eventually, start_gateway

pytestmark = [pytest.mark.integration, pytest.mark.redis, pytest.mark.anyio, needs_redis]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    with gateways(tmp_path_factory.mktemp("enrolment")) as found:
        yield found


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


async def test_an_enrolled_device_connects_anywhere_and_leaves_when_it_is_revoked(
    both: Gateways,
) -> None:
    token = both.enrolled("camera", owner="bob", privacy=["public", "owner"])
    async with member(both[1].url, answers("7"), token) as camera:
        assert camera.registered == work.Registered("camera", 4)
        async with asking_gateway(both.redis.url) as members:
            await known(members, "camera")
            assert members.members()[0].owner == "bob"
            assert await whole(members.assign("camera", order())) == "7"
            revoked = await asyncio.to_thread(both.admin, 0, "DELETE", "/v1/devices/camera")
            assert revoked.json() == {"object": "device.revoked", "id": "camera", "revoked": True}
            await camera.until(lambda m: m.closed == "revoked")
            await known(members)
    for gateway in both.each:
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with connected(gateway.url, token):
                pass
        assert caught.value.response.status_code == 401


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [({"owner": "eve"}, "owner_differs"), ({"privacy": "private"}, "privacy_not_allowed")],
)
async def test_an_enrolled_device_is_what_was_recorded(
    both: Gateways, fields: dict[str, Any], wrong: str
) -> None:
    token = both.enrolled(f"lamp-{wrong}", owner="bob", privacy=["public"])
    async with member(both[0].url, answers("7"), token, registration(**fields)) as lamp:
        assert lamp.closed == wrong


def test_of_twenty_that_use_a_token_at_once_at_both_gateways_one_is_enrolled(
    both: Gateways,
) -> None:
    token = both.enrolment()
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda n: both.enrol(n % 2, token, name=f"race-{n}"), range(20)))
    won = [answer for answer in results if answer.status_code == 201]
    assert len(won) == 1
    assert {answer.status_code for answer in results} <= {201, 403, 429}
    names = [device["id"] for device in both.admin(1, "GET", "/v1/devices").json()["data"]]
    assert [name for name in names if name.startswith("race-")] == [won[0].json()["device"]]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "enrolment_token"),
        ({"enrolment_token": "x", "nmae": "phone"}, 400, "nmae"),
        ({"enrolment_token": "x", "name": "no spaces"}, 400, "name"),
        ({"enrolment_token": "x" * 300}, 400, "enrolment_token"),
        ({"enrolment_token": "x" * 70_000}, 413, None),
    ],
)
def test_a_wrong_body_is_refused_by_its_field(
    both: Gateways, body: dict[str, str], status: int, field: str | None
) -> None:
    answer = httpx.post(both[0].url + "/v1/devices/enrol", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, field)
    assert "xxx" not in answer.text


def test_names_of_the_settings_and_of_others_are_taken(both: Gateways) -> None:
    both.enrolled("taken")
    for name in ("phone", "taken"):
        answer = both.admin(1, "POST", "/v1/admin/enrolments", json={"name": name})
        assert answer.status_code == 409
    assert both.admin(0, "DELETE", "/v1/devices/phone").status_code == 409
    assert both.admin(0, "DELETE", "/v1/devices/nobody").status_code == 404
    assert both.admin(0, "GET", "/v1/devices/nobody").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/admin/enrolments"),
        ("GET", "/v1/devices"),
        ("GET", "/v1/devices/phone"),
        ("DELETE", "/v1/devices/phone"),
    ],
)
def test_only_operators_may(both: Gateways, method: str, path: str, tmp_path: Path) -> None:
    for words, headers in (
        ("send `Authorization", {}),
        ("this admin token is wrong", {"authorization": "Bearer wrong"}),
        ("send `Authorization", {"authorization": f"Basic {ADMIN}"}),
    ):
        answer = httpx.request(method, both[0].url + path, headers=headers)
        assert (answer.status_code, code(answer)) == (401, "invalid_admin_token")
        assert answer.json()["error"]["message"].startswith(words)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_without_an_admin_token_nobody_may_and_is_told_what_to_set(tmp_path: Path) -> None:
    pools = {"cloud": {"tier": "cloud", "endpoints": ["http://127.0.0.1:9"]}}
    gateway = start_gateway({"pools": pools}, tmp_path, ready=False)
    try:
        answer = httpx.get(
            gateway.url + "/v1/devices", headers={"authorization": "Bearer anything"}
        )
        assert (answer.status_code, code(answer)) == (403, "admin_disabled")
        assert "admin.token" in answer.text
    finally:
        gateway.stop()


async def test_operators_see_every_device_a_page_at_a_time(both: Gateways) -> None:
    profile = registration(tags=["math"], condition=work.Condition(battery=0.5))
    async with (
        asking_gateway(both.redis.url) as members,
        member(both[1].url, stalls(), register=profile) as phone,
    ):
        await known(members, "phone")
        assignment = members.assign("phone", order())
        await phone.until(lambda m: m.works)

        def seen() -> Any:
            found = both.admin(0, "GET", "/v1/devices/phone").json()
            return found if (found["registration"] or {"work": {}})["work"].get("in_flight") else 0

        card = await asyncio.to_thread(eventually, seen, "its work is seen")
        assert (card["source"], card["owner"], card["registered"]) == ("settings", "ann", True)
        found = card["registration"]
        assert found["condition"] == {"battery": 0.5, "hot": False}
        assert found["tags"] == ["math"]
        assert found["models"][0]["name"] == "rill-device"
        assert 0 <= found["lease_age_s"] < 15
        assignment.cancel()
    everybody = both.admin(0, "GET", "/v1/devices").json()
    paged, after = [], ""
    while True:
        page = both.admin(1, "GET", "/v1/devices", params={"limit": 1, "after": after}).json()
        paged += [device["id"] for device in page["data"]]
        if not page["has_more"]:
            break
        after = paged[-1]
    assert paged == [device["id"] for device in everybody["data"]]
    assert {"phone", "watch"} <= set(paged)
    assert both.admin(0, "GET", "/v1/devices", params={"limit": 0}).status_code == 400


def test_the_api_is_described(both: Gateways) -> None:
    paths = httpx.get(both[0].url + "/openapi.json").json()["paths"]
    assert set(paths["/v1/devices/{id}"]) == {"get", "delete"}
    body = paths["/v1/devices/enrol"]["post"]["requestBody"]["content"]["application/json"]
    assert "enrolment_token" in body["schema"]["properties"]
    assert "security" in paths["/v1/admin/enrolments"]["post"]


def admin(
    both: Gateways, *arguments: str, token: str | None = ADMIN, url: str = ""
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.admin", "devices", *arguments]
    environment = {"PATH": "/usr/bin:/bin"}
    if token is not None:
        environment["TIERFLOW_ADMIN_TOKEN"] = token
    url = url or both[0].url
    return subprocess.run(
        [*command, "--url", url], capture_output=True, text=True, env=environment, timeout=60
    )


def test_the_command_line_enrols_lists_shows_and_revokes(both: Gateways, tmp_path: Path) -> None:
    done = admin(both, "enrol", "--name", "drone", "--owner", "bob", "--privacy", "owner")
    assert done.returncode == 0, done.stderr

    def accepted() -> list[httpx.Response]:
        answer = both.enrol(1, done.stdout.strip())
        return [answer] if answer.status_code == 201 else []

    (enrolled,) = eventually(accepted, "the address may try again", 60, 0.5)
    assert enrolled.json()["privacy"] == ["owner"]
    table = admin(both, "list").stdout.splitlines()
    assert table[0].split()[:3] == ["DEVICE", "SOURCE", "OWNER"]
    assert ["drone", "enrolled", "bob", "absent"] in [line.split()[:4] for line in table]
    file = tmp_path / "token"
    file.write_text(ADMIN + "\n")
    shown = admin(both, "show", "drone", "--json", "--token-file", str(file), token=None)
    assert json.loads(shown.stdout)["owner"] == "bob"
    assert "owner: bob" in admin(both, "show", "drone").stdout
    assert admin(both, "revoke", "drone").stdout.strip() == "drone is revoked"
    gone = admin(both, "show", "drone")
    assert (gone.returncode, gone.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "token", "url", "status"),
    [
        (("list",), None, "", 2),
        (("list",), "not-the-token-at-all", "", 1),
        (("list",), ADMIN, "ftp://gateway", 2),
        (("list",), ADMIN, "http://127.0.0.1:9", 1),
        (("enrol", "--name", "no spaces"), ADMIN, "", 2),
        (("enrol", "--ttl-s", "soon"), ADMIN, "", 2),
        (("enrol", "--privacy", "secret"), ADMIN, "", 2),
        (("list", "--token-file", "/nowhere"), ADMIN, "", 2),
        (("revoke", "phone"), ADMIN, "", 1),
        ((), ADMIN, "", 2),
    ],
)
def test_the_command_line_says_in_one_line_what_is_wrong(
    both: Gateways, arguments: tuple[str, ...], token: str | None, url: str, status: int
) -> None:
    done = admin(both, *arguments, token=token, url=url)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert done.stderr.startswith("gateway.admin: ")
