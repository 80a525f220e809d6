"""Builds `tierflow-cascade` out of the settings and what all requests share."""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import orjson
from prometheus_client import CollectorRegistry

from gateway.adapters.cascade_metrics import CascadeMetrics
from gateway.adapters.outcome_log import OutcomeFile
from gateway.core.cascade.predictor import BY_MEAN, Predictor, PredictorProblem, from_data
from gateway.core.ports import Clock, EndpointSource, Members, Telemetry
from gateway.errors import ConfigError
from gateway.serving.admission import Admission
from gateway.serving.cascade.audit import Audits
from gateway.serving.cascade.confidence import Judges, Judging
from gateway.serving.cascade.devices import DeviceTier
from gateway.serving.cascade.lower import Lower, Tier
from gateway.serving.cascade.rules import Defaults, Rules
from gateway.serving.cascade.services import CascadeServices
from gateway.serving.cascade.story import Cascade
from gateway.serving.cascade.upper import Upper
from gateway.serving.dispatch import Waits
from gateway.serving.server_calls import ServerCalls
from gateway.serving.verification import Verifiers
from gateway.settings.cascade import Cascade as Settings

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Shared:
    """What the cascade draws on together with ordinary requests."""

    endpoints: EndpointSource
    clock: Clock
    telemetry: Telemetry
    admission: Admission
    waits: Waits
    calls: ServerCalls
    verifiers: Verifiers
    members: Members | None = None


class CascadePart:
    """`metrics` belong to the process; the rest is built when the server starts."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        """Raises ConfigError."""
        self._settings = settings
        self._predictor = load_predictor(settings.predictor)
        require_methods(self._predictor, settings)
        self._metrics = CascadeMetrics(registry, dict(settings.cost_per_token))
        self._log: OutcomeFile | None = None
        self._audits: Audits | None = None

    def story(self, with_: Shared) -> Cascade:
        """Inside the event loop."""
        settings = self._settings
        if settings.outcome_log is not None:
            self._log = OutcomeFile(Path(settings.outcome_log))
        lower = Lower(with_.calls, with_.endpoints)
        defaults = Defaults(
            settings.quality, settings.confidence, settings.stream_mode, settings.audit_share
        )
        services = CascadeServices(
            tiers=[Tier(s.model or "", s.devices, s.max_tokens) for s in settings.stages],
            defaults=defaults,
            rules=Rules(self._predictor, defaults),
            lower=lower,
            upper=Upper(with_.verifiers, with_.calls, with_.waits, lambda: secrets.token_hex(16)),
            judges=Judges(with_.calls, lower, judging(settings)),
            devices=DeviceTier(with_.members),
            endpoints=with_.endpoints,
            clock=with_.clock,
            telemetry=self._metrics,
            log=self._log,
            uniform=random.random,
            wall=time.time,
        )
        self._audits = Audits(services, with_.calls)
        return Cascade(services, with_.admission, with_.telemetry, self._audits, with_.waits.idle_s)

    async def stop(self) -> None:
        if self._audits is not None:
            await self._audits.stop()
        if self._log is not None:
            self._log.close()


def judging(settings: Settings) -> Judging:
    check = settings.self_check
    return Judging(
        settings.samples,
        settings.sample_temperature,
        settings.answer_lead,
        check.template,
        check.expects,
        check.max_tokens,
    )


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


def load_predictor(path: str | None) -> Predictor:
    """The file, or the rule that is shipped. Raises ConfigError."""
    try:
        if path is None:
            data = resources.files("gateway.core.cascade").joinpath("default.json").read_bytes()
        else:
            data = _read(Path(path))
        return from_data(orjson.loads(data))
    except OSError as error:
        raise ConfigError(f"cascade.predictor: {path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"cascade.predictor: {path} is not valid JSON: {error.msg}") from error
    except PredictorProblem as error:
        raise ConfigError(f"cascade.predictor: {path}: {error}") from error


def _read(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"cascade.predictor: {path} has more than {MAX_BYTES} bytes")
    return path.read_bytes()
