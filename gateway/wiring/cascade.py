"""Builds `tierflow-cascade` out of the settings and what all requests share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.adapters.files.outcome_log import OutcomeFile
from gateway.adapters.files.predictors import CAUTIOUS, load_predictor, shipped
from gateway.core.cascade.ports import CascadeTelemetry, OutcomeLog
from gateway.core.cascade.predictor import BY_MEAN, Predictor
from gateway.core.cascade.predictor_choice import Predictors
from gateway.core.ports import Members
from gateway.errors import ConfigError
from gateway.serving.cascade.audits import Audits
from gateway.serving.cascade.confidence import ConfidenceProbes, ProbeSettings
from gateway.serving.cascade.handler import CascadeHandler
from gateway.serving.cascade.lower_tier import DeviceTier, LowerTier
from gateway.serving.cascade.options import AcceptanceRules, CascadeDefaults, StageSpec
from gateway.serving.cascade.state import CascadeDeps
from gateway.serving.cascade.top_tier import TopTier
from gateway.settings.virtual_models.cascade import CascadeSettings
from gateway.wiring.shared import Shared


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeParts:
    """The handler of `tierflow-cascade`, and what judges its answers."""

    handler: CascadeHandler
    stages: Sequence[StageSpec]
    predictors: Predictors

    def conditions(self, served: Collection[str]) -> dict[str, str]:
        """What is degraded, where engines serve the models `served`."""
        absent = self.predictors.absent_models(
            served, devices=any(stage.devices for stage in self.stages)
        )
        if not absent:
            return {}
        names = " and ".join(absent)
        return {
            "predictor-foreign": f"cascade.predictor was fitted to answers of {names}, which no "
            "engine serves: its confidence says little of the models that answer"
        }


def build_cascade(
    stack: AsyncExitStack,
    settings: CascadeSettings,
    *,
    shared: Shared,
    members: Members | None,
    predictors: Predictors,
    telemetry: CascadeTelemetry,
    log: OutcomeLog | None = None,
) -> CascadeParts:
    """Inside the event loop; `stack` stops the audits under way."""
    lower_tier = LowerTier(shared.calls, shared.endpoints)
    defaults = cascade_defaults(settings)
    stages = [StageSpec(s.model or "", s.devices, s.max_tokens) for s in settings.stages]
    deps = CascadeDeps(
        stages=stages,
        defaults=defaults,
        rules=AcceptanceRules(
            stages=stages, endpoints=shared.endpoints, predictors=predictors, defaults=defaults
        ),
        lower_tier=lower_tier,
        top_tier=TopTier(
            verifiers=shared.verifiers,
            calls=shared.calls,
            timeouts=shared.timeouts,
            new_id=shared.new_id,
        ),
        probes=ConfidenceProbes(shared.calls, lower_tier, probe_settings(settings)),
        device_tier=DeviceTier(members),
        endpoints=shared.endpoints,
        clock=shared.clock,
        telemetry=telemetry,
        log=log,
        uniform=shared.uniform,
        unix_time=shared.wall,
    )
    audits = Audits(deps, shared.calls)
    stack.push_async_callback(audits.stop)
    return CascadeParts(
        stages=stages,
        predictors=predictors,
        handler=CascadeHandler(
            deps=deps,
            admission=shared.admission,
            telemetry=shared.telemetry,
            audits=audits,
            stalled_s=shared.timeouts.idle_s,
        ),
    )


def cascade_defaults(settings: CascadeSettings) -> CascadeDefaults:
    return CascadeDefaults(
        quality=settings.quality,
        method=settings.confidence,
        stream_mode=settings.stream_mode,
        audit_share=settings.audit_share,
    )


def outcome_file(stack: AsyncExitStack, settings: CascadeSettings) -> OutcomeFile | None:
    """The file of outcomes, which `stack` closes; None where the settings name none."""
    if settings.outcome_log is None:
        return None
    file = OutcomeFile(Path(settings.outcome_log))
    stack.callback(file.close)
    return file


def probe_settings(settings: CascadeSettings) -> ProbeSettings:
    check = settings.self_check
    return ProbeSettings(
        samples=settings.samples,
        temperature=settings.sample_temperature,
        lead=settings.answer_lead,
        template=check.template,
        expects=check.expects,
        max_tokens=check.max_tokens,
    )


def predictors(settings: CascadeSettings) -> Predictors:
    """Raises ConfigError."""
    given = None
    if settings.predictor is not None:
        given = load_predictor(settings.predictor)
        require_methods(given, settings)
    return Predictors(load_predictor(CAUTIOUS), shipped(), given)


def require_methods(predictor: Predictor, settings: CascadeSettings) -> None:
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
