"""How an answer's tokens are chosen: the sampling fields of the OpenAI API, with their bounds. A
device's frames carry them as they are."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

MAX_STOPS = 4
"""As many as OpenAI and vLLM (VLLM_MAX_STOP_STRINGS) take."""
MAX_STOP_CHARS = 64
MAX_TOP_K = 2**31 - 1
StopText = Annotated[str, Meta(min_length=1, max_length=MAX_STOP_CHARS)]


class Sampling(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """As in the OpenAI API. What is absent is the engine's default for its model."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1, le=MAX_TOP_K)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, lt=2**31)] | None = None
    stop: Annotated[list[StopText], Meta(max_length=MAX_STOPS)] = []
    ignore_eos: bool = False
