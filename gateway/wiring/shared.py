"""What every way of answering draws on: one admission, one retry budget, one dispatch."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.core.admission import AdmissionLimits
from gateway.core.endpoints.outlier_ejection import EjectionRule
from gateway.core.endpoints.usual_waits import UsualWaitRule
from gateway.core.ports import (
    ChainTelemetry,
    Clock,
    EndpointSource,
    ModelServer,
    Telemetry,
    Verifier,
)
from gateway.core.prices import Prices
from gateway.core.privacy import PrivacyRule
from gateway.core.retry import FaultBudgets, RetryBudget
from gateway.core.routing.routing import Routing
from gateway.serving.chain.chains import Chains
from gateway.serving.continuation.continuation import Continuation
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.attempts import Failover
from gateway.serving.requests.dispatch import Dispatch
from gateway.serving.requests.engine_calls import EngineCalls
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.serving.requests.relay import InferenceHandler, OwnServer
from gateway.serving.requests.scale_from_zero import WakeQueue
from gateway.serving.requests.verifiers import VerifierEndpoints
from gateway.settings import Settings
from gateway.settings.bounds import Ejection, RequestLimits, Retries, Timeouts
from gateway.settings.privacy import PrivacySettings


def random_id() -> str:
    """32 hex digits that nobody can guess."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The parts that chat requests, drafting sessions, cascades and collectives have in common.

    `uniform` gives numbers from 0 to 1, `wall` Unix time in seconds, `new_id` 32 hex digits that
    nobody can guess.
    """

    endpoints: EndpointSource
    server: ModelServer
    clock: Clock
    telemetry: Telemetry
    admission: Admission
    timeouts: AnswerTimeouts
    usual_waits: UsualWaitRule
    dispatch: Dispatch
    continuation: Continuation | None
    calls: EngineCalls
    verifiers: VerifierEndpoints
    chains: Chains
    prices: Prices
    privacy: PrivacyRule
    uniform: Callable[[], float]
    wall: Callable[[], float]
    new_id: Callable[[], str]


def build_shared(
    settings: Settings,
    *,
    routing: Routing,
    endpoints: EndpointSource,
    server: ModelServer,
    verifier: Verifier,
    clock: Clock,
    telemetry: Telemetry,
    chain_telemetry: ChainTelemetry,
    budget: RetryBudget | None = None,
    uniform: Callable[[], float] = random.random,
    wall: Callable[[], float] = time.time,
    new_id: Callable[[], str] = random_id,
) -> Shared:
    timeouts, privacy = _timeouts(settings.timeouts), _privacy(settings.privacy)
    usual_waits = _usual_waits(settings.timeouts)
    failover = Failover(
        endpoints=endpoints,
        telemetry=telemetry,
        budget=budget or _retry_budget(settings.retries),
        faults=FaultBudgets(),
        ejection=_ejection_rule(settings.ejection),
        usual_waits=usual_waits,
        clock=clock,
        uniform=uniform,
    )
    dispatch = Dispatch(
        routing=routing,
        endpoints=endpoints,
        server=server,
        clock=clock,
        failover=failover,
        timeouts=timeouts,
        uniform=uniform,
        wake_queue=_wake_queue(settings, endpoints, clock),
    )
    continuation = _continuation(
        settings, dispatch=dispatch, endpoints=endpoints, clock=clock, uniform=uniform
    )
    calls = EngineCalls(
        dispatch=dispatch,
        clock=clock,
        telemetry=telemetry,
        timeouts=timeouts,
        continuation=continuation,
        immediate_continuation=continuation and replace(continuation, patience_s=0.0),
    )
    verifiers = VerifierEndpoints(
        routing=routing,
        endpoints=endpoints,
        verifier=verifier,
        clock=clock,
        telemetry=telemetry,
        failover=failover,
        uniform=uniform,
        continues=settings.continuation.enabled,
        privacy=privacy,
    )
    return Shared(
        endpoints=endpoints,
        server=server,
        clock=clock,
        telemetry=telemetry,
        admission=Admission(_admission_limits(settings.limits), clock, telemetry),
        timeouts=timeouts,
        usual_waits=usual_waits,
        dispatch=dispatch,
        continuation=continuation,
        calls=calls,
        verifiers=verifiers,
        chains=Chains(
            verifiers=verifiers,
            timeouts=timeouts,
            new_id=new_id,
            telemetry=chain_telemetry,
            adapts=settings.chains.adapt,
        ),
        prices=Prices(settings.prices.model_dump()),
        privacy=privacy,
        uniform=uniform,
        wall=wall,
        new_id=new_id,
    )


def _wake_queue(settings: Settings, endpoints: EndpointSource, clock: Clock) -> WakeQueue:
    held = settings.limits.max_queue
    return WakeQueue(endpoints=endpoints, family=settings.family, clock=clock, max_held=held)


def _retry_budget(retries: Retries) -> RetryBudget:
    return RetryBudget(ratio=retries.ratio, max_attempts=retries.max_attempts)


def _privacy(settings: PrivacySettings) -> PrivacyRule:
    return PrivacyRule.of(owner_tiers=settings.owner_tiers, private_tiers=settings.private_tiers)


def _timeouts(waits: Timeouts) -> AnswerTimeouts:
    return AnswerTimeouts(waits.first_token_s, waits.idle_s, waits.answer_s)


def _usual_waits(waits: Timeouts) -> UsualWaitRule:
    return UsualWaitRule(factor=waits.usual_factor, floor_s=waits.usual_floor_s)


def _ejection_rule(ejection: Ejection) -> EjectionRule:
    return EjectionRule(
        consecutive_failures=ejection.consecutive_failures,
        failure_share=ejection.failure_share,
        min_requests=ejection.min_requests,
        window_s=ejection.window_s,
        first_pause_s=ejection.first_pause_s,
        longest_pause_s=ejection.longest_pause_s,
        slow_start_s=ejection.slow_start_s,
    )


def _admission_limits(limits: RequestLimits) -> AdmissionLimits:
    return AdmissionLimits(limits.max_in_flight, limits.max_queue, limits.max_wait_s)


def _continuation(
    settings: Settings,
    *,
    dispatch: Dispatch,
    endpoints: EndpointSource,
    clock: Clock,
    uniform: Callable[[], float],
) -> Continuation | None:
    """What goes on with streams whose engine breaks; None where that is switched off."""
    if not settings.continuation.enabled:
        return None
    return Continuation(
        dispatch=dispatch,
        endpoints=endpoints,
        clock=clock,
        family=settings.family,
        patience_s=settings.continuation.patience_s,
        uniform=uniform,
    )


def build_inference(shared: Shared, own_server: OwnServer | None = None) -> InferenceHandler:
    """What answers every model that engines serve. `own_server` as for the handler."""
    return InferenceHandler(
        admission=shared.admission,
        dispatch=shared.dispatch,
        clock=shared.clock,
        telemetry=shared.telemetry,
        timeouts=shared.timeouts,
        continuation=shared.continuation,
        own_server=own_server,
    )
