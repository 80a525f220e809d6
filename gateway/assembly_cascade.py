"""Builds `tierflow-cascade` out of the settings and what all requests share."""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from gateway.adapters.files.outcome_log import OutcomeFile
from gateway.adapters.files.predictors import CAUTIOUS, load_predictor, shipped
from gateway.adapters.prometheus.cascade import CascadeMetrics
from gateway.core.cascade.predictor import BY_MEAN, Predictor
from gateway.core.cascade.predictor_choice import Predictors
from gateway.core.ports import Clock, EndpointSource, Members, Telemetry
from gateway.core.prices import Prices
from gateway.errors import ConfigError
from gateway.serving.cascade.audits import Audits
from gateway.serving.cascade.confidence import ConfidenceProbes, ProbeSettings
from gateway.serving.cascade.devices import DeviceTier
from gateway.serving.cascade.handler import CascadeHandler
from gateway.serving.cascade.lower_tier import LowerTier, StageSpec
from gateway.serving.cascade.rules import AcceptanceRules, CascadeDefaults
from gateway.serving.cascade.services import CascadeDeps
from gateway.serving.cascade.top_tier import TopTier
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.dispatch import Waits
from gateway.serving.requests.engine_calls import EngineCalls
from gateway.serving.requests.verifiers import Verifiers
from gateway.settings.cascade import CascadeSettings as Settings


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What the cascade draws on together with ordinary requests."""

    endpoints: EndpointSource
    clock: Clock
    telemetry: Telemetry
    admission: Admission
    waits: Waits
    calls: EngineCalls
    verifiers: Verifiers
    members: Members | None = None


class CascadePart:
    """`metrics` belong to the process; the rest is built when the server starts."""

    def __init__(self, settings: Settings, registry: CollectorRegistry, prices: Prices) -> None:
        """Raises ConfigError."""
        self._settings = settings
        self._predictors = predictors(settings)
        self._metrics = CascadeMetrics(registry, prices)
        self._log: OutcomeFile | None = None
        self._audits: Audits | None = None

    def story(self, with_: Shared) -> CascadeHandler:
        """Inside the event loop."""
        settings = self._settings
        if settings.outcome_log is not None:
            self._log = OutcomeFile(Path(settings.outcome_log))
        lower = LowerTier(with_.calls, with_.endpoints)
        defaults = CascadeDefaults(
            quality=settings.quality,
            method=settings.confidence,
            stream_mode=settings.stream_mode,
            audit_share=settings.audit_share,
        )
        tiers = [StageSpec(s.model or "", s.devices, s.max_tokens) for s in settings.stages]
        services = CascadeDeps(
            tiers=tiers,
            defaults=defaults,
            rules=AcceptanceRules(
                tiers=tiers,
                endpoints=with_.endpoints,
                predictors=self._predictors,
                defaults=defaults,
            ),
            lower=lower,
            upper=TopTier(
                verifiers=with_.verifiers,
                calls=with_.calls,
                waits=with_.waits,
                new_id=lambda: secrets.token_hex(16),
            ),
            judges=ConfidenceProbes(with_.calls, lower, judging(settings)),
            devices=DeviceTier(with_.members),
            endpoints=with_.endpoints,
            clock=with_.clock,
            telemetry=self._metrics,
            log=self._log,
            uniform=random.random,
            wall=time.time,
        )
        self._audits = Audits(services, with_.calls)
        return CascadeHandler(
            services=services,
            admission=with_.admission,
            telemetry=with_.telemetry,
            audits=self._audits,
            stalled_s=with_.waits.idle_s,
        )

    async def stop(self) -> None:
        if self._audits is not None:
            await self._audits.stop()
        if self._log is not None:
            self._log.close()


def judging(settings: Settings) -> ProbeSettings:
    check = settings.self_check
    return ProbeSettings(
        samples=settings.samples,
        temperature=settings.sample_temperature,
        lead=settings.answer_lead,
        template=check.template,
        expects=check.expects,
        max_tokens=check.max_tokens,
    )


def predictors(settings: Settings) -> Predictors:
    """Raises ConfigError."""
    given = None
    if settings.predictor is not None:
        given = load_predictor(settings.predictor)
        require_methods(given, settings)
    return Predictors(load_predictor(CAUTIOUS), shipped(), given)


def require_methods(predictor: Predictor, settings: Settings) -> None:
    """Raises ConfigError where a lower stage could never be judged."""
    name = settings.predictor
    below = settings.stages[:-1]
    if any(stage.devices for stage in below) and predictor.model(BY_MEAN) is None:
        raise ConfigError(
            f"cascade.predictor: {name} has no method {BY_MEAN}, by which a device's answers are "
            "judged; calibrate with the device as the lowest stage, or leave the predictor out"
        )
    wanted = settings.confidence
    if any(stage.model for stage in below) and predictor.model(wanted) is None:
        raise ConfigError(
            f"cascade.predictor: {name} has no method {wanted}, which cascade.confidence asks for; "
            "calibrate it with that method, or leave the predictor out"
        )
