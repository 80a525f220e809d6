"""A request's way through the tiers: the lower ones in turn, and then the top."""

from __future__ import annotations

import asyncio

from gateway.errors import ClientStalled, DeadlineExceeded, GatewayError, InvalidRequest
from gateway.serving.cascade.escalation import escalate
from gateway.serving.cascade.stages import accept, attempt
from gateway.serving.cascade.state import CascadeState


async def run(course: CascadeState) -> None:
    """Once. Raises GatewayError while nothing has been sent, and UpstreamError after."""
    failure: GatewayError | None = None
    for tier in course.services.tiers[:-1]:
        before, began = course.draft, course.services.clock.now()
        try:
            draft, accepted = await attempt(course, tier)
        except (asyncio.CancelledError, ClientStalled):
            # Nobody listens any more; what was made for it counts all the same.
            course.tell_failed(tier, before, began)
            raise
        except InvalidRequest as error:
            # Every tier would refuse it, but for the demands on a tier.
            if error.code != "demand_not_met":
                raise
            failure = error
        except GatewayError as error:
            failure = error
            late = isinstance(error, DeadlineExceeded)
            course.told.reason = "deadline" if late else "tier-failed"
            course.tell_failed(tier, before, began)
        else:
            if accepted:
                await accept(course, draft)
                return
        if course.flow is not None and course.flow.begun:
            break
    await escalate(course, failure)
