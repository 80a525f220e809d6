"""What one collective request came to: filled in while it runs, handed to telemetry at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from gateway.core.collective.answers import Reading
from gateway.core.collective.voting import Ballot, confidence

PartOutcome = Literal["answered", "straggler", "failed"]
Role = Literal["answer", "revise"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One request to one member. `merit` is its weight without the confidence that the answer's
    `logprob` (mean per token) tells; `code` says why it failed; `tier`: where it was made."""

    device: str
    role: Role
    round: int
    outcome: PartOutcome
    seconds: float
    merit: float = 1.0
    code: str | None = None
    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprob: float | None = None
    tier: str = "device"

    @cached_property
    def reading(self) -> Reading:
        return Reading(self.text)

    @property
    def answered(self) -> bool:
        return self.outcome == "answered"

    def ballot(self) -> Ballot:
        voter = self.device if self.round == 0 else f"{self.device}/{self.round}"
        return Ballot(voter, self.reading, self.merit * confidence(self.logprob))

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(slots=True, kw_only=True)
class Report:
    """`spent` counts tokens by (tier, prompt or completion), `steps` seconds by step. `asked`
    are those chosen first, `quorum` is what was needed of them, `answered` how many first answers
    there were. `aggregator`: model and tier of the last of `server_calls`."""

    mode: str
    domain: str = ""
    decided_by: str = ""
    outcome: str = "ok"
    parts: list[Part] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    quorum: int = 0
    answered: int = 0
    rounds: int = 0
    early_exit: str | None = None
    degraded: str | None = None
    fallback: str | None = None
    disagreement: bool = False
    resumed: bool = False
    replayed: bool = False
    server_calls: int = 0
    aggregator: tuple[str, str] | None = None
    steps: dict[str, float] = field(default_factory=dict)
    spent: Counter[tuple[str, str]] = field(default_factory=Counter)

    def spend(self, tier: str, prompt: int, completion: int) -> None:
        self.spent[tier, "prompt"] += prompt
        self.spent[tier, "completion"] += completion

    @property
    def usage(self) -> tuple[int, int]:
        """Prompt and completion tokens of all members and server models."""
        sums = Counter[str]()
        for (_, kind), tokens in self.spent.items():
            sums[kind] += tokens
        return sums["prompt"], sums["completion"]


def best_heard(parts: Sequence[Part], merits: Sequence[float]) -> bool:
    """Whether none of those still asked, by their `merits`, fits better than the best of those that
    answered."""
    heard = max((part.merit for part in parts if part.answered), default=0.0)
    return max(merits, default=0.0) <= heard


def latest(parts: Sequence[Part]) -> list[Part]:
    """Each member's last answer, in the order of the members' first answers. What a member failed
    to revise stands as it was."""
    found: dict[str, Part] = {}
    for part in parts:
        if part.answered:
            found[part.device] = part
    return list(found.values())


def opinions(parts: Sequence[Part]) -> list[Part]:
    """What each member said first and what it says now, where it has revised that.

    Weak members give up right answers as well as wrong ones: a revision adds to the choice.
    """
    first: dict[str, Part] = {}
    for part in parts:
        if part.answered:
            first.setdefault(part.device, part)
    return [one for part in latest(parts) for one in dict.fromkeys((first[part.device], part))]
