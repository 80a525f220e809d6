"""Ids, times and the usage block that every answer carries."""

import os
import time
from typing import Any

FINGERPRINT = "engine-simulator-1"


def new_id(prefix: str, request_id: str | None = None) -> str:
    """`prefix` and the caller's request id when there is one, as vLLM does, else 64 random bits."""
    return f"{prefix}{request_id or os.urandom(8).hex()}"


def now() -> int:
    return int(time.time())


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "completion_tokens": completion_tokens,
    }


def detailed_usage(prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    return {
        **usage(prompt_tokens, completion_tokens),
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }


def continuous_usage(prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    return {**usage(prompt_tokens, completion_tokens), "completion_tokens_details": None}
