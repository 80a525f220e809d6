"""The work that a device has in hand: admitted, done concurrently, given up when recalled."""

from __future__ import annotations

import asyncio
import logging

from gateway.protocol.device_link import work
from gateway.protocol.headers import harmless_id
from services.device_agent.background_drafting import BackgroundDrafting
from services.device_agent.drafters.port import DrafterFailed
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link.connection import LinkLost
from services.device_agent.membership.admission import (
    AnswerTimeEstimate,
    DeviceLoad,
    WorkRefused,
    check_deadline,
    check_load,
    check_size,
)
from services.device_agent.membership.device_state import DeviceState
from services.device_agent.membership.profile import MemberProfile
from services.device_agent.membership.work_item import Send, WorkItem, read_prompt
from services.device_agent.metrics import AgentMetrics
from services.device_agent.text import TextModel

MAX_ID_CHARS = 128
"""Of a caller's own id; what part of its request the work is stands behind it."""

log = logging.getLogger("tierflow.device")


class ActiveWork:
    """The work of a device that is in progress, each piece a task of its own.

    `max_work` is how much at once the gateway has agreed to. The gateway numbers the work of each
    connection; `send` stands for the connection that a piece of work came on, and takes what
    answers it.
    """

    def __init__(
        self,
        *,
        profile: MemberProfile,
        model: TextModel,
        thread: DraftingThread,
        state: DeviceState,
        min_battery: float,
        metrics: AgentMetrics,
    ) -> None:
        self.max_work = profile.max_work
        self._profile = profile
        self._model = model
        self._thread = thread
        self._background = BackgroundDrafting(thread)
        self._state = state
        self._min_battery = min_battery
        self._metrics = metrics
        self._estimate = AnswerTimeEstimate()
        self._tasks: dict[tuple[Send, int], asyncio.Task[None]] = {}
        self._refusals: set[asyncio.Task[None]] = set()

    @property
    def working(self) -> int:
        return len(self._tasks)

    def start(self, frame: work.Work, send: Send) -> None:
        """Begin the work, or refuse it at once."""
        key = send, frame.w
        if key in self._tasks:
            log.warning("the gateway gave two pieces of work the number %d", frame.w)
            return
        try:
            check_load(frame, self._load())
        except WorkRefused as refused:
            self._metrics.work_ended(frame.kind, "refused")
            task = asyncio.create_task(self._refuse(frame, refused, send))
            self._refusals.add(task)
            task.add_done_callback(self._refusals.discard)
            return
        task = asyncio.create_task(self._work(frame, send))
        self._tasks[key] = task
        task.add_done_callback(lambda ended: self._remove(key, ended))

    def _remove(self, key: tuple[Send, int], task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]

    def recall(self, number: int, send: Send) -> None:
        if (task := self._tasks.pop((send, number), None)) is not None:
            task.cancel("recalled")

    def lose(self, send: Send) -> None:
        """This connection is gone: its work is given up."""
        for key in [key for key in self._tasks if key[0] == send]:
            self._tasks.pop(key).cancel("lost")

    def drop(self) -> list[asyncio.Task[None]]:
        """Give up everything without a word to the gateway; returns the tasks that are ending."""
        tasks = [*self._tasks.values(), *self._refusals]
        for task in tasks:
            task.cancel("lost")
        self._tasks.clear()
        return tasks

    def _load(self) -> DeviceLoad:
        return DeviceLoad(
            working=self.working,
            user_answers=self._thread.user_answers,
            max_work=self.max_work,
            condition=self._state.condition(self.working),
            min_battery=self._min_battery,
            privacy=self._profile.privacy,
            abilities=self._profile.abilities,
        )

    async def _work(self, frame: work.Work, send: Send) -> None:
        item = WorkItem(frame=frame, model=self._model, thread=self._thread, send=send)
        outcome = "failed"
        try:
            async with asyncio.timeout(frame.deadline_s):
                await self._run(frame, item)
            outcome = item.report.finish_reason
        except asyncio.CancelledError as cancelled:
            outcome = str(cancelled.args[0]) if cancelled.args else "lost"
            raise
        except WorkRefused as refused:
            outcome = "refused"
            await self._refuse(frame, refused, send)
        except TimeoutError:
            outcome = "deadline"
            message = f"deadline_s: the {frame.deadline_s:.3g} s are over"
            await self._refuse(frame, WorkRefused("deadline", message), send)
        except DrafterFailed as failed:
            log.warning("work was not done: %s", failed)
            await self._refuse(frame, WorkRefused("unable", "the device's model failed"), send)
        except LinkLost:
            outcome = "lost"
        except Exception as exc:
            # One piece of work must not end the others. The message may hold part of the prompt.
            log.error("work was not done: %s", type(exc).__name__)
            await self._refuse(frame, WorkRefused("unable", "the device failed"), send)
        finally:
            self._metrics.work_ended(frame.kind, outcome, item.report.unverified_tokens)
            log.info(
                "work %s: %s, %s, %d tokens",
                harmless_id(frame.id[:MAX_ID_CHARS]) or "without an id",
                frame.kind,
                outcome,
                item.report.unverified_tokens,
            )

    async def _run(self, frame: work.Work, item: WorkItem) -> None:
        prompt = await read_prompt(self._model, frame.messages)
        drafter, estimate = self._thread.drafter, self._estimate
        check_size(len(prompt), drafter.context)
        others = self.working - 1 + self._thread.user_answers
        needed_s = estimate.seconds(
            step_s=drafter.step_s,
            prompt=len(prompt),
            budget=frame.sampling.max_tokens or 1,
            others=others,
        )
        check_deadline(frame, needed_s, others)
        await item.run(prompt, self._background)
        estimate.learn(prompt=len(prompt), read_s=item.read_s, tokens=item.report.unverified_tokens)

    async def _refuse(self, frame: work.Work, refused: WorkRefused, send: Send) -> None:
        self._metrics.work_refused(refused.code)
        try:
            await send(
                work.Refused(
                    w=frame.w, code=refused.code, message=str(refused), retry_s=refused.retry_s
                )
            )
        except LinkLost:
            return
