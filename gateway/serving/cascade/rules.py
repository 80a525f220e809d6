"""By which rule an answer is judged: what the caller asks for, on what a predictor knows."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.cascade.predictor import BY_MEAN, Model, Predictor
from gateway.errors import InvalidRequest
from gateway.serving.cascade.asked import Asked


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a request says nothing; `audit_share` from 0 to 1."""

    quality: float
    method: str
    stream_mode: str
    audit_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """An answer passes at a confidence of `threshold`, mostly 0 to 1; `window` in tokens."""

    method: str
    model: Model
    threshold: float
    window: int


@dataclass(frozen=True, slots=True)
class Rules:
    """For the requests to one cascade."""

    predictor: Predictor
    defaults: Defaults

    def for_models(self, asked: Asked) -> Rule:
        """Raises InvalidRequest where the predictor lacks the method that is asked for."""
        method = asked.options.confidence or self.defaults.method
        model = self.predictor.model(method)
        if model is None:
            raise InvalidRequest(
                f"tierflow.cascade.confidence: the gateway's predictor knows no {method}; "
                "calibrate it for that, or leave it out",
                param="tierflow.cascade.confidence",
            )
        return self._rule(asked, self.predictor, method, model)

    def for_devices(self, asked: Asked) -> Rule:
        """The method is not the caller's choice: only the mean is known."""
        model = self.predictor.model(BY_MEAN)
        assert model is not None, "a gateway with a device as a stage needs it from its start"
        return self._rule(asked, self.predictor, BY_MEAN, model)

    def _rule(self, asked: Asked, predictor: Predictor, method: str, model: Model) -> Rule:
        window = asked.options.window or predictor.window
        return Rule(method, model, self._threshold(asked, model), window)

    def _threshold(self, asked: Asked, model: Model) -> float:
        """The body's own word goes before the header's."""
        options = asked.options
        if options.threshold is not None:
            return options.threshold
        demanded = options.quality or asked.request.demands.cascade_quality
        return model.threshold(demanded or self.defaults.quality)
