"""By which rule an answer is judged: what the caller asks for, on what a predictor knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.cascade.predictor import BY_MEAN, ConfidenceModel, Predictor
from gateway.core.cascade.predictor_choice import Predictors
from gateway.core.ports import EndpointSource
from gateway.errors import InvalidRequest
from gateway.serving.cascade.lower_tier import StageSpec
from gateway.serving.cascade.options import CascadeRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeDefaults:
    """What holds where a request says nothing; `audit_share` from 0 to 1."""

    quality: float
    method: str
    stream_mode: str
    audit_share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceRule:
    """An answer passes at a confidence of `threshold`, mostly 0 to 1; `window` in tokens."""

    method: str
    model: ConfidenceModel
    threshold: float
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceRules:
    """For the requests to one cascade, whose `tiers` come the lowest first."""

    tiers: Sequence[StageSpec]
    endpoints: EndpointSource
    predictors: Predictors
    defaults: CascadeDefaults

    def for_models(self, asked: CascadeRequest) -> AcceptanceRule:
        """Raises InvalidRequest where the predictor lacks the method that is asked for."""
        method = asked.options.confidence or self.defaults.method
        below = [tier for tier in self.tiers[:-1] if not tier.devices]
        # What was fitted to one pair says nothing of the answers of a tier between the two.
        lower = self._model(below[0]) if len(below) == 1 else ""
        predictor = self.predictors.of(lower, self._model(self.tiers[-1]), method)
        model = predictor.model(method)
        if model is None:
            raise InvalidRequest(
                f"tierflow.cascade.confidence: the gateway's predictor knows no {method}; "
                "calibrate it for that, or leave it out",
                param="tierflow.cascade.confidence",
                code="invalid_parameter",
            )
        return self._rule(asked, predictor, method, model)

    def for_devices(self, asked: CascadeRequest, lower: str) -> AcceptanceRule:
        """`lower` is the device's model. The method is not the caller's choice: only the mean is
        known."""
        predictor = self.predictors.of(lower, self._model(self.tiers[-1]), BY_MEAN)
        model = predictor.model(BY_MEAN)
        assert model is not None, "a gateway with a device as a stage needs it from its start"
        return self._rule(asked, predictor, BY_MEAN, model)

    def _model(self, tier: StageSpec) -> str:
        """What answers for it now; "" where that is not known, or not one model."""
        if tier.place is None:
            return tier.model
        states = [s for s in self.endpoints.states() if s.endpoint.tier is tier.place]
        names = {next(iter(state.models)) for state in states if state.models}
        return names.pop() if len(names) == 1 else ""

    def _rule(
        self, asked: CascadeRequest, predictor: Predictor, method: str, model: ConfidenceModel
    ) -> AcceptanceRule:
        window = asked.options.window or predictor.window
        return AcceptanceRule(
            method=method, model=model, threshold=self._threshold(asked, model), window=window
        )

    def _threshold(self, asked: CascadeRequest, model: ConfidenceModel) -> float:
        """The body's own word goes before the header's."""
        options = asked.options
        if options.threshold is not None:
            return options.threshold
        demanded = options.quality or asked.request.demands.cascade_quality
        return model.threshold(demanded or self.defaults.quality)
