"""The policy of an engine: what is learned of its steps and sessions, and what follows. Pure.

It differs from the best choice for what is known in two ways. Now and then a step verifies
more or fewer tokens, so that drafts which became good are found and it stays known what they cost.
And where requests run that nobody drafts for, no step is made longer than `LENGTHENING` times the
step without drafts: what drafts bring to some is not to cost others much.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from services.vllm_server.race.goodput.acceptance import SessionAcceptance, SharedAcceptance
from services.vllm_server.race.goodput.choice import choose
from services.vllm_server.race.goodput.step_times import StepTimes

LENGTHENING = 1.5
TRIAL_EVERY = 16
"""Steps that left drafts out, until one of them takes more or fewer."""
LEAST_GAIN = 1.06
"""What is expected to bring less than that is left out: it is as likely to be an error."""
REQUESTS_A_TRIAL = 16
"""A trial has a token more for each so many requests, and one at least."""
PLAIN_EVERY = 64
"""Steps with drafts one after the other, until one is made without: what drafts cost at all can't
be told otherwise. Where a session is alone such steps come by themselves."""
FIRST_PLAIN = 16
FIRST_WIDTH = 64
"""Draft tokens of a step, at most, at first. Then twice as many as any step has had: what a step of
a thousand rows takes says little of those that are chosen, and would be long remembered."""
WORTH_MEMORY, LEAST_WORTH = 200.0, 0.7
"""Of many sessions those are chosen whose drafts seem best, and some only seem so: what the chosen
were expected to bring, the last so many tokens, is held against what they brought. Less than that
comes of errors that are mended elsewhere."""


class GoodputPolicy:
    """How many waiting drafts of each session a step verifies.

    Sessions that are not known begin with what all sessions' drafts were worth.
    """

    def __init__(self) -> None:
        self.times = StepTimes()
        self._shared = SharedAcceptance()
        self._sessions: dict[str, SessionAcceptance] = {}
        self._idle: dict[str, int] = {}
        self._left_out = 0
        self._trials = 0
        self._until_plain = FIRST_PLAIN
        self._width = FIRST_WIDTH
        self._expected = self._accepted = WORTH_MEMORY / 10
        """Tokens that chosen drafts were expected to bring, and that they brought; decayed."""
        self._chosen: dict[str, float] = {}

    def forget(self, session: str) -> None:
        self._sessions.pop(session, None)
        self._idle.pop(session, None)

    def verified(self, session: str, offered: int, accepted: int) -> None:
        """A step took `offered` tokens of the session; the first `accepted` of them were right."""
        if offered > 0:
            self._expected += self._chosen.pop(session, accepted)
            self._accepted += accepted
            if (share := WORTH_MEMORY / self._expected) < 1:
                self._expected *= share
                self._accepted *= share
            self._of(session).observe(offered, accepted)

    def observe(self, requests: int, drafts: int, seconds: float) -> None:
        """A step with so many requests and draft tokens took so long."""
        self.times.observe(requests, drafts, seconds)
        self._width = max(self._width, 2 * drafts)
        self._until_plain = self._until_plain - 1 if drafts else PLAIN_EVERY

    def plan(
        self, waiting: Mapping[str, int], *, requests: int, drafted_for: int, room: int
    ) -> dict[str, int]:
        """How many tokens of each session to verify in the next step; at most `room` in all.

        `waiting`: tokens that the step could take, by session. `requests` run, of which
        `drafted_for` have a session. Sessions without any are left out.
        """
        if not waiting or room <= 0 or self._until_plain <= 0:
            return {}
        chances = [self._of(session).chances(count) for session, count in waiting.items()]
        seconds = self.times.curve(requests, min(room, self._width, sum(map(len, chances))))
        longest = LENGTHENING * seconds[0] if requests > drafted_for else float("inf")
        counts = choose(
            chances,
            requests=requests,
            seconds=seconds,
            longest_s=longest,
            least_gain=LEAST_GAIN,
            worth=max(LEAST_WORTH, self._accepted / self._expected),
        )
        if self._is_trial(waiting, counts):
            most = bisect_right(seconds, longest) - 1
            counts = self._tried(waiting, chances, counts, requests=requests, most=most)
        self._chosen = {
            session: sum(row[:count])
            for session, row, count in zip(waiting, chances, counts, strict=True)
        }
        return {session: n for session, n in zip(waiting, counts, strict=True) if n}

    def _is_trial(self, waiting: Mapping[str, int], counts: Sequence[int]) -> bool:
        """One in `TRIAL_EVERY` steps that leave drafts out."""
        for session, count in zip(waiting, counts, strict=True):
            self._idle[session] = 0 if count else self._idle.get(session, 0) + 1
        self._left_out += sum(counts) < sum(waiting.values())
        if self._left_out < TRIAL_EVERY:
            return False
        self._left_out = 0
        self._trials += 1
        return True

    def _tried(
        self,
        waiting: Mapping[str, int],
        chances: Sequence[Sequence[float]],
        counts: list[int],
        *,
        requests: int,
        most: int,
    ) -> list[int]:
        """Other counts than the best, at most `most` in all but for a few: in turn half as many,
        twice as many, and a token for each of those that have waited longest for any.

        Of steps that are all alike one can't tell what drafts cost, and of drafts that are never
        verified not what they are worth. Near the best both cost little.
        """
        total = sum(counts)
        if self._trials % 3 == 1 and total:
            return [count // 2 for count in counts]
        if self._trials % 3 == 2:
            wider = min(max(2 * total, requests // 2, 1), most)
            return choose(chances, requests=requests, seconds=[0.0] * (wider + 1))
        idle = [(self._idle[name], i) for i, name in enumerate(waiting) if not counts[i]]
        names, more = list(waiting), min(1 + requests // REQUESTS_A_TRIAL, most + 1 - total)
        for _, index in sorted(idle, reverse=True)[: max(more, 0)]:
            counts[index] = min(1, waiting[names[index]])
            self._idle[names[index]] = 0
        return counts

    def _of(self, session: str) -> SessionAcceptance:
        known = self._sessions.get(session)
        if known is None:
            known = self._sessions[session] = SessionAcceptance(self._shared)
        return known
