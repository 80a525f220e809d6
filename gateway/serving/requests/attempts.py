"""The one failover rule: before the first token, an endpoint that fails is left for another.

Chat requests (`dispatch`), drafting sessions (`devices.drafting.session`) and escalations
(`cascade.top_tier`) go through the same loop:

    attempts = Attempts(endpoints=endpoints, telemetry=telemetry, budget=budget)
    while True:
        choice = routing.choose(..., attempts.failed_ids)
        with attempts.at(choice) as slot:
            answer = slot.answer = await engine.open(...)
            ...
            return

They differ in what they choose from, and in what they do when nothing is left to choose. What
`collective.server_model` does is another policy: it asks again *after* the first token, and goes on
only where the new answer begins as the old one.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from gateway.core.outcome import Outcome
from gateway.core.ports import EndpointSource, Telemetry
from gateway.core.retry import RetryBudget
from gateway.core.routing.routing import Choice
from gateway.errors import ConnectFailed, UpstreamError


class ClosableAnswer(Protocol):
    """An answer that an engine is making. Closing it makes the engine give up the work."""

    def close(self) -> None: ...


class Attempts:
    """The attempts of one request, within the retry budget that all requests share.

    `failed_ids` are the endpoints that failed it, `failure` is the last failure, `last` the last
    choice. `held_s` counts the seconds that it has waited for an endpoint to come up.
    """

    __slots__ = (
        "_budget",
        "_endpoints",
        "_reached_engines",
        "_telemetry",
        "failed_ids",
        "failure",
        "held_s",
        "last",
    )

    def __init__(
        self, *, endpoints: EndpointSource, telemetry: Telemetry, budget: RetryBudget
    ) -> None:
        self._endpoints = endpoints
        self._telemetry = telemetry
        self._budget = budget
        self._reached_engines = 0
        self.failed_ids: set[str] = set()
        self.failure: UpstreamError | None = None
        self.held_s = 0.0
        self.last: Choice | None = None
        budget.request_started()

    def at(self, choice: Choice) -> EndpointSlot:
        """The next attempt. Raises the last failure when the budget allows none."""
        failure, last = self.failure, self.last
        if failure is not None and last is not None:
            # A failure to connect cost the engine nothing, so it is not charged: a dead pool of
            # any size must not stand before a healthy one. `failed_ids` bounds these attempts.
            if not isinstance(failure, ConnectFailed) and not self._budget.allow_retry(
                self._reached_engines
            ):
                raise failure
            self._telemetry.retried(last.state.endpoint.pool, failure.code)
        self.last = choice
        return EndpointSlot(choice, self._endpoints, self)

    def failed(self, error: UpstreamError) -> None:
        """Note that the last attempt failed: its endpoint is not chosen again."""
        self.failure = error
        self.failed_ids.add(error.endpoint)
        if isinstance(error, ConnectFailed):
            self._endpoints.mark_failed(error.endpoint, error.message)
        else:
            self._reached_engines += 1

    def raise_failure(self) -> None:
        """Raise the last failure, if there is one. With no other endpoint left, it tells the
        caller more than the refusal of the routing does."""
        if self.failure is not None:
            raise self.failure from None


class EndpointSlot:
    """One request's place at one endpoint, counted there as in flight, for as long as the block
    runs or, after `keep`, until `release`.

    `answer` is what the engine is making there, once it is; it is closed with the place. An
    UpstreamError that ends the block is noted and does not leave it, so that the loop around it
    chooses again. Set `begun` as soon as something of the answer has gone to the caller: from then
    on a failure is the request's own end, and passes on.
    """

    __slots__ = ("_attempts", "_endpoints", "_kept", "answer", "begun", "choice")

    def __init__(self, choice: Choice, endpoints: EndpointSource, attempts: Attempts) -> None:
        self.choice = choice
        self.answer: ClosableAnswer | None = None
        self.begun = False
        self._endpoints = endpoints
        self._attempts = attempts
        self._kept = False

    def keep(self) -> None:
        """The place outlives the block: whoever gets the answer releases it."""
        self._kept = True

    def release(self) -> None:
        if self.answer is not None:
            self.answer.close()
        self.choice.state.in_flight -= 1
        self._endpoints.slot_freed(self.choice.state)

    def __enter__(self) -> EndpointSlot:
        self.choice.state.in_flight += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None and self._kept:
            return False
        retried = isinstance(error, UpstreamError) and not self.begun
        if isinstance(error, UpstreamError) and retried:
            # Before the place is given back, so that nobody is woken for an endpoint that is gone.
            self._attempts.failed(error)
        self.release()
        return retried


def note_attempt(outcome: Outcome, choice: Choice, now: float) -> None:
    """A further attempt is made now: from here on the outcome is about this endpoint."""
    outcome.attempts += 1
    outcome.opened = now
    outcome.model = choice.model
    outcome.tier = choice.state.endpoint.tier.value
    outcome.endpoint = choice.state.endpoint.id
    outcome.reason = choice.reason
