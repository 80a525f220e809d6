"""The one failover rule: an endpoint that fails is left for another, before the first token and,
where the answer can go on from what was sent, after it.

Chat requests (`dispatch`), drafting sessions (`devices.drafting.session`) and escalations
(`cascade.top_tier`) go through the same loop:

    attempts = failover.attempts(caller)
    while True:
        choice = routing.choose(..., attempts.failed_ids)
        with attempts.at(choice) as slot:
            answer = slot.answer = await engine.open(...)
            ...
            return

They differ in what they choose from, and in what they do when nothing is left to choose. A stream
of text that has begun goes on by `stream_rest`. Where that can't be, `collective.server_model` asks
again, and goes on only where the new answer begins as the old one.

Whose fault is a failure? Some are the endpoint's whatever the request (`UpstreamError.certain`).
The others might be this request's own: they count against the endpoint once another has answered
the same request. One that fails at several endpoints and is answered at none counts against none,
so that no request can have them all ejected. A refusal that may be one endpoint's alone gets one
second opinion.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Protocol

from gateway.core.endpoints.outlier_ejection import EjectionRule
from gateway.core.endpoints.usual_waits import UsualWaitRule
from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, EndpointSource, Telemetry
from gateway.core.retry import FaultBudgets, RetryBudget
from gateway.core.routing.routing import Choice
from gateway.core.types import EndpointState
from gateway.core.upstream_errors import DOWN, NO_ROUTE
from gateway.errors import (
    ConnectFailed,
    ConnectTimeout,
    EndpointLost,
    EngineBusy,
    EngineRefused,
    FirstTokenTimeout,
    GatewayError,
    StaleConnection,
    UpstreamError,
)
from gateway.serving.requests.first_token_wait import FirstTokenWait, NextPieceWait
from gateway.serving.requests.progress_timeout import ProgressTimeout

BUSY_S = 1.0
"""An engine that says that it is busy, and not for how long, is left alone for so many seconds."""


class ClosableAnswer(Protocol):
    """An answer that an engine is making. Closing it makes the engine give up the work."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """What the attempts of all requests share: the retry budget, each caller's own for what may be
    its requests' fault, the rule by which endpoints that
    fail are ejected, and the rule by which they count as stuck. `uniform` gives random numbers in
    [0, 1)."""

    endpoints: EndpointSource
    telemetry: Telemetry
    budget: RetryBudget
    faults: FaultBudgets
    ejection: EjectionRule
    usual_waits: UsualWaitRule
    clock: Clock
    uniform: Callable[[], float]

    def attempts(self, caller: str) -> Attempts:
        """The attempts of one new request; `caller` tells its caller apart."""
        self.budget.request_started()
        return Attempts(self, caller)

    def next_piece_wait(
        self,
        state: EndpointState,
        timeout: ProgressTimeout,
        *,
        choose: Callable[[Set[str]], Choice],
        idle_s: float,
    ) -> NextPieceWait:
        """The wait for the further pieces of a stream that another endpoint can go on with, within
        the `idle_s` seconds that the settings allow. `choose` as for the first ones."""
        limit_s = state.usual.idle_limit(idle_s, self.usual_waits)
        return NextPieceWait(
            state=state,
            timeout=timeout,
            movable=partial(self.movable, choose, {state.endpoint.id}),
            usual_s=limit_s if limit_s < idle_s else None,
            now=self.clock.now,
        )

    def movable(self, choose: Callable[[Set[str]], Choice], tried: Set[str]) -> bool:
        """Whether an endpoint that nothing speaks against could take a request now."""
        try:
            choice = choose(tried)
        except GatewayError:
            return False
        return choice.state.health.sound(self.clock.now())

    def count_success(self, state: EndpointState, trial: bool) -> None:
        if state.health.succeed(trial, self.ejection, self.clock.now()):
            self.telemetry.endpoint_returned(state.endpoint)

    def count_failure(self, state: EndpointState, trial: bool, cause: str) -> None:
        """A failure that is the endpoint's own. Where it is ejected for it, the requests that
        wait there are moved."""
        now = self.clock.now()
        pause_s = state.health.fail(trial, self.ejection, cause, now, self.uniform)
        if pause_s is not None:
            self.telemetry.endpoint_ejected(state.endpoint, cause, pause_s)
            state.lost()


class Attempts:
    """The attempts of one request.

    `failed_ids` are the endpoints that failed it, `failure` is the last failure, `last` the last
    choice. `held_s` counts the seconds that it has waited for an endpoint to come up. `moved`: it
    has left an endpoint for being silent. It may be slow by nature, so that happens once, and from
    then on it has the time that the settings give.
    """

    __slots__ = (
        "_caller",
        "_doubtful",
        "_failover",
        "_reached_engines",
        "_refused",
        "_broken_id",
        "_resumes",
        "_stale_ids",
        "failed_ids",
        "failure",
        "held_s",
        "last",
        "moved",
    )

    def __init__(self, failover: Failover, caller: str) -> None:
        self._failover = failover
        self._caller = caller
        self._reached_engines = 0
        self._doubtful: list[tuple[EndpointState, str]] = []
        self._refused: tuple[EndpointState, str] | None = None
        self._stale_ids: set[str] = set()
        self._resumes = False
        self._broken_id = ""
        self.failed_ids: set[str] = set()
        self.failure: UpstreamError | None = None
        self.held_s = 0.0
        self.last: Choice | None = None
        self.moved = False

    def at(self, choice: Choice) -> EndpointSlot:
        """The next attempt. Raises the last failure when the budget allows none."""
        failure, last = self.failure, self.last
        if failure is not None and last is not None:
            if not self._may_retry(failure, choice.state):
                self.raise_failure()
            self._failover.telemetry.retried(last.state.endpoint.pool, failure.code)
        self.last = choice
        return EndpointSlot(choice, self._failover, self)

    def _may_retry(self, failure: UpstreamError, next_state: EndpointState) -> bool:
        # What was not delivered cost the engine nothing, so it is not charged: a dead pool of
        # any size must not stand before a healthy one. `failed_ids` bounds these attempts.
        if isinstance(failure, ConnectFailed | StaleConnection):
            return True
        if isinstance(failure, EngineRefused):
            return self._failover.budget.allow_opinion(self._reached_engines)
        if self.awaits_opinion:
            return False
        now = self._failover.clock.now()
        if self._doubtful and not self._failover.faults.allow(self._caller, now):
            # More likely the request's fault than the endpoint's, given what came before it.
            self._doubtful.clear()
            return False
        sound = next_state.health.sound(now)
        charged = not sound or isinstance(failure, FirstTokenTimeout)
        # An answer that has begun has cost more than to go on with it does.
        charged = charged and not self._resumes
        return self._failover.budget.allow_retry(self._reached_engines, charged=charged)

    def first_token_wait(
        self,
        slot: EndpointSlot,
        timeout: ProgressTimeout,
        *,
        choose: Callable[[Set[str]], Choice],
        prompt_chars: int,
        stream: bool = True,
    ) -> FirstTokenWait:
        """The wait for the first bytes of this attempt. `choose` gives another endpoint than those
        of these ids, or raises GatewayError. An answer in one piece, no `stream`, is silent by
        nature: only an engine whose metrics count tokens shows that it is at work."""
        state, failover, usual_s = slot.choice.state, self._failover, None
        if stream and not self.moved:
            usual_s = state.usual.first_token_limit(prompt_chars, failover.usual_waits)
        elif state.counts_tokens and not self.moved:
            usual_s = state.usual.answer_limit(prompt_chars, failover.usual_waits)
        tried = self.failed_ids | {state.endpoint.id}
        return FirstTokenWait(
            state=state,
            timeout=timeout,
            movable=partial(failover.movable, choose, tried),
            usual_s=usual_s,
            now=failover.clock.now,
        )

    def failed(self, error: UpstreamError, slot: EndpointSlot) -> None:
        """Note that the last attempt failed: its endpoint is not chosen again."""
        self.failure, self._resumes = error, False
        state, failover = slot.choice.state, self._failover
        health, now = state.health, failover.clock.now()
        if isinstance(error, StaleConnection) and error.endpoint not in self._stale_ids:
            # The endpoint may be as good as ever.
            self._stale_ids.add(error.endpoint)
            return
        self.failed_ids.add(error.endpoint)
        if not isinstance(error, ConnectFailed):
            self._reached_engines += 1
        elif not isinstance(error, ConnectTimeout):
            # The look at its health brings it back.
            failover.endpoints.mark_failed(error.endpoint, error.message)
            return
        if isinstance(error, EngineBusy):
            health.busy(slot.take_trial(), error.retry_after or BUSY_S, now)
        elif error.certain or (slot.trial and not isinstance(error, EngineRefused)):
            failover.count_failure(state, slot.take_trial(), error.code)
            if error.retry_after is not None:
                health.busy(False, error.retry_after, now)
        elif isinstance(error, EngineRefused):
            if self._lacks_route(error, state):
                endpoints = failover.endpoints.states()
                pool = [each for each in endpoints if each.endpoint.pool == state.endpoint.pool]
                self.failed_ids |= {each.endpoint.id for each in pool}
            self._refused = state, error.code
        elif isinstance(error, EndpointLost) and error.code == DOWN:
            return
        else:
            self.moved = self.moved or isinstance(error, EndpointLost)
            health.doubt(now)
            self._doubtful.append((state, error.code))

    def _lacks_route(self, error: EngineRefused, state: EndpointState) -> bool:
        """Whether two of this pool's endpoints agree that they don't have the route."""
        if self._refused is None or error.code != NO_ROUTE:
            return False
        other, code = self._refused
        return code == NO_ROUTE and other.endpoint.pool == state.endpoint.pool

    def broke(self, error: UpstreamError) -> None:
        """Note that the last endpoint broke in the middle of its answer, which the next attempt
        goes on with."""
        self.failure, self._resumes, self._broken_id = error, True, error.endpoint
        # What failed before this endpoint answered may be good again by now.
        self.failed_ids = {error.endpoint}
        self._reached_engines += 1

    def return_to_broken(self) -> bool:
        """Whether the endpoint that broke in the middle of the answer may be chosen once more:
        nobody else can go on, and it may be as good as ever."""
        broken_id, self._broken_id = self._broken_id, ""
        self.failed_ids.discard(broken_id)
        return bool(broken_id)

    def succeeded(self) -> None:
        """An endpoint answers: those that failed the same request before did so by themselves."""
        for state, cause in self._doubtful:
            self._failover.count_failure(state, False, cause)
        self._doubtful.clear()
        if self._refused is not None:
            state, cause = self._refused
            # Another pool's engines may have routes that this one's don't.
            if cause != NO_ROUTE or self._is_of_the_last_pool(state):
                self._failover.count_failure(state, False, cause)
            self._refused = None

    def _is_of_the_last_pool(self, state: EndpointState) -> bool:
        return self.last is None or self.last.state.endpoint.pool == state.endpoint.pool

    @property
    def awaits_opinion(self) -> bool:
        """Whether an endpoint has refused the request, and nobody has agreed yet."""
        return self._refused is not None

    def agreed(self) -> None:
        """Another endpoint refuses the request, too: it is the caller's own fault."""
        self._refused = None
        self._failover.budget.charge()

    def raise_failure(self) -> None:
        """Raise the last failure, if there is one. With no other endpoint left, it tells the
        caller more than the refusal of the routing does."""
        if self.failure is None:
            return
        self._refused = None
        if (agreed := len({state.endpoint.id for state, _ in self._doubtful})) == 1:
            self.succeeded()
        elif agreed:
            now = self._failover.clock.now()
            self._failover.faults.charge(self._caller, agreed - 1, now)
        self._doubtful.clear()
        raise self.failure from None


class EndpointSlot:
    """One request's place at one endpoint, counted there as in flight, for as long as the block
    runs or, after `keep`, until `release`.

    `answer` is what the engine is making there, once it is; it is closed with the place. An
    UpstreamError that ends the block is noted and does not leave it, so that the loop around it
    chooses again. Set `begun` as soon as something of the answer has gone to the caller: from then
    on a failure is the request's own end, and passes on, unless the answer is `resumable`. `trial`:
    it tries an endpoint that is ejected, and that has not been counted yet.
    """

    __slots__ = (
        "_attempts",
        "_failover",
        "_kept",
        "_released",
        "answer",
        "begun",
        "choice",
        "resumable",
        "trial",
    )

    def __init__(self, choice: Choice, failover: Failover, attempts: Attempts) -> None:
        self.choice = choice
        self.answer: ClosableAnswer | None = None
        self.begun = False
        self.resumable = False
        self._failover = failover
        self._attempts = attempts
        self._kept = False
        self._released = False
        self.trial = False

    def keep(self) -> None:
        """The place outlives the block: whoever gets the answer releases it."""
        self._kept = True

    @property
    def released(self) -> bool:
        return self._released

    def release(self) -> None:
        """Idempotent."""
        if self._released:
            return
        self._released = True
        if self.answer is not None:
            self.answer.close()
        state = self.choice.state
        state.in_flight -= 1
        state.health.abandon(self.take_trial())
        self._failover.endpoints.slot_freed(state)

    def broke(self, error: UpstreamError) -> None:
        """The endpoint failed in the middle of its answer. Where its place has been given back, its
        failure has been noted already."""
        if self._released:
            return
        self._failover.count_failure(self.choice.state, self.take_trial(), error.code)

    def take_trial(self) -> bool:
        """`trial`, which is counted by whoever takes it."""
        trial, self.trial = self.trial, False
        return trial

    def __enter__(self) -> EndpointSlot:
        self.choice.state.in_flight += 1
        self.trial = self.choice.state.health.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None:
            self._failover.count_success(self.choice.state, self.take_trial())
            self._attempts.succeeded()
            if self._kept:
                return False
        failed = isinstance(error, UpstreamError)
        if isinstance(error, UpstreamError):
            # Before the place is given back, so that nobody is woken for an endpoint that is gone.
            if self.begun:
                self.broke(error)
            else:
                self._attempts.failed(error, self)
            if self.begun and self.resumable:
                self._attempts.broke(error)
        self.release()
        return failed and (self.resumable or not self.begun)


def note_attempt(outcome: Outcome, choice: Choice, now: float) -> None:
    """A further attempt is made now: from here on the outcome is about this endpoint."""
    outcome.attempts += 1
    outcome.opened = now
    outcome.decode_s_per_token = choice.state.decode_s_per_token.at(now)
    note_choice(outcome, choice)


def note_choice(outcome: Outcome, choice: Choice) -> None:
    """The outcome is about this endpoint."""
    outcome.model = choice.model
    outcome.tier = choice.state.endpoint.tier.value
    outcome.endpoint = choice.state.endpoint.id
    outcome.reason = choice.reason


def note_first_bytes(outcome: Outcome, state: EndpointState, now: float) -> None:
    """The first bytes of the last attempt's answer have come, or all of one in one piece: learn how
    long that usually takes there."""
    state.answered_at, request = now, outcome.request
    if outcome.opened is not None:
        usual = state.usual
        seen = usual.first_token_seen if request.stream else usual.answer_seen
        seen(request.prompt_chars, now - outcome.opened)
