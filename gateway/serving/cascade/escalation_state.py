"""An answer on its way up: what goes along with it, and what comes of it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Escalation:
    """What goes up, and what comes of it.

    `sent_ids` and `sent_text` have gone to the caller, `predicted` is the small answer's rest;
    `tokenizer` made these ids. `below`: models that have answered already. `how` is verified,
    or why the prediction was of no use: no-drafts, tokenizer-differs, no-prediction, not-portable.
    """

    sent_ids: list[int] = field(default_factory=list)
    sent_text: str = ""
    predicted: list[int] = field(default_factory=list)
    tokenizer: str | None = None
    below: Set[str] = frozenset()
    stops: bool = True
    deadline_s: float | None = None
    model: str = ""
    tier: str = "none"
    endpoint: str = ""
    how: str = "no-prediction"
    offered: int = 0
    kept: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
