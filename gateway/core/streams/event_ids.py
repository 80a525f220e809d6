"""Token ids in the events of chat and completions, as vLLM writes them on request: found by a look
at the bytes, and taken out of them."""

from __future__ import annotations

import re

from gateway.core.streams.chat_answer import token_ids

IDS_NAME = b'"token_ids"'
IDS_KEY = IDS_NAME + b":["
NO_IDS = IDS_NAME + b":null"
NO_PROMPT_IDS = b'"prompt_token_ids":null'
IDS = re.compile(rb'"token_ids": ?\[([\d, ]*)\]')
PROMPT_IDS = re.compile(rb'"prompt_token_ids": ?\[([\d, ]*)\]')


def numbers(group: bytes) -> list[int]:
    """Of a group as it is found in an event. Raises ValueError where it is no list of ids."""
    found = [int(number) for number in group.split(b",") if number.strip()]
    if token_ids(found) != found:
        raise ValueError("no token ids")
    return found


def without_ids(events: bytes) -> bytes:
    """The same events without token ids."""
    return PROMPT_IDS.sub(NO_PROMPT_IDS, IDS.sub(NO_IDS, events))
