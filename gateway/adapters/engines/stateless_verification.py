"""One answer of an engine without a mailbox: its stream, or rounds where drafts make them pay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gateway.adapters.engines.draft_round import (
    NextToken,
    RoundUnreadable,
    confirmed,
    read_round,
    round_body,
)
from gateway.adapters.engines.engine_request import ask
from gateway.adapters.engines.verifier import EngineVerifier
from gateway.core.ports import Answer, Clock, ModelServer, RoundTelemetry, Verification
from gateway.core.speculation.draft_runs import DraftRuns
from gateway.core.speculation.job import Batch, DraftRun, Job, sampling_of_rest
from gateway.core.speculation.round_economy import RoundRule
from gateway.core.types import Endpoint
from gateway.core.upstream_errors import continuation_refused
from gateway.errors import InvalidRequest, StaleConnection
from gateway.protocol.paths import COMPLETIONS
from gateway.protocol.requests.neutral_fields import OF_THE_CALLER

T = TypeVar("T")
MAX_ROUND_IDS = 1 << 18
"""Ids in all prompts of one round: a larger body takes longer to write than the round saves."""
IN_ROUNDS = frozenset({"ignore_eos", "stop_token_ids"}) | OF_THE_CALLER
"""Fields of an answer that mean the same in its rounds."""


class StatelessVerification:
    """An answer by a stream that is left for rounds, and gone back to, as `rule` says.

    What is confirmed stays: each stream and each round begins after it. The answer is greedy, and
    its `max_tokens` is set. A stream gives at least one batch before it is left.
    """

    def __init__(
        self,
        *,
        verifier: EngineVerifier,
        server: ModelServer,
        endpoint: Endpoint,
        job: Job,
        stream: Verification,
        rule: RoundRule,
        most_drafts: int,
        clock: Clock,
        telemetry: RoundTelemetry,
    ) -> None:
        self._verifier = verifier
        self._server = server
        self._endpoint = endpoint
        self._job = job
        self._stream: Verification | None = stream
        self._fresh = True  # It has given nothing yet.
        self._returning = False
        self._rule = rule
        self._most_drafts = most_drafts
        self._clock = clock
        self._telemetry = telemetry
        self._max_tokens: int = job.sampling["max_tokens"]
        self._fields = {name: value for name, value in job.sampling.items() if name in IN_ROUNDS}
        self._runs = DraftRuns()
        self._confirmed: list[int] = []
        self._round_answer: Answer | None = None
        self._rounds = 0
        self._left_stream = False
        self._drafted = False
        self._refused = False
        self._last = False  # The stream has said why it ends.
        self._over = False
        self._since: float | None = None

    @property
    def usage(self) -> tuple[int, int] | None:
        if self._left_stream:
            return len(self._job.prompt), len(self._confirmed)
        return self._stream.usage if self._stream is not None else None

    def draft(self, runs: Sequence[DraftRun]) -> bool:
        if self._refused:
            return False
        self._drafted = self._drafted or bool(runs)
        kept = [self._runs.put(run) for run in runs]
        return all(kept)

    async def read(self) -> Batch | None:
        if self._over:
            return None
        drafts = self._next_drafts()
        if not (self._fresh or self._last):
            count = self._rule.drafts(len(drafts), self._clock.now())
            if count and (batch := await self._round(drafts[:count])) is not None:
                return batch
        return await self._streamed(drafts)

    def close(self) -> None:
        if self._drafted and not self._rounds:
            self._telemetry.plain(self._endpoint.pool, "slower")
        self._drafted = False
        self._over = True
        self._leave_stream()
        if self._round_answer is not None:
            self._round_answer.close()

    def _next_drafts(self) -> list[int]:
        """Those that continue the answer, as many as a round may have."""
        if self._refused or self._last or not self._runs:
            return []
        done = len(self._confirmed)
        rows = MAX_ROUND_IDS // max(1, len(self._job.prompt) + done)
        limit = min(self._most_drafts, self._max_tokens - done - 1, rows - 1)
        return self._runs.next(self._confirmed, limit)

    async def _streamed(self, drafts: Sequence[int]) -> Batch | None:
        """The stream's next batch. `drafts` are compared with it."""
        began, stream = self._clock.now(), self._stream
        if stream is None:
            stream = await self._reopen()
        batch, now = await stream.read(), self._clock.now()
        if batch is None:
            self._over = True
            return None
        if ids := batch.ids:
            if self._returning:
                self._rule.returned(now - began, now)
            elif self._since is not None:
                self._rule.streamed(len(ids), now - self._since, now)
            self._since, self._fresh, self._returning = now, False, False
            self._compare(drafts, ids)
            self._confirmed += ids
        self._last = batch.reason is not None
        return batch

    async def _reopen(self) -> Verification:
        """Raises UpstreamError."""
        job, self._since = self._job, None
        self._fresh = self._returning = True
        rest = replace(
            job,
            prompt=[*job.prompt, *self._confirmed],
            sampling=sampling_of_rest(job.sampling, len(self._confirmed)),
        )
        try:
            stream = await _once_more(lambda: self._verifier.open(self._endpoint, rest))
        except InvalidRequest as error:
            raise continuation_refused(self._endpoint.id) from error
        self._stream = stream
        if self._over:  # Closed in the meantime.
            self._leave_stream()
        return stream

    async def _round(self, drafts: Sequence[int]) -> Batch | None:
        """None where the engine takes no rounds. Raises UpstreamError."""
        self._leave_stream()
        self._left_stream = True
        began = self._clock.now()
        try:
            tokens = await self._ask_round(drafts)
        except (InvalidRequest, RoundUnreadable) as error:
            reason = "refused" if isinstance(error, InvalidRequest) else "unreadable"
            self._refused, self._drafted = True, False
            self._rule.refused(self._clock.now() - began)
            self._telemetry.plain(self._endpoint.pool, reason)
            return None
        now, self._since = self._clock.now(), None
        room = self._max_tokens - len(self._confirmed)
        batch = confirmed(drafts, tokens, room)
        self._rounds += 1
        self._rule.round(len(tokens), len(batch.ids), now - began, now)
        accepted = self._compare(drafts, batch.ids)
        self._telemetry.round(self._endpoint.pool, len(drafts), accepted, now - began)
        self._confirmed += batch.ids
        self._over = batch.reason is not None
        return batch

    async def _ask_round(self, drafts: Sequence[int]) -> list[NextToken]:
        dialect = await self._verifier.dialect(self._endpoint)
        body: dict[str, Any] = round_body(
            model=self._job.model,
            text=[*self._job.prompt, *self._confirmed],
            drafts=drafts,
            fields=self._fields,
            dialect=dialect,
        )
        answer = self._round_answer = await _once_more(
            lambda: ask(self._server, self._endpoint, COMPLETIONS, body)
        )
        try:
            return await read_round(answer, len(drafts) + 1, dialect)
        finally:
            self._round_answer = None
            answer.close()

    def _compare(self, drafts: Sequence[int], ids: Sequence[int]) -> int:
        """Tell the rule which drafts were right; returns how many that were."""
        right = [draft == token for draft, token in zip(drafts, ids, strict=False)]
        if False in right:
            del right[right.index(False) + 1 :]
        if right:
            self._rule.compared(right)
        return sum(right)

    def _leave_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


async def _once_more(attempt: Callable[[], Awaitable[T]]) -> T:
    """Its result; a second one where the first met a kept connection that the engine had just
    closed. Some close theirs after every hundred requests, which rounds soon reach."""
    try:
        return await attempt()
    except StaleConnection:
        return await attempt()
