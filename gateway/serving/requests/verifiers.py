"""The endpoints that verify draft tokens: what they offer, and which one answers a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from gateway.core.ports import Clock, EndpointSource, Telemetry, Verifier
from gateway.core.privacy import PrivacyRule
from gateway.core.routing.routing import RETRY_AFTER_S, Choice, Routing
from gateway.core.tier import Tier
from gateway.core.types import EndpointState, InferenceRequest
from gateway.core.upstream_errors import prompt_too_long
from gateway.errors import GatewayError, InvalidRequest, NoEndpoint
from gateway.protocol.device_link.speculation import Offer
from gateway.serving.requests.attempts import Attempts, Failover

TIERS: Mapping[Tier, Literal["edge", "cloud"]] = {Tier.EDGE: "edge", Tier.CLOUD: "cloud"}
"""Where devices' drafts are verified, as the wire names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierEndpoints:
    """The endpoints as drafting sessions and escalations see them: places where draft tokens are
    verified.

    `uniform` gives random numbers in [0, 1). `continues`: an answer whose endpoint breaks goes on
    at another one. `privacy` says which requests a tier may see.
    """

    routing: Routing
    endpoints: EndpointSource
    verifier: Verifier
    clock: Clock
    telemetry: Telemetry
    failover: Failover
    uniform: Callable[[], float]
    continues: bool
    privacy: PrivacyRule

    def offers(self) -> list[Offer]:
        """The models that each tier answers with now. A tier's first offer is its default."""
        offers: dict[tuple[str, str, str], Offer] = {}
        for tier, name in TIERS.items():
            classes = self.privacy.classes.values()
            privacy = tuple(terms.name for terms in classes if terms.allows(tier))
            for state in self.endpoints.states():
                if state.endpoint.tier is tier and state.healthy and state.models:
                    model, tokenizer = next(iter(state.models)), state.tokenizer or ""
                    facts = self.verifier.facts(state.endpoint)
                    per_step = facts.per_step
                    key = (name, model, tokenizer)
                    if key not in offers or offers[key].per_step < per_step:
                        offers[key] = Offer(
                            tier=name,
                            model=model,
                            tokenizer=tokenizer,
                            per_step=per_step,
                            privacy=privacy,
                            through=self._through(tier, tokenizer) if per_step else (),
                            round_trip_s=round(facts.round_trip_s, 6),
                        )
        return list(offers.values())

    def _through(self, tier: Tier, tokenizer: str) -> tuple[Literal["edge", "cloud"], ...]:
        """The tiers in the middle by which a tier can be reached now, the lowest first."""
        return tuple(
            name
            for middle, name in TIERS.items()
            if middle.rank < tier.rank
            and any(
                state.endpoint.tier is middle and state.healthy and state.tokenizer == tokenizer
                for state in self.endpoints.states()
            )
        )

    def attempts(self, caller: str) -> Attempts:
        """The attempts of one new request of this caller."""
        return self.failover.attempts(caller)

    def choose(
        self, request: InferenceRequest, tier: Tier | None, tokenizer: str, attempts: Attempts
    ) -> Choice:
        """An endpoint of this tier (None: of any) whose tokenizer has the device's fingerprint.

        Raises InvalidRequest (`tokenizer_differs`, `tokenizer_unknown`), and what `Routing.choose`
        raises; after a failed attempt its failure instead.
        """
        try:
            return self.alternative(request, tier, tokenizer, attempts, attempts.failed_ids)
        except GatewayError:
            attempts.raise_failure()
            raise

    def alternative(
        self,
        request: InferenceRequest,
        tier: Tier | None,
        tokenizer: str,
        attempts: Attempts,
        tried: Set[str],
    ) -> Choice:
        """The same, beside the endpoints of these ids. Raises only what it would refuse itself."""
        states = self.endpoints.states()
        at_tier = [state for state in states if tier is None or state.endpoint.tier is tier]
        matching = [state for state in at_tier if state.tokenizer == tokenizer]
        if attempts.last is not None:
            # The device has been told the model's name.
            matching = [state for state in matching if attempts.last.model in state.models]
        if not matching:
            raise _no_match(f"tier {tier}" if tier else "any tier", tokenizer, at_tier)
        return self.routing.choose(request, matching, self.clock.now(), self.uniform, tried)


def room_for_answer(choice: Choice, prompt_tokens: int) -> int | None:
    """How many tokens an answer may have there, at least one; None: the engine sets no limit.

    Raises InvalidRequest (`prompt_too_long`).
    """
    max_model_len = choice.state.models[choice.model].max_model_len
    if max_model_len is None:
        return None
    if prompt_tokens >= max_model_len:
        raise prompt_too_long(choice.model, prompt_tokens, max_model_len)
    return max_model_len - prompt_tokens


def _no_match(where: str, tokenizer: str, states: Sequence[EndpointState]) -> GatewayError:
    known = sorted({state.tokenizer for state in states if state.tokenizer})
    if known:
        return InvalidRequest(
            f"the device's tokenizer (fingerprint {tokenizer or 'none'}) differs from that of "
            f"{where} (fingerprint {', '.join(known)}); draft with a model of its family",
            code="tokenizer_differs",
        )
    if any(state.healthy for state in states):
        return InvalidRequest(
            f"the tokenizer at {where} is unknown, as its engines have no /tokenize; "
            "token ids can't be trusted there",
            code="tokenizer_unknown",
        )
    return NoEndpoint(
        f"no endpoint at {where} can answer now", retry_after=RETRY_AFTER_S, code="no_endpoint"
    )
