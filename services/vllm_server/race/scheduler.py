"""The race, inside vLLM: what has been drafted in time is verified by the step that runs anyway.

`--scheduler-cls services.vllm_server.race.scheduler.RaceScheduler`, beside a speculative
configuration that never proposes anything itself (`race.proposer`), which makes vLLM's workers
ready to verify. Written for the vLLM version in the lock file.

Right by construction with tensor parallelism: the scheduler runs once per engine, before the
step is sent to the workers, and the drafts are part of what is sent. All ranks see the same.
"""

# vLLM is not installed where types are checked.
# mypy: allow-subclassing-any
from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request, RequestStatus

from gateway.protocol.mailbox import VERSION, MailboxGreeting
from services.vllm_server.arguments import (
    DRAFT_CERTIFICATE,
    DRAFT_CHOICE,
    DRAFT_CLIENT_CA,
    DRAFT_KEY,
    DRAFT_MAILBOX,
    DRAFT_SECRET,
    GOODPUT,
    MIN_DRAFT_SECRET,
)
from services.vllm_server.race.branches import Branches
from services.vllm_server.race.eligibility import blocks, decodes, may_draft, session_of
from services.vllm_server.race.executors import skip_proposal_calls
from services.vllm_server.race.goodput.shared_steps import SharedSteps
from services.vllm_server.race.mailbox import MailboxServer
from services.vllm_server.race.mailbox_tls import MailboxTls
from services.vllm_server.race.tree import Node

MESSAGES_AT_ONCE = 8
DRAIN_US, DRAIN_US_A_SESSION = 500, 50
"""Microseconds of a step, at most, for drafts that have come, and more for each session; the rest
waits for the next step. A message takes some 10."""
EXPIRE_EVERY_US = 30_000_000

log = logging.getLogger("vllm.tierflow")


class RaceScheduler(Scheduler):
    """The scheduler of vLLM, which before each step hands drafts from outside to their requests.

    It never waits: without a fitting draft a request decodes one token as usual. Should anything
    of ours fail, the step goes on without drafts, and the failure is counted and logged once.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        skip_proposal_calls()
        self._branches = Branches()
        self._claims: dict[str, Request] = {}
        self._blocking: set[str] = set()
        self._expire_at = 0
        self._accepted = self._failures = 0
        self._shared_steps = SharedSteps(os.environ.get(DRAFT_CHOICE, GOODPUT) == GOODPUT)
        self._mailbox = self._open_mailbox()
        log.info("drafts are taken on port %d", self._mailbox.port)

    def _open_mailbox(self) -> MailboxServer:
        address = os.environ[DRAFT_MAILBOX]
        host, _, port = address.rpartition(":")
        vocabulary = self.vllm_config.model_config.get_vocab_size()
        greeting = MailboxGreeting(VERSION, vocabulary, self.num_spec_tokens)
        secret = os.environ[DRAFT_SECRET].encode()
        if len(secret) < MIN_DRAFT_SECRET:
            raise ValueError(f"{DRAFT_SECRET}: must have at least {MIN_DRAFT_SECRET} characters")
        try:
            return MailboxServer(
                host=host,
                port=int(port),
                secret=secret,
                greeting=greeting,
                report=self._report,
                tls=_tls(),
            )
        except OSError as failure:
            raise RuntimeError(f"{DRAFT_MAILBOX}={address}: {failure}") from failure

    def schedule(self, *arguments: Any, **named: Any) -> Any:
        try:
            self._assign_drafts()
        except Exception:
            self._failed()
            for request in self.running:
                request.spec_token_ids = []
        step = super().schedule(*arguments, **named)
        if self._claims:
            self._learn(self._shared_steps.fill, step)
        return step

    def update_from_output(self, *arguments: Any, **named: Any) -> Any:
        outputs = super().update_from_output(*arguments, **named)
        self._learn(self._shared_steps.end, bool(self.running))
        return outputs

    def add_request(self, request: Request) -> None:
        super().add_request(request)
        try:
            if blocks(request):
                self._blocking.add(request.request_id)
            session = session_of(request)
            # The first request keeps a session that several name; so does one of `n` answers.
            if session and session not in self._claims:
                if not may_draft(request):
                    self._branches.forget(session)
                elif self._branches.claim(session):
                    self._claims[session] = request
        except Exception:
            self._failed()

    def _free_request(self, request: Request, *arguments: Any, **named: Any) -> Any:
        self._blocking.discard(request.request_id)
        session = session_of(request)
        if session is not None and self._claims.get(session) is request:
            del self._claims[session]
            self._branches.forget(session)
            self._learn(self._shared_steps.forget, session)
        return super()._free_request(request, *arguments, **named)

    def make_spec_decoding_stats(self, *arguments: Any, **named: Any) -> Any:
        accepted = named.get("num_accepted_tokens", 0)
        self._accepted += accepted
        request = self.requests.get(named.get("request_id"))
        session = None if request is None else session_of(request)
        if session is not None:
            offered = named.get("num_draft_tokens", 0)
            self._learn(self._shared_steps.verified, session, offered, accepted)
        return super().make_spec_decoding_stats(*arguments, **named)

    def shutdown(self) -> None:
        self._mailbox.close()
        super().shutdown()

    def _assign_drafts(self) -> None:
        now = time.monotonic_ns() // 1000
        self._shared_steps.begin(now)
        self._empty_mailbox(now + DRAIN_US + DRAIN_US_A_SESSION * len(self._claims))
        if not len(self._branches):
            return
        if now > self._expire_at:
            self._expire_at = now + EXPIRE_EVERY_US
            self._branches.expire()
        # Drafts must not push anyone's own token, nor much of a prompt, out of the step.
        room = (self.max_num_scheduled_tokens - len(self.running)) // 2
        if self._blocking or self._short_of_blocks():
            room = 0
        waiting: dict[str, list[Node]] = {}
        for session, request in self._claims.items():
            # A request that had drafts in a step without room for it still holds them.
            request.spec_token_ids = []
            if request.status == RequestStatus.RUNNING and decodes(request):
                waiting[session] = self._waiting(session, request, room)
        counts = {session: len(path) for session, path in waiting.items() if path}
        if not counts:
            return
        chosen = self._shared_steps.choose(
            counts, requests=len(self.running), drafted_for=len(waiting), room=room
        )
        self._branches.counts.left_out += min(room, sum(counts.values())) - sum(chosen.values())
        for session, number in chosen.items():
            self._offer(session, waiting[session][:number], now)

    def _empty_mailbox(self, until: int) -> None:
        while arrivals := self._mailbox.drain(MESSAGES_AT_ONCE):
            for drafts, arrived in arrivals:
                self._branches.put(
                    drafts.session, drafts.position, drafts.tokens, drafts.before, arrived
                )
            if time.monotonic_ns() // 1000 > until:
                return

    def _short_of_blocks(self) -> bool:
        """Whether rows of drafts might take KV blocks for which a request would be preempted."""
        rows = -(-(1 + self.num_spec_tokens) // self.block_size) + 1
        free = self.kv_cache_manager.block_pool.get_num_free_blocks()
        return bool(free < rows * len(self.running))

    def _waiting(self, session: str, request: Request, room: int) -> list[Node]:
        output = request.output_token_ids
        # The verifying step adds a token of its own after the drafts.
        limit = min(
            room,
            self.num_spec_tokens,
            request.max_tokens - len(output) - 1,
            self.max_model_len - request.num_tokens - 1,
        )
        return self._branches.waiting(session, output, limit)

    def _offer(self, session: str, path: list[Node], now: int) -> None:
        request = self._claims[session]
        drafts = self._branches.offer(session, path, now)
        if drafts and request.use_structured_output:
            drafts = self.structured_output_manager.validate_tokens(request, drafts)
        request.spec_token_ids = drafts

    def _learn(self, what: Callable[..., None], *seen: Any) -> None:
        """What can't be learned must not hold up vLLM's own work."""
        try:
            what(*seen)
        except Exception:
            self._failed()

    def _failed(self) -> None:
        self._failures += 1
        if self._failures == 1:
            log.exception("drafts were left out of a step")

    def _report(self) -> dict[str, int]:
        """Called by the mailbox's thread: numbers of one moment, give or take a step."""
        counts = self._branches.counts
        return {name: getattr(counts, name) for name in counts.__slots__} | {
            "accepted": self._accepted,
            "failures": self._failures,
            "sessions": len(self._branches),
            "waiting": counts.waiting,
            **self._shared_steps.report(),
        }


def _tls() -> MailboxTls | None:
    """Of the files that the environment names. Raises ValueError."""
    certificate, key, client_ca = map(
        os.environ.get, (DRAFT_CERTIFICATE, DRAFT_KEY, DRAFT_CLIENT_CA)
    )
    if not certificate or not key:
        return None
    return MailboxTls(
        certificate=Path(certificate),
        key=Path(key),
        client_ca=Path(client_ca) if client_ca else None,
    )
