"""Read a vLLM /metrics page: only the few series that routing needs."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_SERIES = {
    b"vllm:num_requests_running": "running",
    b"vllm:num_requests_waiting": "waiting",
    b"vllm:kv_cache_usage_perc": "kv_use",
    b"vllm:prompt_tokens_total": "prompt_tokens",
    b"vllm:request_prefill_time_seconds_sum": "prefill_s",
    b"vllm:request_inference_time_seconds_sum": "service_s",
    b"vllm:request_inference_time_seconds_count": "services",
    b"vllm:inter_token_latency_seconds_sum": "decode_s",
    b"vllm:inter_token_latency_seconds_count": "decodes",
    b"vllm:request_generation_tokens_sum": "answer_tokens",
    b"vllm:request_generation_tokens_count": "answers",
}
_LINE = re.compile(
    rb"^(" + b"|".join(re.escape(name) for name in _SERIES) + rb")(?:\{[^}]*\})? ([^ \n]+)", re.M
)


@dataclass(slots=True, kw_only=True)
class EngineLoad:
    """The load of an engine: sums over its label sets (data-parallel ranks); `kv_use` is their
    highest.

    Counters (seconds, tokens, counts) grow from the engine's start.
    """

    running: float = 0.0
    waiting: float = 0.0
    kv_use: float = 0.0
    prompt_tokens: float = 0.0
    prefill_s: float = 0.0
    service_s: float = 0.0
    services: float = 0.0
    decode_s: float = 0.0
    decodes: float = 0.0
    answer_tokens: float = 0.0
    answers: float = 0.0


def parse_load(page: bytes) -> EngineLoad:
    """Series that are missing stay zero; values that are no finite numbers are passed over."""
    load = EngineLoad()
    for name, raw in _LINE.findall(page):
        try:
            value = float(raw)
        except ValueError:
            continue
        if not math.isfinite(value):
            continue
        field = _SERIES[name]
        if field == "kv_use":
            load.kv_use = max(load.kv_use, value)
        else:
            setattr(load, field, getattr(load, field) + value)
    return load


def mean_since(total: float, count: float, old_total: float, old_count: float) -> float | None:
    """Mean of what was added between two readings of a sum and its count, None if nothing was.

    A counter that went down means that the engine restarted: then the new reading stands alone.
    """
    if count < old_count:
        old_total, old_count = 0.0, 0.0
    if count <= old_count:
        return None
    return (total - old_total) / (count - old_count)
