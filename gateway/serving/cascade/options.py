"""What a request asks of the cascade, and the rule by which its answers are accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.cascade.predictor import BY_MEAN, ConfidenceModel, Predictor
from gateway.core.cascade.predictor_choice import Predictors
from gateway.core.ports import EndpointSource
from gateway.core.tier import Tier
from gateway.core.types import Demands, InferenceRequest
from gateway.protocol.requests.cascade import CascadeOptions
from gateway.protocol.requests.neutral_fields import is_neutral, telling_fields
from gateway.protocol.virtual_models import CASCADE, CLOUD, EDGE
from gateway.serving.chat import request as chat_request
from gateway.serving.chat.messages import text_of
from gateway.serving.chat.request import DEVICE_SAMPLING, ChatRequest

ANY_DEVICE = "any"
_TIERS: Mapping[str, Tier] = {EDGE: Tier.EDGE, CLOUD: Tier.CLOUD}

SAMPLING = frozenset(
    {
        "temperature", "top_p", "top_k", "min_p", "seed", "stop", "max_tokens",
        "max_completion_tokens", "presence_penalty", "frequency_penalty", "repetition_penalty",
        "min_tokens", "ignore_eos", "logit_bias", "bad_words", "allowed_token_ids",
        "stop_token_ids", "include_stop_str_in_output", "skip_special_tokens",
        "spaces_between_special_tokens", "response_format", "structured_outputs",
    }
)  # fmt: skip
"""Fields that mean the same where an answer is made out of token ids."""

OF_THE_WHOLE = frozenset(
    {
        "response_format", "structured_outputs", "min_tokens", "presence_penalty",
        "frequency_penalty", "repetition_penalty",
    }
)  # fmt: skip
"""Fields that look at the answer from its beginning: no other model can go on in its middle."""

_HEEDED_HERE = frozenset(
    {
        "model", "messages", "stream", "stream_options", "tierflow", "return_token_ids",
        "logprobs", "top_logprobs", "n",
    }
)  # fmt: skip
_OF_TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
_OF_DEVICES = frozenset({*DEVICE_SAMPLING, "max_tokens", "max_completion_tokens"})
_ROLES_OF_DEVICES = frozenset({"system", "developer", "user", "assistant"})


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stage of the cascade: `model` may be virtual; `devices`, in its place, are ids or `any`."""

    model: str = ""
    devices: tuple[str, ...] = ()
    max_tokens: int | None = None

    @property
    def name(self) -> str:
        return self.model or "device"

    @property
    def tier(self) -> Tier | None:
        """The tier that its virtual model prefers; None for a model's own name."""
        return _TIERS.get(self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeDefaults:
    """What holds where a request says nothing; `audit_share` from 0 to 1."""

    quality: float
    method: str
    stream_mode: str
    audit_share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeRequest:
    """A chat request to the cascade.

    `engine_fields` are the caller's fields for an engine. `portable`: the answer can be made out of
    token ids too. `divisible`: another model may go on in the middle of it. `for_devices`: a device
    heeds all of it.
    """

    chat: ChatRequest
    options: CascadeOptions
    engine_fields: Mapping[str, Any]
    portable: bool
    divisible: bool
    for_devices: bool

    @property
    def whole(self) -> bool:
        """The engine's own message goes to the caller in one piece, with its tool calls or
        log-probabilities."""
        body = self.chat.body
        return not self.inference.stream and bool(body.tools or body.logprobs)

    @property
    def inference(self) -> InferenceRequest:
        return self.chat.inference

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        return self.chat.messages

    @property
    def question(self) -> str:
        """The last user message's text."""
        for message in reversed(self.messages):
            if message.get("role") == "user" and isinstance(message.get("content"), str):
                return str(message["content"])
        return ""

    def chat_fields(self, *, stops: bool = True) -> dict[str, Any]:
        """For a chat completion; without its bound on tokens."""
        left_out = {"max_tokens", "max_completion_tokens"} | (set() if stops else {"stop"})
        fields = {k: value for k, value in self.engine_fields.items() if k not in left_out}
        return {**fields, "messages": list(self.messages)}

    def logprobs_fields(self) -> dict[str, Any]:
        """What asks an engine for the log-probabilities that the caller is to get."""
        body = self.chat.body
        if not body.logprobs:
            return {}
        return {"logprobs": True, "top_logprobs": body.top_logprobs or 0}

    def sampling(self, *, stops: bool = True) -> dict[str, Any]:
        """For an answer out of token ids; without its bound on tokens."""
        fields = self.chat_fields(stops=stops)
        sampling = {name: value for name, value in fields.items() if name in SAMPLING}
        return sampling | self.chat.caller_fields

    def max_tokens_at(self, stage: StageSpec) -> int | None:
        """The smaller of the caller's bound on the answer's tokens and the stage's own."""
        bounds = (self.chat.max_tokens, stage.max_tokens)
        return min((bound for bound in bounds if bound is not None), default=None)

    def cut_at_stage(self, finish_reason: str | None, tokens: int) -> bool:
        """Whether an answer of so many tokens ended at the stage's limit. One that ends at the
        caller's own bound is what the caller asked for."""
        own = self.chat.max_tokens
        return finish_reason == "length" and (own is None or tokens < own)

    def demands(self, deadline_s: float | None = None) -> Demands:
        """The caller's own, with a deadline in seconds from now."""
        return replace(self.inference.demands, deadline_s=deadline_s)

    def demands_within(self, stage: StageSpec, deadline_s: float | None) -> Demands:
        """For what only this stage's own model can say: it overflows to no tier above."""
        demands, tier = self.demands(deadline_s), stage.tier
        if tier is None or (demands.max_tier is not None and demands.max_tier.rank < tier.rank):
            return demands
        return replace(demands, max_tier=tier)

    def body_for_caller(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """An engine's body without what only the cascade asked the engine for."""
        choice = dict(body["choices"][0])
        cleared = {**body, "choices": [choice]}
        if not self.chat.body.logprobs:
            choice["logprobs"] = None
        if not self.chat.body.return_token_ids:
            choice["token_ids"] = cleared["prompt_token_ids"] = None
        return cleared


def read(request: InferenceRequest) -> CascadeRequest:
    """Raises InvalidRequest."""
    chat = chat_request.read(request, CASCADE)
    chat_request.refuse(chat, CASCADE, {})
    if chat.options.collective is not None:
        raise chat_request.unsupported("tierflow.collective", CASCADE, "it takes `cascade` there")
    left_out = _HEEDED_HERE if chat.body.tools else _HEEDED_HERE | _OF_TOOLS
    fields = {name: value for name, value in chat.fields.items() if name not in left_out}
    plain_text = all(isinstance(message.content, str) for message in chat.body.messages)
    portable = plain_text and not telling_fields(fields, SAMPLING) and not chat.body.logprobs
    return CascadeRequest(
        chat=chat,
        options=chat.options.cascade or CascadeOptions(),
        engine_fields=fields,
        portable=portable,
        divisible=portable and all(is_neutral(name, fields.get(name)) for name in OF_THE_WHOLE),
        for_devices=not telling_fields(fields, _OF_DEVICES)
        and not chat.body.logprobs
        and not chat.body.return_token_ids
        and all(map(_for_devices, chat.messages)),
    )


def _for_devices(message: Mapping[str, Any]) -> bool:
    """Devices get the role and the text of a message alone."""
    heard = {"role", "content"}
    return (
        message["role"] in _ROLES_OF_DEVICES
        and text_of(message.get("content")) is not None
        and not telling_fields(message, heard)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceRule:
    """The rule that judges an answer: it passes at a confidence of `threshold`, mostly 0 to 1;
    `window` in tokens."""

    method: str
    model: ConfidenceModel
    threshold: float
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceRules:
    """The rules for the requests to one cascade, whose `stages` come the lowest first."""

    stages: Sequence[StageSpec]
    endpoints: EndpointSource
    predictors: Predictors
    defaults: CascadeDefaults

    def for_models(self, request: CascadeRequest) -> AcceptanceRule:
        """Raises InvalidRequest where the predictor lacks the method that is asked for."""
        method = request.options.confidence or self.defaults.method
        below = [stage for stage in self.stages[:-1] if not stage.devices]
        # A predictor that was fitted to one pair tells nothing of a stage between the two.
        lower = self._model(below[0]) if len(below) == 1 else ""
        predictor = self.predictors.of(lower, self._model(self.stages[-1]), method)
        model = predictor.model(method)
        if model is None:
            raise chat_request.unsupported(
                "tierflow.cascade.confidence",
                CASCADE,
                f"the gateway's predictor has no method {method}; calibrate it for that, or leave "
                "this out",
            )
        return self._rule(request, predictor, method, model)

    def for_devices(self, request: CascadeRequest, lower: str) -> AcceptanceRule:
        """`lower` is the device's model. The method is not the caller's choice: of a device only
        the mean is known."""
        predictor = self.predictors.of(lower, self._model(self.stages[-1]), BY_MEAN)
        model = predictor.model(BY_MEAN)
        assert model is not None, "a gateway with a device as a stage needs it from its start"
        return self._rule(request, predictor, BY_MEAN, model)

    def _model(self, stage: StageSpec) -> str:
        """The model that answers for it now; "" where that is not known, or not one model."""
        if stage.tier is None:
            return stage.model
        states = [s for s in self.endpoints.states() if s.endpoint.tier is stage.tier]
        names = {next(iter(state.models)) for state in states if state.models}
        return names.pop() if len(names) == 1 else ""

    def _rule(
        self, request: CascadeRequest, predictor: Predictor, method: str, model: ConfidenceModel
    ) -> AcceptanceRule:
        return AcceptanceRule(
            method=method,
            model=model,
            threshold=self._threshold(request, model),
            window=request.options.window or predictor.window,
        )

    def _threshold(self, request: CascadeRequest, model: ConfidenceModel) -> float:
        """What the body says goes before what the header says."""
        options = request.options
        if options.threshold is not None:
            return options.threshold
        quality = options.quality or request.inference.demands.cascade_quality
        return model.threshold(quality or self.defaults.quality)
