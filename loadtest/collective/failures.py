"""Ten devices, two of a kind, of which three fail while they are at work."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from loadtest.collective.asking import Client, Reply
from loadtest.collective.fleet import Fleet
from loadtest.collective.plan import EVERYBODY, Way, collective
from loadtest.measure.progress import Progress
from loadtest.speculation.questions import Question

CALLERS = 4
WAY = collective("ten devices, five selected", "auto", max_members=5)
KILLED, STALLED = ("mathematics-1", "generalist-2"), ("reading-1",)
"""Three of ten: two lose their process, one goes on to hold its connection and says nothing."""
MOMENTS = (0.1, 0.2, 0.3)
"""Shares of the questions after which they fail, one after the other."""


@dataclass(frozen=True, slots=True)
class Failing:
    """The same questions before any device failed, and while they did. The first to be asked when
    the first one failed is number `since`."""

    before: Sequence[Reply]
    during: Sequence[Reply]
    since: int

    def hit(self) -> int:
        """Answers during which a member was lost, or not waited for any longer."""
        return sum(
            any(member["outcome"] != "answered" for member in reply.members)
            for reply in self.during[self.since :]
        )


def twins(devices: Mapping[str, Path]) -> dict[str, Path]:
    return {f"{name}-{n}": devices[name] for name in EVERYBODY for n in (1, 2)}


def measure(fleet: Fleet, questions: Sequence[Question], tell: Progress) -> Failing:
    """Raises BenchmarkFailure."""
    models = twins(fleet.settings.devices)
    for name, model in models.items():
        fleet.start_device(name, model)
    fleet.wait_for(models.keys())
    tell(f"{len(questions)} questions to ten devices")
    # What is learned of the devices' pace and quality must not help one of the two alone.
    _asked(fleet.url, WAY, questions, lambda done: None)
    before = _asked(fleet.url, WAY, questions, lambda done: None)
    tell("the same while three of them fail")
    faults = list(zip(MOMENTS, (*KILLED, *STALLED), strict=True))

    def fail_in_time(done: int) -> None:
        while faults and done >= faults[0][0] * len(questions):
            _, name = faults.pop(0)
            number = signal.SIGSTOP if name in STALLED else signal.SIGKILL
            os.killpg(fleet.devices[name].pid, number)
            tell(f"  {name} {'stalls' if name in STALLED else 'is killed'}")

    since = int(MOMENTS[0] * len(questions))
    return Failing(before, _asked(fleet.url, WAY, questions, fail_in_time), since)


def _asked(
    url: str, way: Way, questions: Sequence[Question], step: Callable[[int], None]
) -> list[Reply]:
    """By several callers at once. `step`, called by one of them at a time, hears how many are
    done."""
    turn, done = threading.Lock(), 0
    clients = threading.local()

    def one(question: Question) -> Reply:
        nonlocal done
        if not hasattr(clients, "client"):
            clients.client = Client(url)
        reply: Reply = clients.client.ask(way, question)
        with turn:
            done += 1
            step(done)
        return reply

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(one, questions))
