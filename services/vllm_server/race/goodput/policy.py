"""The policy of an engine: what is learned of its steps and sessions, and what follows. Pure.

It differs from the best choice for what is known in two ways. Now and then a step verifies a few
tokens more or fewer, so that drafts which became good are found and it stays known what they cost.
And where requests run that nobody drafts for, no step is made longer than `LENGTHENING` times the
step without drafts: what drafts bring to some is not to cost others much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.vllm_server.race.goodput.acceptance import SessionAcceptance, SharedAcceptance
from services.vllm_server.race.goodput.choice import choose
from services.vllm_server.race.goodput.step_times import StepTimes

LENGTHENING = 1.5
TRIAL_EVERY = 16
"""Steps that left drafts out, until one of them takes a few more."""
REQUESTS_A_TRIAL = 16
"""A trial has a token more for each so many requests, and one at least."""
PLAIN_EVERY = 64
"""Steps with drafts one after the other, until one is made without: what drafts cost at all can't
be told otherwise. Where a session is alone such steps come by themselves."""
FIRST_PLAIN = 16


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
        self._fewer = False
        self._until_plain = FIRST_PLAIN

    def forget(self, session: str) -> None:
        self._sessions.pop(session, None)
        self._idle.pop(session, None)

    def verified(self, session: str, offered: int, accepted: int) -> None:
        """A step took `offered` tokens of the session; the first `accepted` of them were right."""
        if offered > 0:
            self._of(session).observe(offered, accepted)

    def observe(self, requests: int, drafts: int, seconds: float) -> None:
        """A step with so many requests and draft tokens took so long."""
        self.times.observe(requests, drafts, seconds)
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
        seconds = self.times.curve(requests, min(room, sum(map(len, chances))))
        longest = LENGTHENING * seconds[0] if requests > drafted_for else float("inf")
        counts = choose(chances, requests=requests, seconds=seconds, longest_s=longest)
        self._vary(list(waiting.items()), counts, requests=requests, room=room)
        return {session: n for session, n in zip(waiting, counts, strict=True) if n}

    def _vary(
        self, waiting: Sequence[tuple[str, int]], counts: list[int], *, requests: int, room: int
    ) -> None:
        """Changes `counts` in one of `TRIAL_EVERY` steps that leave drafts out.

        In turn a token more for each of those that have waited longest for any, and half of all:
        of steps that are all alike one can't tell what drafts cost. Near the best both cost little.
        """
        for (session, _), count in zip(waiting, counts, strict=True):
            self._idle[session] = 0 if count else self._idle.get(session, 0) + 1
        short = [i for i, (_, count) in enumerate(waiting) if counts[i] < count]
        self._left_out += bool(short)
        if self._left_out < TRIAL_EVERY:
            return
        self._left_out = 0
        self._fewer = not self._fewer
        if self._fewer and any(counts):
            counts[:] = [count // 2 for count in counts]
            return
        more = min(1 + requests // REQUESTS_A_TRIAL, room - sum(counts))
        short.sort(key=lambda i: -self._idle[waiting[i][0]])
        for index in short[: max(more, 0)]:
            counts[index] += 1
            self._idle[waiting[index][0]] = 0

    def _of(self, session: str) -> SessionAcceptance:
        known = self._sessions.get(session)
        if known is None:
            known = self._sessions[session] = SessionAcceptance(self._shared)
        return known
