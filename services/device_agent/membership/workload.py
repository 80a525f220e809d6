"""The work that a device has in hand: admitted, done beside each other, given up when told."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from gateway.protocol import work
from services.device_agent.background_drafting import BackgroundDrafting
from services.device_agent.drafters.port import DrafterFailed
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link import LinkLost
from services.device_agent.membership.admission import (
    Pace,
    Standing,
    WorkRefused,
    admit,
    check_pace,
    check_size,
)
from services.device_agent.membership.conditions import Conditions
from services.device_agent.membership.performing import Performance, Send, read_prompt
from services.device_agent.membership.profile import Profile
from services.device_agent.metrics import Metrics
from services.device_agent.text import TextModel

log = logging.getLogger("tierflow.device")

FIRST_USUAL = 16.0
"""Tokens that an answer is taken to have before any was given; low, as a wrong refusal costs more
than work that is given up at its deadline."""
SHARE = 0.1
"""Weight of the newest answer in the running means."""


@dataclass
class Learned:
    """Running means over the work that was done."""

    usual: float = FIRST_USUAL
    read_s: float = 0.0

    def answered(self, tokens: int) -> None:
        self.usual += SHARE * (tokens - self.usual)

    def read(self, tokens: int, seconds: float) -> None:
        self.read_s += SHARE * (seconds / tokens - self.read_s)


class Workload:
    """`max_work` is what the gateway has agreed to; `send` puts a frame on the link."""

    def __init__(
        self,
        profile: Profile,
        model: TextModel,
        thread: DraftingThread,
        conditions: Conditions,
        min_battery: float,
        send: Send,
        metrics: Metrics,
    ) -> None:
        self.max_work = profile.max_work
        self._profile = profile
        self._model = model
        self._thread = thread
        self._background = BackgroundDrafting(thread)
        self._conditions = conditions
        self._min_battery = min_battery
        self._send = send
        self._metrics = metrics
        self._learned = Learned()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._refusals: set[asyncio.Task[None]] = set()

    @property
    def working(self) -> int:
        return len(self._tasks)

    def take(self, frame: work.Work) -> None:
        """Begin, or refuse at once."""
        if frame.w in self._tasks:
            log.warning("the gateway gave two pieces of work the number %d", frame.w)
            return
        try:
            admit(frame, self._standing())
        except WorkRefused as refused:
            self._metrics.worked(frame.kind, "refused")
            task = asyncio.create_task(self._refuse(frame, refused))
            self._refusals.add(task)
            task.add_done_callback(self._refusals.discard)
            return
        task = asyncio.create_task(self._work(frame))
        self._tasks[frame.w] = task
        task.add_done_callback(lambda over: self._over(frame.w, over))

    def _over(self, number: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(number) is task:
            del self._tasks[number]

    def recall(self, number: int) -> None:
        if (task := self._tasks.pop(number, None)) is not None:
            task.cancel("recalled")

    def drop(self) -> list[asyncio.Task[None]]:
        """Give up everything: nobody hears of it any more. The tasks that are ending."""
        tasks = [*self._tasks.values(), *self._refusals]
        for task in tasks:
            task.cancel("lost")
        self._tasks.clear()
        return tasks

    def _standing(self) -> Standing:
        return Standing(
            self.working,
            self._thread.answers,
            self.max_work,
            self._conditions.now(self.working),
            self._min_battery,
            self._profile.privacy,
            self._profile.abilities,
        )

    async def _work(self, frame: work.Work) -> None:
        performance = Performance(frame, self._model, self._thread, self._send)
        outcome = "failed"
        try:
            async with asyncio.timeout(frame.deadline_s):
                await self._perform(frame, performance)
            outcome = performance.report.reason
        except asyncio.CancelledError as cancelled:
            outcome = str(cancelled.args[0]) if cancelled.args else "lost"
            raise
        except WorkRefused as refused:
            outcome = "refused"
            await self._refuse(frame, refused)
        except TimeoutError:
            outcome = "deadline"
            given = f"deadline_s: the {frame.deadline_s:.3g} s are over"
            await self._refuse(frame, WorkRefused("deadline", given))
        except DrafterFailed as failed:
            log.warning("work was not done: %s", failed)
            await self._refuse(frame, WorkRefused("unable", "the device's model failed"))
        except LinkLost:
            outcome = "lost"
        except Exception as exc:
            # One piece of work must not end the others; the message may hold what was asked.
            log.error("work was not done: %s", type(exc).__name__)
            await self._refuse(frame, WorkRefused("unable", "the device failed"))
        finally:
            self._metrics.worked(frame.kind, outcome, performance.report.unverified)

    async def _perform(self, frame: work.Work, performance: Performance) -> None:
        prompt = await read_prompt(self._model, frame.messages)
        drafter = self._thread.drafter
        check_size(len(prompt), drafter.context)
        learned = self._learned
        pace = Pace(drafter.step_s, learned.read_s, learned.usual)
        check_pace(frame, len(prompt), pace, self.working - 1 + self._thread.answers)
        await performance.run(prompt, self._background)
        learned.read(len(prompt), performance.read_s)
        learned.answered(performance.report.unverified)

    async def _refuse(self, frame: work.Work, refused: WorkRefused) -> None:
        self._metrics.refused(refused.code)
        try:
            await self._send(work.Refused(frame.w, refused.code, str(refused), refused.retry_s))
        except LinkLost:
            return
