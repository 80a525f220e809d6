"""Verified tokens on their way to the device: each step's at once, as they come."""

from __future__ import annotations

from functools import partial

from gateway.core.ports import Verification
from gateway.core.speculation.job import Batch
from gateway.core.upstream_errors import aborted, idle_timeout
from gateway.protocol.speculation import FinishReason, Tokens
from gateway.serving.devices.drafting.context import SessionContext
from gateway.serving.requests.progress_timeout import ProgressTimeout


async def relay(
    context: SessionContext,
    verification: Verification,
    batch: Batch | None,
    timeout: ProgressTimeout,
) -> None:
    """From the first batch to `done`. Raises UpstreamError."""
    services, outcome, state = context.services, context.outcome.request, context.state
    read, now, put, number = (
        verification.read,
        services.clock.now,
        context.say,
        context.frame.s,
    )
    tier, idle_s = context.tier, services.timeouts.idle_s
    step_done, gap = services.telemetry.step, services.verifiers.telemetry.gap
    reason: FinishReason = "stop"
    stop, last = None, 0.0
    timeout.expect(idle_s, partial(idle_timeout, outcome.endpoint, idle_s))
    while batch is not None:
        moment = now()
        if batch.ids:
            step = state.take(batch.ids, moment)
            put(Tokens(number, step.position, list(batch.ids), step.drafted))
            step_done(tier, step)
            if outcome.first_byte is None:
                outcome.first_byte = moment
            else:
                gap(outcome.model, tier, moment - last)
            outcome.last_byte = last = moment
        if batch.reason is not None:
            reason, stop = _reason(outcome.endpoint, batch.reason), batch.stop
        timeout.extend(moment + idle_s)
        batch = await read()
    outcome.status = 200
    if usage := verification.usage:
        outcome.prompt_tokens = usage[0]
    context.done(reason, stop)


def _reason(endpoint: str, reason: str) -> FinishReason:
    """Raises EngineFailed for any other reason, such as an abort on the engine's side."""
    if reason == "stop":
        return "stop"
    if reason == "length":
        return "length"
    raise aborted(endpoint)
