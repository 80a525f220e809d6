"""Does the prompt fit? An estimate from characters, since only the engine knows the tokens."""

from __future__ import annotations

from gateway.core.types import EndpointState, InferenceRequest


def prompt_tokens(request: InferenceRequest, state: EndpointState, now: float) -> float:
    """Estimated prompt length in tokens, from the characters per token seen at this endpoint."""
    return request.prompt_chars / max(0.5, state.chars_per_token.at(now))


def has_room(request: InferenceRequest, model: str, state: EndpointState, now: float) -> bool:
    """True when the prompt and at least the first token (or all `max_tokens`) fit.

    The estimate may err, so this orders endpoints and never refuses: when nothing seems to have
    room the engine decides, and its own error reaches the caller.
    """
    served = state.models.get(model)
    if served is None or served.max_model_len is None:
        return True
    answer_tokens = request.max_tokens if request.max_tokens is not None else 1
    return prompt_tokens(request, state, now) + answer_tokens <= served.max_model_len
