"""Find an endpoint that verifies for a device, and begin an answer there.

Before the first token an endpoint that fails is left for another, as for any request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.core.ports import Clock, EndpointSource, Telemetry, Verification, Verifier
from gateway.core.retry import RetryBudget
from gateway.core.routing.routing import RETRY_AFTER_S, Choice, Routing
from gateway.core.types import EndpointState, InferenceRequest, Tier
from gateway.errors import ConnectFailed, GatewayError, InvalidRequest, NoEndpoint, UpstreamError
from gateway.protocol.speculation import Offer

TIERS: Mapping[Tier, Literal["edge", "cloud"]] = {Tier.EDGE: "edge", Tier.CLOUD: "cloud"}
"""Where devices' drafts are verified, as the wire names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifiers:
    """The endpoints, for devices."""

    routing: Routing
    endpoints: EndpointSource
    verifier: Verifier
    clock: Clock
    telemetry: Telemetry
    budget: RetryBudget
    uniform: Callable[[], float]

    def offers(self) -> list[Offer]:
        """What each tier answers with now: one offer a model, the first is the tier's default."""
        found: dict[tuple[str, str, str], Offer] = {}
        for tier, name in TIERS.items():
            for state in self.endpoints.states():
                if state.endpoint.tier is tier and state.healthy and state.models:
                    model, tokenizer = next(iter(state.models)), state.tokenizer or ""
                    per_step = self.verifier.facts(state.endpoint).per_step
                    key = (name, model, tokenizer)
                    if key not in found or found[key].per_step < per_step:
                        found[key] = Offer(name, model, tokenizer, per_step)
        return list(found.values())

    def choose(
        self, request: InferenceRequest, tier: Tier, tokenizer: str, attempts: Attempts
    ) -> Choice:
        """An endpoint of this tier with this tokenizer.

        Raises InvalidRequest (`tokenizer_differs`, `tokenizer_unknown`), and what `Routing` does.
        """
        at_tier = [s for s in self.endpoints.states() if s.endpoint.tier is tier]
        alike = [s for s in at_tier if s.tokenizer == tokenizer]
        if attempts.failure is not None:
            alike = [s for s in alike if attempts.model in s.models]
        try:
            if not alike:
                raise _no_match(tier, tokenizer, at_tier)
            return self.routing.choose(
                request, alike, self.clock.now(), self.uniform, attempts.tried
            )
        except GatewayError:
            # With nowhere else to go, the failure itself tells the device more.
            if attempts.failure is not None:
                raise attempts.failure from None
            raise


class Attempts:
    """The tries of one session, within the budget that all requests share."""

    def __init__(self, verifiers: Verifiers) -> None:
        self._verifiers = verifiers
        self.tried: set[str] = set()
        self.model = ""
        self.failure: UpstreamError | None = None
        self._pool = ""
        self._worked = 0
        verifiers.budget.request_started()

    def begin(self, choice: Choice) -> None:
        """Raises the last failure when no further try is allowed."""
        failure, budget = self.failure, self._verifiers.budget
        if failure is not None:
            if not isinstance(failure, ConnectFailed) and not budget.allow_retry(self._worked):
                raise failure
            self._verifiers.telemetry.retried(self._pool, failure.code or "error")
        self.model, self._pool = choice.model, choice.state.endpoint.pool

    def failed(self, error: UpstreamError) -> None:
        self.failure = error
        self.tried.add(error.endpoint)
        if isinstance(error, ConnectFailed):
            self._verifiers.endpoints.mark_failed(error.endpoint, error.message)
        else:
            self._worked += 1


@dataclass(slots=True)
class EndpointSlot:
    """A place at an endpoint, with the answer that is made there once it has begun."""

    choice: Choice
    endpoints: EndpointSource
    verification: Verification | None = None

    def __post_init__(self) -> None:
        self.choice.state.in_flight += 1

    def release(self) -> None:
        self.choice.state.in_flight -= 1
        self.endpoints.freed(self.choice.state)
        if self.verification is not None:
            self.verification.close()


def _no_match(tier: Tier, tokenizer: str, states: Sequence[EndpointState]) -> GatewayError:
    known = sorted({state.tokenizer for state in states if state.tokenizer})
    if known:
        return InvalidRequest(
            f"the device's tokenizer (fingerprint {tokenizer or 'none'}) differs from that of "
            f"tier {tier} (fingerprint {', '.join(known)}); draft with a model of its family",
            code="tokenizer_differs",
        )
    if any(state.healthy for state in states):
        return InvalidRequest(
            f"the tokenizer at tier {tier} is unknown, as its engines have no /tokenize; "
            "token ids can't be trusted there",
            code="tokenizer_unknown",
        )
    return NoEndpoint(
        f"no endpoint at tier {tier} can answer now", retry_after=RETRY_AFTER_S, code="no_endpoint"
    )
