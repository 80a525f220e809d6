"""Where each drafter agrees with the verifier in the prompts' answers, and the ideal race of these.

A drafter that is spoiled on purpose is so in a way that is known beforehand, so the ideal race is
run over the very answers that are measured: chance is the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.protocol.draft_noise import draws_after, is_replaced
from loadtest.speculation.ideal.agreement import Agreement, Agreements
from loadtest.speculation.ideal.race import RaceTimes, answer_speedup
from loadtest.speculation.links import Prompt
from loadtest.speculation.warm_up import Hits


@dataclass(frozen=True, slots=True, kw_only=True)
class DrafterAgreements:
    """A drafter's agreements with the answer of each prompt, and its seconds for a token."""

    answers: Sequence[Agreements]
    draft_s: float

    def ideal(self, prompt: int, times: RaceTimes) -> float:
        """The speed-up of a token of this prompt's answer in the ideal race."""
        return answer_speedup(self.answers[prompt], times)


def agreements(
    prompts: Sequence[Prompt], hits: Hits, spoil: Mapping[str, float]
) -> dict[str, list[Agreements]]:
    """By drafter, one for each prompt. `hits` are the natural drafter's, `spoil` the share of its
    guesses that each drafter replaces.

    Second guesses count as no agreement: the ideal race drafts from the best guess alone.
    """
    return {
        drafter: [_spoiled(prompt, of, share) for prompt, of in zip(prompts, hits, strict=True)]
        for drafter, share in spoil.items()
    }


def _spoiled(prompt: Prompt, hits: Sequence[bool], share: float) -> list[Agreement]:
    text = [*prompt.prompt_ids, *prompt.ids]
    begin = len(prompt.prompt_ids)
    return [
        Agreement.FIRST
        if hit and not is_replaced(draws_after(text[: begin + place]), share)
        else Agreement.NONE
        for place, hit in enumerate(hits)
    ]


def acceptance(answers: Sequence[Agreements]) -> float:
    """The share of the answers' tokens that a drafter guesses right, 0 to 1."""
    right = sum(one is Agreement.FIRST for answer in answers for one in answer)
    return right / sum(map(len, answers))
