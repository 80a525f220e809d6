"""What keys have used of their day, kept over restarts where no store is shared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from gateway.core.access.stored_keys import KeysProblem
from gateway.core.ports import Clock
from gateway.serving.access.quotas import KeyQuotas

PERIOD_S = 5.0
MAX_NAMES = 10_000

log = structlog.get_logger("tierflow.access")

Used = Mapping[str, tuple[float, float]]
"""By the key's owner: tokens of the day that are used, and the Unix time at which they were."""


class DayUseStore(Protocol):
    """A place where the use of a day is kept. Both raise KeysProblem."""

    async def load(self) -> Used: ...

    async def save(self, used: Used) -> None: ...


class DayUse:
    """The task that keeps what keys have used of `tokens_per_day`, every PERIOD_S and at the end;
    what was used in the last seconds before a crash is lost. `problem`: why it can't be kept."""

    def __init__(
        self,
        *,
        store: DayUseStore,
        quotas: KeyQuotas,
        clock: Clock,
        unix_time: Callable[[], float],
    ) -> None:
        self.problem = ""
        self._store = store
        self._quotas = quotas
        self._clock = clock
        self._unix_time = unix_time
        self._kept: dict[str, tuple[float, float]] = {}

    async def load(self) -> None:
        """What was used before this process began is used."""
        try:
            self._kept = dict(await self._store.load())
        except KeysProblem as problem:
            self._note(str(problem))
            return
        ahead = self._clock.now() - self._unix_time()
        for name, (used, at) in self._kept.items():
            self._quotas.remembered[name] = used, at + ahead

    async def run(self) -> None:
        """For ever; keeps once more when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(PERIOD_S)
                await self.keep()
        finally:
            await self.keep()

    async def keep(self) -> None:
        """Keep it, where it has changed."""
        now = self._unix_time()
        used = {name: (tokens, now) for name, tokens in self._quotas.day_use().items()}
        known = {name: each for name, each in self._kept.items() if name in self._quotas.remembered}
        both = dict(list((known | used).items())[-MAX_NAMES:])
        if {name: tokens for name, (tokens, _) in both.items()} == {
            name: tokens for name, (tokens, _) in self._kept.items()
        }:
            return
        try:
            await self._store.save(both)
        except KeysProblem as problem:
            self._note(str(problem))
        else:
            self._kept, self.problem = both, ""

    def _note(self, problem: str) -> None:
        if not self.problem:
            log.warning("day_use_not_kept", problem=problem)
        self.problem = problem
