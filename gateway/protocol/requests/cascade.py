"""What a request may ask of a cascade, under `tierflow.cascade` in its body."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Confidence = Literal["logprobs", "agreement", "self-check"]
StreamMode = Literal["live", "exact"]
MIN_QUALITY, MAX_QUALITY = 0.5, 0.9999


class CascadeOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`tierflow.cascade` of a request. What is left out is as the gateway's settings say.

    `quality`: the share of the top tier's accuracy that is to be kept; `threshold`: the least
    confidence that is accepted, instead (0: everything, above 1: nothing). `stream_mode`: live lets
    tokens flow while confidence holds, exact holds them until it is decided whose they are.
    `samples`: answers that agreement asks for. `features`: tell them in the reply. `window`: tokens
    of a window, for the collection of features for another predictor.
    """

    quality: Annotated[float, Meta(ge=MIN_QUALITY, le=MAX_QUALITY)] | None = None
    threshold: Annotated[float, Meta(ge=0.0, le=2.0)] | None = None
    confidence: Confidence | None = None
    stream_mode: StreamMode | None = None
    samples: Annotated[int, Meta(ge=1, le=16)] | None = None
    features: bool = False
    window: Annotated[int, Meta(ge=1, le=256)] | None = None
