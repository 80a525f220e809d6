"""What one request may ask for, from the settings."""

from __future__ import annotations

from gateway.core.request_bounds import RequestBounds
from gateway.settings.bounds import RequestLimits

MIB = 1024 * 1024
MOST_BYTES = 256 * MIB
BESIDE_BYTES = 128 * MIB
"""What the gateway needs without any bodies, and some for what they wait in on their way."""
COPIES = 4
"""A body, the same with another model's name, and both on their way through sockets."""


def request_bounds(limits: RequestLimits) -> RequestBounds:
    return RequestBounds(
        answers=limits.max_answers,
        tokens=limits.max_answer_tokens,
        logprobs=limits.max_logprobs,
        prompts=limits.max_prompts,
        prompt_chars=limits.max_prompt_chars,
        stops=limits.max_stops,
        list_items=limits.max_list_items,
        tools=limits.max_tools,
        choices=limits.max_choices,
        schema_bytes=limits.max_schema_bytes,
        media=limits.max_media,
        media_hosts=limits.media_hosts,
    )


def bodies_bytes(limits: RequestLimits, memory_bytes: int | None) -> int:
    """The room for all bodies, where the process may have so much memory (None: no limit)."""
    if limits.max_bodies_bytes is not None:
        return limits.max_bodies_bytes
    if memory_bytes is None:
        return max(MOST_BYTES, limits.max_body_bytes)
    room = min(MOST_BYTES, (memory_bytes - BESIDE_BYTES) // COPIES)
    return max(room, limits.max_body_bytes)
