"""What a finished request teaches about its endpoint: the rates that `least_time` reckons with."""

from __future__ import annotations

from gateway.core.outcome import Outcome
from gateway.core.types import EndpointState

MIN_TOKENS = 4
MIN_PROMPT_CHARS = 200


def learn(state: EndpointState, outcome: Outcome, now: float) -> None:
    """Update the endpoint's estimates from a request that it has just finished."""
    first = outcome.first_byte
    if outcome.kind != "ok" or outcome.status != 200 or first is None:
        return
    tokens, last = outcome.completion_tokens, outcome.last_byte
    if tokens >= MIN_TOKENS and last is not None:
        state.answer_tokens.observe(float(tokens), now)
        if outcome.request.stream:
            state.decode_s_per_token.observe((last - first) / (tokens - 1), now)
        elif outcome.opened is not None:
            # Prefill is in it, so this errs on the slow side; only clients that never stream
            # leave nothing better.
            state.decode_s_per_token.observe((last - outcome.opened) / tokens, now)
    if outcome.request.stream and tokens >= MIN_TOKENS:
        state.usual.pauses.observe(outcome.longest_pause_s)
    if outcome.prompt_tokens and outcome.request.prompt_chars >= MIN_PROMPT_CHARS:
        state.chars_per_token.observe(outcome.request.prompt_chars / outcome.prompt_tokens, now)
