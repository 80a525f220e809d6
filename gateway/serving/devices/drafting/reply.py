"""What the device is told of one session: `opened`, `tokens`, and the one frame that ends it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import SessionState, Step
from gateway.protocol.device_link.speculation import (
    Ahead,
    Done,
    FinishReason,
    FromGateway,
    Opened,
    Tokens,
)
from gateway.serving.devices.outbox import Outbox


class SessionReply:
    """The frames of one session to its device, counted in the session's outcome.

    `s` is the device's number for the session, `decides` the place of who decides in its chain of
    tiers. `tells_prompt`: the device learns its prompt's ids from `opened`, and nothing before that
    can be of use. Exactly one frame ends it, `done` or an error; once it is muted, none.
    """

    def __init__(
        self,
        *,
        s: int,
        outbox: Outbox,
        state: SessionState,
        outcome: SessionOutcome,
        decides: int = 1,
        tells_prompt: bool = False,
    ) -> None:
        self._s = s
        self._decides = decides
        self._outbox = outbox
        self._state = state
        self._outcome = outcome
        self._tells_prompt = tells_prompt
        self._opened = False
        self._ended = False
        self._early: list[Ahead] = []

    def opened(self, *, model: str, endpoint: str, per_step: int, prompt: Sequence[int]) -> None:
        """Once a session: at another endpoint it goes on as it was opened."""
        if not self._opened:
            self._opened = True
            self._send(
                Opened(
                    s=self._s,
                    model=model,
                    endpoint=endpoint,
                    per_step=per_step,
                    prompt=list(prompt),
                )
            )
            for frame in self._early:
                self._send(frame)
            self._early.clear()

    def tokens(self, step: Step, ids: Sequence[int], writers: Sequence[int] = ()) -> None:
        """`writers` tells of each id who of the chain wrote it first; none: there is no chain."""
        drafted = _drafted(writers, self._decides) if writers else step.drafted
        self._send(Tokens(s=self._s, p=step.position, i=list(ids), d=drafted, w=list(writers)))

    def ahead(self, start: int, position: int, ids: Sequence[int]) -> None:
        """What a tier in the middle expects: `ids` from `position` on, counted from `start`."""
        if self._ended:
            return
        frame = Ahead(s=self._s, p=start + position, i=list(ids))
        if self._opened or not self._tells_prompt:
            self._send(frame)
        else:
            self._early.append(frame)

    def done(self, reason: FinishReason, stop: str | int | None = None) -> None:
        """Unless it has ended already. `stop` is the stop text that ended the answer, or the id of
        the token that did."""
        if self._ended:
            return
        self._ended = True
        state = self._state
        self._send(
            Done(
                s=self._s,
                reason=reason,
                prompt_tokens=self._outcome.request.prompt_tokens or len(state.prompt),
                completion_tokens=len(state.verified),
                drafted=state.drafted,
                accepted=state.accepted,
                stop=stop if isinstance(stop, str) else None,
                stop_token=stop if isinstance(stop, int) else None,
            )
        )

    def fail(self, code: str, message: str, param: str | None = None) -> None:
        """Unless it has ended already. `param`: the field of the request at fault."""
        if not self._ended:
            self._ended = True
            self._outcome.bytes_down += self._outbox.error(
                code, message, self._s, fatal=True, param=param
            )

    def mute(self) -> None:
        """The connection ends: tell the device no end of the session."""
        self._ended = True

    def _send(self, frame: FromGateway) -> None:
        self._outcome.bytes_down += self._outbox.put(frame)


def _drafted(writers: Sequence[int], decides: int) -> int:
    """How many of the first ids of a batch came as drafts, the last aside."""
    return next((at for at, place in enumerate(writers[:-1]) if place == decides), len(writers) - 1)
