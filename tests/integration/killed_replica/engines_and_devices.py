"""Engines and devices whose answers are known, and wait until the test lets them go."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from gateway.protocol.device_link import work
from tests.integration.cascade.chatting_engine import ChattingEngine
from tests.integration.member import Member, answers, member, registration
from tests.servers import Server

NUMBERS = range(100, 108)
"""Each kind of request is made with each; half of them are streamed."""
BEGUN, DOUBT = 6, 10
"""How much of a stream is out before it is held, and where the small model becomes unsure: both
within what it says just as the large one does."""


def question(number: int) -> str:
    return f"What is {number} plus {number}?"


def wrong(number: int) -> str:
    """What the small model says."""
    return f"{number} plus {number} is {2 * number - 1}"


def right(number: int) -> str:
    return f"{number} plus {number} is {2 * number}"


def verdict(number: int) -> str:
    """What the devices say, and who judges them."""
    return f"Answer: {2 * number}"


class Replies(dict[str, str]):
    """By the question; also what is said to the judge's template around it."""

    def __missing__(self, prompt: str) -> str:
        found = re.match(r"What is (\d+) plus", prompt)
        assert found and "Others answered:" in prompt
        return verdict(int(found[1]))


@dataclass
class HeldEngine(ChattingEngine):
    """Answers in one piece wait at the gate, too. `held`: how many have come as far as that."""

    held: int = 0
    holds_after: int = BEGUN

    def written(self, before: list[int], ids: list[int]) -> str:
        self.held += len(before) + len(ids) == self.holds_after
        return super().written(before, ids)

    def further_routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/chat/completions", self._held)]

    async def _held(self, request: web.Request) -> web.StreamResponse:
        if (await request.json()).get("stream"):
            return await self._chat(request)
        self.held += 1
        while not self.gate.is_set():
            await asyncio.sleep(self.step_s)
        return await self._chat(request)


@dataclass
class RoamingDevice:
    """A device that goes over to the other gateway when its connection breaks."""

    name: str
    gateways: Sequence[Server]
    gate: asyncio.Event
    orders: int = 0
    frame: work.Register = field(default_factory=lambda: registration(max_work=8))

    async def live(self) -> None:
        attempts = 0
        while True:
            url = self.gateways[attempts % len(self.gateways)].url
            attempts += 1
            try:
                async with member(url, self._answer, f"token-of-{self.name}", self.frame) as here:
                    await here.until(lambda m: m.closed is not None)
            except OSError:
                await asyncio.sleep(0.05)

    async def _answer(self, here: Member, given: work.Work) -> None:
        self.orders += 1
        await self.gate.wait()
        found = re.search(r"What is (\d+) plus", str(given.messages[-1]["content"]))
        assert found
        await answers(verdict(int(found[1])))(here, given)
