"""Fields of a request's body that change nothing in its answer: because of what they are for, or
with the value that they have. Clients send many of them, and they must not change who answers."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

OF_THE_CALLER = frozenset(
    {
        "user", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
        "cache_salt", "priority", "session_id",
    }
)  # fmt: skip
"""Fields that tell an engine who asks, whose turn it is, and who may share cached prompts. They go
along with each call that a request leads to: a call without them would leave its prompt to all."""

FOR_THE_RECORD = OF_THE_CALLER | {
    "metadata", "store", "request_id", "prediction", "parallel_tool_calls",
}  # fmt: skip
"""Fields that tell who asks, or how fast and where the answer is made. `parallel_tool_calls` is
about `tools`, which have a field of their own."""

_BY_DEFAULT: tuple[object, ...] = (None, False, 0, "", [], {})
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "n": (None, 1),
    "best_of": (None, 1),
    "repetition_penalty": (None, 1),
    "length_penalty": (None, 1),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "tool_choice": (None, "none", "auto"),
    "function_call": (None, "none", "auto"),
    "include_reasoning": (None, True),
    "skip_special_tokens": (None, True),
    "spaces_between_special_tokens": (None, True),
    "add_generation_prompt": (None, True),
    # What is left out differs between chats and plain completions.
    "add_special_tokens": (None,),
    # 0 asks for the probability of the token itself.
    "logprobs": (None, False),
    "prompt_logprobs": (None,),
    # 0 leaves no token: of the prompt, or for thoughts.
    "truncate_prompt_tokens": (None,),
    "thinking_token_budget": (None,),
    "stream_interval": (None, 1),
    "mm_payload": (None, "tensors"),
}
"""By the field's name, the values that are as good as none."""


def telling_fields(body: Mapping[str, Any], understood: Container[str] = ()) -> list[str]:
    """The names of the fields that change the answer, but for those that are `understood`."""
    return [
        name
        for name, value in body.items()
        if name not in understood and name not in FOR_THE_RECORD and not is_neutral(name, value)
    ]


def is_neutral(name: str, value: object) -> bool:
    """Whether the field says with this value what holds without it."""
    return any(_same(value, one) for one in _NEUTRAL.get(name, _BY_DEFAULT))


def _same(value: object, other: object) -> bool:
    """In JSON, false is not 0."""
    return isinstance(value, bool) == isinstance(other, bool) and value == other
