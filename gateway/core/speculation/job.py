"""Jobs for an engine that verifies drafts, and the batches of tokens that it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An answer that an engine is asked for. `session` names the drafts that belong to it: hex
    digits that nobody can guess. `prompt` are token ids; `sampling` are fields of the OpenAI API,
    those alone that the device has set. `messages`, as in a chat, stand for a prompt whose ids
    nobody knows yet, at verifiers that take them."""

    session: str
    model: str
    prompt: Sequence[int]
    sampling: Mapping[str, Any] = field(default_factory=dict)
    messages: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The token ids of one step of the engine, and at the end why the answer ended.

    `reason` is the OpenAI finish reason, `stop` the stop text that ended it, or the id of the
    token. `text` is what the engine has decoded by now: a letter whose bytes span two tokens comes
    with the second. `writers`, only of an answer for which several tiers draft: who wrote each id
    first, as a place in the chain. `prompt`, only of the first one for a job with messages: the ids
    that these became.
    """

    ids: Sequence[int]
    reason: str | None = None
    stop: str | int | None = None
    text: str = ""
    writers: Sequence[int] = ()
    prompt: Sequence[int] = ()


LARGEST_SEED = 2**63 - 1
"""The largest seed that engines take, which read it as a signed integer of 64 bits."""


def sampling_of_rest(sampling: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """The fields of `sampling` for the rest of an answer whose first `tokens` tokens stand behind
    the prompt already.

    The bound on the answer's tokens is what is left of it, 0 at least. A seed moves on: its first
    random numbers have chosen the text that is there, and to draw them again would favour that.
    """
    rest = dict(sampling)
    if tokens and (max_tokens := rest.get("max_tokens")) is not None:
        rest["max_tokens"] = max(0, max_tokens - tokens)
    if (seed := rest.get("seed")) is not None:
        rest["seed"] = moved_seed(seed, tokens)
    return rest


def moved_seed(seed: int, tokens: int) -> int:
    """The seed for the rest of an answer whose first `tokens` tokens are there. It stays within
    what engines take."""
    return seed + tokens if seed <= LARGEST_SEED - tokens else seed - tokens


DraftRun = tuple[int, Sequence[int], Sequence[int]]
"""Draft ids that stand from an output position on: (position, ids, the ids before them)."""


DraftWay = Literal["mailbox", "rounds", "none"]
"""The way in which an endpoint takes drafts: in the steps of its engine, in rounds of requests, or
not at all."""


@dataclass(frozen=True, slots=True)
class DraftFacts:
    """The way in which an endpoint takes drafts: tokens a step (0: not at all), its vocabulary's
    size, and seconds from leaving a draft there to hearing of it (0: not measured)."""

    per_step: int = 0
    vocabulary: int | None = None
    round_trip_s: float = 0.0
