"""The token counts that an engine reports itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_KEY = b'"usage"'
_USAGE = re.compile(rb'"usage": ?\{')
_COUNT = rb"_tokens\": ?(\d{1,12})(?![\d.eE])"
_PROMPT = re.compile(rb'"(?:prompt|input)' + _COUNT)
_COMPLETION = re.compile(rb'"(?:completion|output)' + _COUNT)
MAX_TOKENS = 10**12 - 1
"""Of one answer. What counts more is no count of tokens, and would fill a quota for ever."""
MAX_USAGE_BYTES = 2048
"""How long the object may be."""
MAX_KEYS = 64
"""So many keys of this name are looked at: a caller's own tools may have some, and are echoed."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one answer; 0 where the engine does not tell one that can be believed."""

    prompt_tokens: int
    completion_tokens: int


def find_usage(data: bytes) -> Usage | None:
    """The last usage object in an answer, or in a stream's last events; None when there is none.

    It may stand anywhere: what an engine adds on request, such as the prompt's log-probabilities,
    follows it. The keys are searched from the end, each byte once; inside a text of the answer the
    quotes are escaped, so nothing there looks like them.
    """
    end = len(data)
    for _ in range(MAX_KEYS):
        found = data.rfind(_KEY, 0, end)
        if found < 0:
            return None
        match = _USAGE.match(data, found)
        if match is not None:
            part = data[match.end() : match.end() + MAX_USAGE_BYTES]
            prompt, completion = _PROMPT.search(part), _COMPLETION.search(part)
            if prompt is not None:
                return Usage(int(prompt[1]), int(completion[1]) if completion else 0)
        end = found
    return None


def read_usage(body: Mapping[str, Any]) -> Usage | None:
    """The counts in a parsed answer or event; None where it has none that can be believed."""
    usage = body.get("usage")
    if not isinstance(usage, Mapping):
        return None
    prompt = _count(usage, "prompt_tokens") or _count(usage, "input_tokens")
    completion = _count(usage, "completion_tokens") or _count(usage, "output_tokens")
    return Usage(prompt, completion) if prompt or completion else None


UsageDetails = Callable[[], Mapping[str, int]]
"""What the usage of an answer that has ended is to tell of its drafts; empty: nothing."""


def with_details(usage: Mapping[str, Any], details: Mapping[str, int]) -> dict[str, Any]:
    """The usage of an answer with these among its `completion_tokens_details`."""
    known = usage.get("completion_tokens_details") or {}
    return {**usage, "completion_tokens_details": {**known, **details}}


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 <= value <= MAX_TOKENS else 0
