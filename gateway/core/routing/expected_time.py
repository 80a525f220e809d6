"""How long would this request take at that endpoint? Measured rates, put together."""

from __future__ import annotations

from gateway.core.routing.context import prompt_tokens
from gateway.core.types import EndpointState, InferenceRequest


def expected_seconds(request: InferenceRequest, state: EndpointState, now: float) -> float:
    """Expected seconds to the last token: queueing + prefill + decode.

    Queueing: `queue` requests ahead leave at the rate running / service time (a full server
    works its queue off in the order of arrival). Decode: the answer's expected length is the
    mean seen at this endpoint, within what the caller allows.
    """
    queueing = state.queue * state.service_s.at(now) / max(1, state.running)
    prefill = prompt_tokens(request, state, now) * state.prefill_s_per_token.at(now)
    tokens = state.answer_tokens.at(now)
    if request.max_tokens is not None:
        tokens = min(tokens, float(request.max_tokens))
    return queueing + prefill + tokens * state.decode_s_per_token.at(now)
