"""Ten devices, two of a kind, of which three fail while they are at work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from loadtest.collective.fleet import Fleet
from loadtest.collective.plan import EVERYBODY, Method, collective
from loadtest.measure.chat import ChatClient, Reply
from loadtest.measure.command import Progress
from loadtest.measure.family import Question

CALLERS = 4
METHOD = collective("ten devices, five selected", "auto", max_members=5)
KILLED, STALLED = ("mathematics-1", "generalist-2"), ("reading-1",)
"""Three of ten: two lose their process, one keeps its connection and sends nothing more."""
MOMENTS = (0.1, 0.2, 0.3)
"""Shares of the questions after which they fail, one after the other."""


@dataclass(frozen=True, slots=True)
class FailureRun:
    """The replies to the same questions before any device failed, and while three did.

    `since` is the number of the question with which the first one fails.
    """

    before: Sequence[Reply]
    during: Sequence[Reply]
    since: int

    @property
    def lost_members(self) -> int:
        """Answers during which a member was lost, or not waited for any longer."""
        return sum(
            any(member["outcome"] != "answered" for member in reply.members)
            for reply in self.during[self.since :]
        )


def twins(devices: Mapping[str, Path]) -> dict[str, Path]:
    """Two devices of each kind, with their models."""
    return {f"{name}-{n}": devices[name] for name in EVERYBODY for n in (1, 2)}


def measure(fleet: Fleet, questions: Sequence[Question], progress: Progress) -> FailureRun:
    """Raises BenchmarkFailure."""
    models = twins(fleet.models)
    for name, model in models.items():
        fleet.start_device(name, model)
    fleet.wait_for(models.keys())
    progress(f"{len(questions)} questions to ten devices")
    # What is learned of the devices' pace and quality must not help one of the two alone.
    _ask(fleet.url, METHOD, questions, lambda done: None)
    before = _ask(fleet.url, METHOD, questions, lambda done: None)
    progress("the same while three of them fail")
    faults = list(zip(MOMENTS, (*KILLED, *STALLED), strict=True))

    def fail_in_time(done: int) -> None:
        while faults and done >= faults[0][0] * len(questions):
            _, name = faults.pop(0)
            device = fleet.devices[name]
            (device.pause if name in STALLED else device.kill)()
            progress(f"  {name} {'stalls' if name in STALLED else 'is killed'}")

    since = int(MOMENTS[0] * len(questions))
    return FailureRun(before, _ask(fleet.url, METHOD, questions, fail_in_time), since)


def _ask(
    url: str, method: Method, questions: Sequence[Question], step: Callable[[int], None]
) -> list[Reply]:
    """Replies to several callers at once. `step` is called by one of them at a time, with the
    number of questions done."""
    lock, done = threading.Lock(), 0
    clients = threading.local()

    def ask(question: Question) -> Reply:
        nonlocal done
        if not hasattr(clients, "client"):
            clients.client = ChatClient(url)
        reply: Reply = clients.client.ask(method.body(question.prompt))
        with lock:
            done += 1
            step(done)
        return reply

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(ask, questions))
