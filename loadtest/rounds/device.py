"""A scripted device: it knows the answer, and drafts it with as many faults as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from websockets.asyncio.client import ClientConnection, connect

from gateway.protocol.device_link import speculation as wire
from loadtest.measure.command import BenchmarkFailure
from loadtest.rounds.plan import DRAFT_S

PATIENCE_S = 60.0
RUN = 4
"""Draft tokens in one frame at most."""


@dataclass(slots=True, kw_only=True)
class DeviceAnswer:
    """An answer as the device gets it: (seconds, ids) of each frame with tokens."""

    frames: list[tuple[float, Sequence[int]]] = field(default_factory=list)
    accepted: int = 0

    @property
    def ids(self) -> list[int]:
        return [token for _, ids in self.frames for token in ids]

    @property
    def tpot(self) -> float:
        """Seconds a token after the first frame."""
        first, last = self.frames[0], self.frames[-1]
        return (last[0] - first[0]) / (len(self.ids) - len(first[1]))


class ScriptedDevice:
    """A connection to a gateway, within a block. Raises BenchmarkFailure for what is no answer.

    A draft is wrong with probability 1 - `acceptance`; after a wrong one the device is off the
    track, as a model is, until the engine's own tokens tell it.
    """

    def __init__(self, *, url: str, token: str) -> None:
        self._url = url.replace("http", "ws", 1) + wire.PATH
        self._token = token
        self._tokenizer = ""
        self._sessions = 0

    async def __aenter__(self) -> ScriptedDevice:
        headers = {"Authorization": f"Bearer {self._token}"}
        self._connection: ClientConnection = await connect(
            self._url, additional_headers=headers, compression=None, proxy=None, max_size=None
        )
        await self._put(wire.Hello(wire.VERSION, "bench-rounds"))
        welcome = await self._get()
        if not isinstance(welcome, wire.Welcome):
            raise BenchmarkFailure(f"the gateway did not welcome the device: {welcome}")
        if not welcome.offers:
            raise BenchmarkFailure("the gateway offers the device no tier")
        self._tokenizer = welcome.offers[0].tokenizer
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._connection.close()

    async def answer(
        self,
        prompt: Sequence[int],
        tokens: int,
        *,
        truth: Sequence[int] = (),
        acceptance: float = 0.0,
        ahead: int = 0,
        seed: str = "",
    ) -> DeviceAnswer:
        """`truth` is drafted, at most `ahead` tokens beyond what is verified; 0: nothing is."""
        self._sessions += 1
        s, answer = self._sessions, DeviceAnswer()
        sampling = wire.Sampling(temperature=0.0, max_tokens=tokens, ignore_eos=True)
        await self._put(
            wire.Open(
                s=s,
                tier="cloud",
                tokenizer=self._tokenizer,
                prompt=list(prompt),
                sampling=sampling,
            )
        )
        drafter = Drafter(truth=truth, acceptance=acceptance, ahead=ahead, random=Random(seed))
        drafting = asyncio.create_task(self._draft(s, drafter)) if ahead else None
        try:
            while not isinstance(frame := await self._get(), wire.Done):
                if isinstance(frame, wire.Error):
                    raise BenchmarkFailure(f"the gateway refused: {frame.code}: {frame.message}")
                if isinstance(frame, wire.Tokens) and frame.s == s:
                    answer.frames.append((monotonic(), frame.i))
                    drafter.verified(frame.i)
            answer.accepted = frame.accepted
        finally:
            if drafting is not None:
                drafting.cancel()
        return answer

    async def _draft(self, s: int, drafter: Drafter) -> None:
        while True:
            position, ids, before = await drafter.next_run()
            await self._put(wire.Draft(s=s, p=position, i=ids, b=before))

    async def _put(self, frame: wire.FromDevice) -> None:
        await self._connection.send(wire.encode(frame))

    async def _get(self) -> wire.FromGateway:
        message = await asyncio.wait_for(self._connection.recv(), PATIENCE_S)
        if not isinstance(message, bytes):
            raise BenchmarkFailure("the gateway sent a text")
        return wire.decode_from_gateway(message)


class Drafter:
    """What the device drafts: the answer so far as it guesses it."""

    def __init__(
        self, *, truth: Sequence[int], acceptance: float, ahead: int, random: Random
    ) -> None:
        self._truth = truth
        self._acceptance = acceptance
        self._ahead = ahead
        self._random = random
        self._guess: list[int] = []
        self._verified = self._sent = 0
        self._news = asyncio.Event()

    def verified(self, ids: Sequence[int]) -> None:
        end = self._verified + len(ids)
        if self._guess[self._verified : end] != list(ids):
            self._guess[self._verified :] = ids
            self._sent = end
        self._verified = end
        self._sent = max(self._sent, end)
        self._news.set()

    async def next_run(self) -> tuple[int, list[int], list[int]]:
        """Position, ids, and the ids before them; each token takes DRAFT_S."""
        while True:
            room = self._verified + self._ahead - len(self._guess)
            if room > 0 and len(self._guess) < len(self._truth):
                await asyncio.sleep(DRAFT_S)
                self._guess.append(self._drafted(len(self._guess)))
            pending = len(self._guess) - self._sent
            first = self._sent == self._verified
            complete = room <= 1 or len(self._guess) >= len(self._truth)
            if pending > 0 and (first or pending >= RUN or complete):
                position, self._sent = self._sent, len(self._guess)
                before = self._guess[max(0, position - wire.BEFORE) : position]
                return position, self._guess[position:], before
            if pending <= 0 and complete:
                self._news.clear()
                await self._news.wait()

    def _drafted(self, position: int) -> int:
        right = self._truth[position]
        on_track = self._guess == list(self._truth[: len(self._guess)])
        if on_track and self._random.random() < self._acceptance:
            return right
        return right + 1 if right < 1000 else right - 1
