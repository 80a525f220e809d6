"""One answer in virtual time: the real tree on the device, the real mailbox at the engine.

Nothing sleeps: what happens next is the earliest entry of a queue of events.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from services.device_agent.drafters.port import Guess
from services.device_agent.drafting.acceptance import Acceptance
from services.device_agent.drafting.tree import DraftTree
from services.vllm_server.race.branches import Branches

SESSION = "0123456789abcdef"
BURST = 8


@dataclass(frozen=True)
class Setting:
    """Times in milliseconds. `acceptance`: how often the first guess is right after a right text;
    `second`: how often the second one is, where the first is not."""

    acceptance: float = 0.95
    second: float = 0.5
    one_way: float = 10.0
    step: float = 5.0
    draft: float = 0.3
    window: int = 48
    per_step: int = 16
    tokens: int = 60
    seed: int = 0
    trunk_only: bool = False


@dataclass
class Outcome:
    generated: list[int] = field(default_factory=list)
    verified: list[int] = field(default_factory=list)
    steps: int = 0
    sent: int = 0
    finished: float = 0.0


def truth(setting: Setting) -> list[int]:
    dice = random.Random(setting.seed)
    return [dice.randrange(900) for _ in range(setting.tokens)]


class Race:
    def __init__(self, setting: Setting, acceptance: Acceptance | None = None) -> None:
        self.setting = setting
        self.right = truth(setting)
        self.outcome = Outcome()
        self._tree = DraftTree(acceptance=acceptance or Acceptance(), trunk_only=setting.trunk_only)
        self._mailbox = Branches()
        self._mailbox.claim(SESSION)
        self._events: list[tuple[float, int, str, Any]] = []
        self._order = itertools.count()
        self._heard: list[tuple[int, list[int]]] = []
        self._busy_until = 0.0

    def run(self) -> Outcome:
        self._at(self.setting.one_way, "step", None)
        self._at(0.0, "draft", None)
        while self._events:
            now, _, kind, what = heapq.heappop(self._events)
            getattr(self, f"_{kind}")(now, what)
        return self.outcome

    def _at(self, time: float, kind: str, what: Any) -> None:
        heapq.heappush(self._events, (time, next(self._order), kind, what))

    def _step(self, now: float, _: None) -> None:
        generated, setting = self.outcome.generated, self.setting
        room = min(setting.per_step, setting.tokens - len(generated) - 1)
        drafts = self._mailbox.take(SESSION, generated, room) if generated else []
        right = 0
        while right < len(drafts) and drafts[right] == self.right[len(generated) + right]:
            right += 1
        self._at(
            now + setting.step, "generated", self.right[len(generated) : len(generated) + right + 1]
        )

    def _generated(self, now: float, new: list[int]) -> None:
        outcome = self.outcome
        outcome.steps += 1
        self._at(now + self.setting.one_way, "heard_at", (len(outcome.generated), new))
        outcome.generated += new
        if len(outcome.generated) < self.setting.tokens:
            self._at(now, "step", None)

    def _heard_of(self) -> None:
        for position, new in self._heard:
            self._tree.verify(position, new)
        self._heard.clear()

    def _draft(self, now: float, _: None) -> None:
        if now < self._busy_until or len(self.outcome.verified) == self.setting.tokens:
            return
        self._heard_of()
        tree, window = self._tree, self.setting.window
        slot = tree.best(window)
        if slot is None:
            return
        text, enough = tree.text(slot), tree.pursue(slot)
        guesses: list[Guess] = []
        for _burst in range(min(BURST, window - tree.depth(slot))):
            guesses.append(self._guess(text))
            text = [*text, guesses[-1].token]
            if enough(guesses[-1]):
                break
        run = tree.grow(slot, guesses)
        self._busy_until = now + self.setting.draft * len(guesses)
        if run is not None:
            self.outcome.sent += len(run.token_ids)
            self._at(self._busy_until + self.setting.one_way, "mail", run)
        self._at(self._busy_until, "draft", None)

    def _guess(self, text: Sequence[int]) -> Guess:
        """The same for the same text."""
        place = len(text)
        dice = random.Random(f"{self.setting.seed} {list(text[-6:])} {place}")
        wrong = Guess(1000 + dice.randrange(1000), 0.9, 2000 + dice.randrange(1000))
        if place >= self.setting.tokens or list(text) != self.right[:place]:
            return wrong
        if dice.random() < self.setting.acceptance:
            return Guess(self.right[place], 0.9, wrong.second)
        second = self.right[place] if dice.random() < self.setting.second else wrong.second
        return Guess(wrong.token, 0.9, second)

    def _mail(self, now: float, drafts: Any) -> None:
        self._mailbox.put(SESSION, drafts.position, drafts.token_ids, drafts.before)

    def _heard_at(self, now: float, what: tuple[int, list[int]]) -> None:
        self._heard.append(what)
        self.outcome.verified += what[1]
        self.outcome.finished = now
        self._at(max(now, self._busy_until), "draft", None)
