"""A load: so many sessions at a time, each asking its next question when its answer is there."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from loadtest.capacity.devices import EmulatedDevice
from loadtest.capacity.mailbox import MailboxLink
from loadtest.capacity.plan import CapacityPlan, Variant
from loadtest.measure.chat import PATH, chat_body
from loadtest.measure.closed_loop import GRACE_S, checked, run
from loadtest.measure.http_client import Connection, Target, post
from loadtest.measure.statistics import percentile
from loadtest.measure.streams import EventParser, followed

TICK_S = 0.002
"""How often the devices are looked at: their times are exact to that."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A question, and the ids with which the engine answers it when nothing else runs."""

    question: str
    ids: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFigures:
    """A load's figures: output tokens a second, TPOT (seconds) of each answer that ended in the
    time, wrong answers, and the engine's counts (empty without devices)."""

    tokens_per_s: float
    tpots: Sequence[float]
    mismatches: int
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def p95_tpot(self) -> float:
        return percentile(self.tpots, 0.95)


class LiveConnection(Connection):
    """A connection that hands on how many ids have come, as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.device: EmulatedDevice | None = None
        self.arrivals: list[tuple[float, int]] = []
        self._count = 0
        self._events = EventParser()

    def begin(self, device: EmulatedDevice | None) -> None:
        self.device, self.arrivals = device, []
        self._count, self._events = 0, EventParser()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        before = self._count
        for data in self._events.feed(body):
            # Only chunks with ids count; to parse all would cost this client's core too much.
            if '"token_ids":[' in data:
                choices = json.loads(data).get("choices") or []
                self._count += sum(len(choice.get("token_ids") or ()) for choice in choices)
        if self._count > before:
            now = monotonic()
            self.arrivals.append((now, self._count - before))
            if self.device is not None:
                self.device.hear(now, self._count)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTarget:
    """An engine: its model's name, its API, and its mailbox with the secret, where it has one."""

    model: str
    target: Target
    mailbox: str = ""
    secret: str = ""


def ask_references(
    target: LoadTarget, questions: Sequence[str], plan: CapacityPlan
) -> list[Reference]:
    """Ask each question once, alone. Raises BenchmarkFailure."""
    return run(_ask_references(target, questions, plan))


async def _ask_references(
    target: LoadTarget, questions: Sequence[str], plan: CapacityPlan
) -> list[Reference]:
    connection = await Connection.open(target.target)
    references = []
    try:
        for question in questions:
            async with asyncio.timeout(GRACE_S):
                exchange = checked(await connection.exchange(_request(target, question, plan)))
            answer = followed(exchange.sent, exchange.pieces)
            references.append(
                Reference(question, [token for _, ids in answer.id_chunks for token in ids])
            )
    finally:
        connection.close()
    return references


def measure_load(
    target: LoadTarget,
    references: Sequence[Reference],
    plan: CapacityPlan,
    *,
    sessions: int,
    variant: Variant,
) -> LoadFigures:
    """Raises BenchmarkFailure for any answer that is not whole."""
    load = _Load(
        target=target, references=references, plan=plan, sessions=sessions, variant=variant
    )
    return run(load.measure())


class _Load:
    def __init__(
        self,
        *,
        target: LoadTarget,
        references: Sequence[Reference],
        plan: CapacityPlan,
        sessions: int,
        variant: Variant,
    ) -> None:
        self._target = target
        self._references = references
        self._plan = plan
        self._sessions = sessions
        self._variant = variant
        self._random = Random(f"{sessions} {variant.name}")
        self._link: MailboxLink | None = None
        self._devices: dict[str, EmulatedDevice] = {}
        self._start = self._end = 0.0
        self._tokens = self._mismatches = 0
        self._tpots: list[float] = []
        self._late_tpots: list[float] = []
        """Of answers that ended after the time, when the load was falling."""

    async def measure(self) -> LoadFigures:
        async with AsyncExitStack() as stack:
            if self._target.mailbox:
                self._link = await MailboxLink.open(self._target.mailbox, self._target.secret)
                stack.callback(self._link.close)
            loop = asyncio.get_running_loop()
            connections = []
            for _ in range(self._sessions):
                where = self._target.target
                _, connection = await loop.create_connection(LiveConnection, where.host, where.port)
                stack.callback(connection.close)
                connections.append(connection)
            before = await self._counts()
            self._start = monotonic() + self._plan.warm_up_s
            self._end = self._start + self._plan.seconds
            drafting = asyncio.create_task(self._draft())
            try:
                async with asyncio.timeout(self._plan.warm_up_s + self._plan.seconds + GRACE_S):
                    async with asyncio.TaskGroup() as group:
                        for index, connection in enumerate(connections):
                            group.create_task(self._session(index, connection))
            finally:
                drafting.cancel()
            after = await self._counts()
        return LoadFigures(
            tokens_per_s=self._tokens / self._plan.seconds,
            tpots=self._tpots or self._late_tpots,
            mismatches=self._mismatches,
            counts={name: count - before[name] for name, count in after.items()},
        )

    async def _counts(self) -> dict[str, int]:
        return await self._link.counts() if self._link is not None else {}

    async def _session(self, index: int, connection: LiveConnection) -> None:
        # Begun together, all answers would end together, and the engine with them.
        await asyncio.sleep(self._plan.warm_up_s / 2 * index / self._sessions)
        place = index
        while monotonic() < self._end:
            reference = self._references[place % len(self._references)]
            await self._ask(connection, reference)
            place += self._sessions

    async def _ask(self, connection: LiveConnection, reference: Reference) -> None:
        session = secrets.token_hex(16)
        device = self._device(reference)
        connection.begin(device)
        fields = {}
        if device is not None:
            self._devices[session] = device
            fields = {"vllm_xargs": {"draft_session": session}}
        request = _request(self._target, reference.question, self._plan, **fields)
        exchange = checked(await connection.exchange(request))
        self._devices.pop(session, None)
        arrivals = connection.arrivals
        self._tokens += sum(n for at, n in arrivals if self._start <= at < self._end)
        answer = followed(exchange.sent, exchange.pieces)
        ids = [token for _, chunk in answer.id_chunks for token in chunk]
        self._mismatches += ids != list(reference.ids)
        if exchange.done >= self._start and len(ids) > arrivals[0][1]:
            tpot = (arrivals[-1][0] - arrivals[0][0]) / (len(ids) - arrivals[0][1])
            (self._tpots if exchange.done < self._end else self._late_tpots).append(tpot)

    def _device(self, reference: Reference) -> EmulatedDevice | None:
        if self._link is None or not self._variant.acceptance:
            return None
        return EmulatedDevice(
            truth=reference.ids,
            acceptance=self._variant.acceptance,
            pace=self._plan.pace,
            random=self._random,
            vocabulary=self._link.vocabulary,
            now=monotonic(),
        )

    async def _draft(self) -> None:
        """All devices at once: what each has drafted is sent when it would arrive."""
        if self._link is None:
            return
        under_way: list[tuple[float, str, int, list[int], list[int]]] = []
        while True:
            await asyncio.sleep(TICK_S)
            now = monotonic()
            for session, device in self._devices.items():
                under_way += [(run[0], session, *run[1:]) for run in device.drafted(now)]
            due = [run for run in under_way if run[0] <= now]
            under_way = [run for run in under_way if run[0] > now]
            for _, session, position, tokens, before in due:
                if session in self._devices:
                    self._link.put(session, position, tokens, before)


def _request(target: LoadTarget, question: str, plan: CapacityPlan, **fields: object) -> bytes:
    """Answers all have the same length: how many sessions are open does not vary with them."""
    body = chat_body(
        target.model,
        question,
        max_tokens=plan.max_tokens,
        stream=True,
        return_token_ids=True,
        ignore_eos=True,
        **fields,
    )
    return post(PATH, body)
