"""What one request may ask for, from the settings."""

from __future__ import annotations

from gateway.core.request_bounds import RequestBounds
from gateway.settings.bounds import RequestLimits


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
