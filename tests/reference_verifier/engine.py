"""The race on the textbook algorithm: each step verifies what has arrived; it never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gateway.protocol.mailbox import VERSION, MailboxGreeting
from services.vllm_server.race.branches import Branches
from services.vllm_server.race.mailbox import MailboxServer
from tests.reference_verifier.model import Model
from tests.reference_verifier.textbook import adjusted, verify

PER_STEP = 16


@dataclass(frozen=True)
class Job:
    """A request. `top_k` 0 or -1: all; `seed` None: any."""

    prompt: Sequence[int]
    max_tokens: int
    session: str | None = None
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int | None = None
    ignore_eos: bool = False


@dataclass
class Engine:
    """One request at a time; the others wait. `steps` and `running` are what it reports."""

    model: Model
    steps: int = 0
    running: int = 0
    accepted: int = 0
    branches: Branches = field(default_factory=Branches)
    mailbox: MailboxServer | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def open_mailbox(self, port: int, secret: str) -> None:
        greeting = MailboxGreeting(VERSION, self.model.vocabulary, PER_STEP)
        self.mailbox = MailboxServer(
            host="127.0.0.1",
            port=port,
            secret=secret.encode(),
            greeting=greeting,
            report=self._report,
        )

    def run(self, job: Job) -> Iterator[list[int]]:
        """The tokens of one step after the other; the caller may stop at any."""
        with self._turn:
            self.running += 1
            claimed = job.session if job.session and self.branches.claim(job.session) else None
            try:
                yield from self._steps(job, claimed)
            finally:
                self.running -= 1
                if claimed is not None:
                    self.branches.forget(claimed)

    def _steps(self, job: Job, session: str | None) -> Iterator[list[int]]:
        random = np.random.default_rng(job.seed)
        said: list[int] = []
        most = min(job.max_tokens, self.model.context - len(job.prompt))
        while len(said) < most:
            drafts = self._drafts(session, said, most)
            logits = self.model.logits([*job.prompt, *said, *drafts], len(drafts) + 1)
            targets = [adjusted(row, job.temperature, job.top_k, job.top_p) for row in logits]
            uniforms = random.random(2 * len(drafts) + 1)
            new = verify(targets, [None] * len(drafts), drafts, list(uniforms))
            self.steps += 1
            self.accepted += len(new) - 1
            ends = [at for at, token in enumerate(new) if token in self.model.end_ids]
            if ends and not job.ignore_eos:
                yield new[: ends[0] + 1]
                return
            said += new
            yield new

    def _drafts(self, session: str | None, said: list[int], most: int) -> list[int]:
        if self.mailbox is not None:
            for drafts, arrived in self.mailbox.drain(256):
                self.branches.put(
                    drafts.session, drafts.position, drafts.tokens, drafts.before, arrived
                )
        if session is None or not said:
            return []
        room = min(PER_STEP, most - len(said) - 1)
        return self.branches.take(session, said, room, time.monotonic_ns() // 1000)

    def _report(self) -> dict[str, int]:
        counts = self.branches.counts
        return {name: getattr(counts, name) for name in counts.__slots__} | {
            "accepted": self.accepted,
            "failures": 0,
            "sessions": len(self.branches),
            "waiting": counts.waiting,
        }
