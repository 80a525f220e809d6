"""What the console is told, and by whom it may be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from starlette.types import Message

from deploy.reference.routes import ADMIN_TOKEN
from gateway.api.console.routes import PATH, ConsoleEvents, ConsoleSource
from gateway.protocol.console import ConsoleMap
from gateway.serving.console.feed import Feed
from gateway.settings import Settings
from tests.unit.gateway.api.served import ALONE, APART, SHARED, served, without_keys
from tests.unit.gateway.fakes import StoppedClock
from tests.unit.gateway.serving.devices.device_rig import until

pytestmark = pytest.mark.anyio
LIFE = "0123456789abcdef-0123456789abcdef0123456789abcdef"


def shown(token: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


@pytest.mark.parametrize("admin", [{}, {"admin": {"token": ADMIN_TOKEN}}], ids=["none", "token"])
async def test_on_a_laptop_everybody_may_look(admin: Mapping[str, Any]) -> None:
    async with served(without_keys(**admin)) as http:
        answer = await http.get(f"{PATH}/map")
    assert answer.status_code == 200
    told = answer.json()
    assert told["callers"] is True
    assert [pool["name"] for pool in told["pools"]] == ["edge"]
    assert told["devices"] == []


@pytest.mark.parametrize(
    ("listeners", "operations"), [(ALONE, False), (APART, True), (SHARED, False)]
)
@pytest.mark.parametrize("path", ["map", "events"])
@pytest.mark.parametrize("token", ["", "another-token-than-that"])
async def test_where_callers_need_keys_the_admin_token_is_needed(
    listeners: Mapping[str, Any], operations: bool, path: str, token: str
) -> None:
    async with served(listeners, operations=operations) as http:
        refused = await http.get(f"{PATH}/{path}", headers=shown(token))
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_admin_token"
        assert (await http.get(f"{PATH}/map", headers=shown(ADMIN_TOKEN))).status_code == 200


@pytest.mark.parametrize(
    "settings",
    [
        without_keys(keys={"required": True}),
        without_keys(listen={"host": "0.0.0.0"}, keys={"required": False}),
    ],
    ids=["keys", "beyond this machine"],
)
async def test_without_a_token_nobody_sees_a_gateway_that_is_more_than_a_laptops(
    settings: Settings,
) -> None:
    async with served(settings) as http:
        refused = await http.get(f"{PATH}/map")
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "admin_disabled"


class Console:
    """One console before a feed, without HTTP between."""

    def __init__(self, last: str = "") -> None:
        self.clock = StoppedClock()
        self.feed = Feed(name=LIFE, clock=self.clock, most=2)
        self.map = ConsoleMap(callers=True, conditions={}, pools=[], devices=[])
        self.draining = False
        self.left = asyncio.Event()
        self.messages: list[Message] = []
        source = ConsoleSource(
            feed=self.feed,
            map=lambda: self.map,
            draining=lambda: self.draining,
            clock=self.clock,
        )
        self.stream = asyncio.create_task(
            ConsoleEvents(source, last)({"type": "http"}, self.receive, self.send)
        )

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def body(self) -> str:
        return b"".join(each.get("body", b"") for each in self.messages).decode()

    def told(self, kind: str) -> list[Any]:
        return [
            orjson.loads(block.partition("data: ")[2])
            for block in self.body.split("\n\n")
            if f"event: {kind}\n" in block
        ]

    async def leave(self) -> None:
        self.left.set()
        await asyncio.wait_for(self.stream, 5)


async def test_the_map_comes_first_and_requests_as_they_end() -> None:
    console = Console()
    await until(lambda: console.told("map"))
    console.feed.put(lambda: b'{"id": "a"}')
    await until(lambda: console.told("request"))
    assert console.told("request") == [{"id": "a"}]
    assert f"id: {LIFE}:1\nevent: request\n" in console.body
    assert len(console.told("map")) == 1
    await console.leave()
    assert not console.feed.full


async def test_the_map_comes_again_when_it_has_changed() -> None:
    console = Console()
    await until(lambda: console.told("map"))
    console.map = ConsoleMap(callers=True, conditions={"a": "b"}, pools=[], devices=[])
    console.clock.time += 2
    console.feed.put(lambda: b"{}")
    await until(lambda: len(console.told("map")) == 2)
    assert console.told("map")[1]["conditions"] == {"a": "b"}
    await console.leave()


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (f"{LIFE}:1", [{"n": 2}]),
        ("", [{"n": 1}, {"n": 2}]),
        (LIFE[::-1] + ":1", [{"n": 1}, {"n": 2}]),
    ],
    ids=["of this life", "none", "of another life"],
)
async def test_who_comes_back_is_told_what_it_missed(last: str, expected: list[Any]) -> None:
    console = Console(last)
    with console.feed.watch(0):
        console.feed.put(lambda: b'{"n": 1}')
        console.feed.put(lambda: b'{"n": 2}')
    await until(lambda: console.told("request"))
    assert console.told("request") == expected
    await console.leave()


async def test_a_gateway_that_stops_lets_its_consoles_go() -> None:
    console = Console()
    await until(lambda: console.told("map"))
    console.draining = True
    console.feed.put(lambda: b"{}")
    await asyncio.wait_for(console.stream, 5)
    assert console.messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
