"""The token counts that an engine reports itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

_KEY = b'"usage"'
_USAGE = re.compile(rb'"usage": ?\{')
_PROMPT = re.compile(rb'"(?:prompt|input)_tokens": ?(\d+)')
_COMPLETION = re.compile(rb'"(?:completion|output)_tokens": ?(\d+)')
MAX_USAGE_BYTES = 2048
"""How long the object may be."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one answer."""

    prompt_tokens: int
    completion_tokens: int


def find_usage(data: bytes) -> Usage | None:
    """The last usage object in an answer, or in a stream's last events; None when there is none.

    It may stand anywhere: what an engine adds on request, such as the prompt's log-probabilities,
    follows it. The keys are searched from the end, each byte once; inside a text of the answer the
    quotes are escaped, so nothing there looks like them.
    """
    end = len(data)
    while (found := data.rfind(_KEY, 0, end)) >= 0:
        match = _USAGE.match(data, found)
        if match is not None:
            part = data[match.end() : match.end() + MAX_USAGE_BYTES]
            prompt, completion = _PROMPT.search(part), _COMPLETION.search(part)
            if prompt is not None:
                return Usage(int(prompt[1]), int(completion[1]) if completion else 0)
        end = found
    return None
