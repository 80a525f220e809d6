"""The report of one collective request: filled in while it runs, given to telemetry at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from gateway.core.collective.answers import Reading
from gateway.core.collective.voting import Ballot, confidence

ContributionOutcome = Literal["answered", "straggler", "failed"]
Role = Literal["answer", "revise"]


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """A member's contribution: what came of asking it once.

    `merit` is the weight of its vote, before it is multiplied with the confidence that the answer's
    `logprob` (mean per token) tells. `code` says why it failed, `tier` where the answer was made,
    `seconds` how long it took or was waited for. Round 0 has the first answers. `finish_reason` is
    OpenAI's: `length` where the answer was cut.
    """

    device: str
    role: Role
    round: int
    outcome: ContributionOutcome
    seconds: float
    merit: float = 1.0
    code: str | None = None
    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprob: float | None = None
    tier: str = "device"
    finish_reason: str = "stop"

    @cached_property
    def reading(self) -> Reading:
        return Reading(self.text)

    @property
    def answered(self) -> bool:
        return self.outcome == "answered"

    def ballot(self) -> Ballot:
        """Its vote; a revised answer votes beside the member's first one."""
        voter = self.device if self.round == 0 else f"{self.device}/{self.round}"
        return Ballot(
            voter=voter,
            reading=self.reading,
            weight=self.merit * confidence(self.logprob),
            finish_reason=self.finish_reason,
        )

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(slots=True, kw_only=True)
class Report:
    """What one collective request came to.

    `chosen` are the members that were asked first, `quorum` is the number of answers needed of
    them, `answered` the number of first answers. `aggregator`: model and tier of the last of the
    `server_calls`. `spent` counts tokens by (tier, prompt or completion), `steps` seconds by step.
    `resumed`: another replica had begun it; `replayed`: the stored answer was sent. `unknown`:
    names in the request that no device has, each with the nearest one.
    """

    mode: str
    domain: str = ""
    decided_by: str = ""
    outcome: str = "ok"
    contributions: list[Contribution] = field(default_factory=list)
    chosen: list[str] = field(default_factory=list)
    unknown: dict[str, str | None] = field(default_factory=dict)
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

    @property
    def usage_so_far(self) -> tuple[int, int]:
        """The same while members' answers are on their way to be spent."""
        prompt, completion = self.usage
        return (
            prompt + sum(each.prompt_tokens for each in self.contributions),
            completion + sum(each.completion_tokens for each in self.contributions),
        )


def best_has_answered(contributions: Sequence[Contribution], merits: Sequence[float]) -> bool:
    """Whether none of the members that still work, given by their `merits`, fits better than the
    best of those that answered."""
    best = max(
        (contribution.merit for contribution in contributions if contribution.answered), default=0.0
    )
    return max(merits, default=0.0) <= best


def latest(contributions: Sequence[Contribution]) -> list[Contribution]:
    """Each member's last answer, in the order of the first answers. Where a member failed to revise
    its answer, the earlier one stands."""
    answers: dict[str, Contribution] = {}
    for contribution in contributions:
        if contribution.answered:
            answers[contribution.device] = contribution
    return list(answers.values())


def opinions(contributions: Sequence[Contribution]) -> list[Contribution]:
    """Each member's first answer and, where it revised that, its last one.

    Weak members give up right answers as well as wrong ones, so that a revised answer is added to
    the choice and does not replace the first.
    """
    first: dict[str, Contribution] = {}
    for contribution in contributions:
        if contribution.answered:
            first.setdefault(contribution.device, contribution)
    return [
        answer
        for last in latest(contributions)
        for answer in dict.fromkeys((first[last.device], last))
    ]
