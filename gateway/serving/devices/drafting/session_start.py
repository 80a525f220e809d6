"""From an `open` frame to a session that can run."""

from __future__ import annotations

import msgspec

from gateway.core.body import prompt_chars_and_key
from gateway.core.outcome import Outcome
from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import SessionState
from gateway.core.types import InferenceRequest
from gateway.protocol.speculation import Open
from gateway.serving.devices.drafting.context import DraftingDeps, SessionContext
from gateway.serving.devices.drafting.session import DraftingSession
from gateway.serving.devices.outbox import Outbox


class BadOpen(Exception):
    """An open frame that can't be meant so."""


def start(services: DraftingDeps, frame: Open, device: str, outbox: Outbox) -> DraftingSession:
    """Raises BadOpen."""
    if bool(frame.prompt) == bool(frame.messages):
        raise BadOpen("give either prompt (token ids) or messages, and not both")
    sampling = msgspec.to_builtins(frame.sampling)
    try:
        chars, key = prompt_chars_and_key({"messages": frame.messages, "prompt": frame.prompt})
    except RecursionError:
        raise BadOpen("messages: nested too deeply") from None
    request = InferenceRequest(
        id=services.new_id(),
        path="/v1/completions",
        model=frame.model or f"tierflow-{frame.tier}",
        body=b"",
        received=services.clock.now(),
        stream=True,
        prompt_chars=chars,
        prefix_key=key,
        max_tokens=frame.sampling.max_tokens,
    )
    outcome = SessionOutcome(request=Outcome(request=request), device=device)
    state = SessionState(prompt=list(frame.prompt), sampling=sampling)
    return DraftingSession(
        SessionContext(
            services=services,
            frame=frame,
            request=request,
            outcome=outcome,
            outbox=outbox,
            state=state,
        )
    )
