"""Idempotency keys: one request does the work, and its repetitions get the same answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.core.state.decision import Decision, nothing
from gateway.core.state.operations import Claim, Claimed, ClaimState, Complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Claiming:
    """`lease_until` is when the holder's claim may be taken over; `done` once it has answered."""

    digest: str
    holder: str
    lease_until: float
    until: float
    done: bool = False
    answer: bytes | None = None


def claim(claiming: Claiming | None, wanted: Claim, now: float) -> Decision[Claiming]:
    """The holder that claims again renews its lease and is told NEW again."""
    if claiming is None:
        return _taken(wanted, now, ClaimState.NEW)
    if claiming.digest != wanted.digest:
        return _left(claiming, Claimed(ClaimState.MISMATCH))
    if claiming.done:
        return _left(claiming, Claimed(ClaimState.DONE, claiming.answer))
    if claiming.holder == wanted.holder:
        return _taken(wanted, now, ClaimState.NEW)
    if claiming.lease_until > now:
        return _left(claiming, Claimed(ClaimState.RUNNING))
    return _taken(wanted, now, ClaimState.TAKEN_OVER)


def complete(claiming: Claiming | None, finished: Complete, now: float) -> Decision[Claiming]:
    """An answer that is stored stays as it is: completing it again changes nothing."""
    if claiming is None:
        return nothing(False)
    if claiming.holder != finished.holder or claiming.done:
        return _left(claiming, claiming.holder == finished.holder)
    if finished.answer is None:
        return nothing(True)
    until = now + finished.ttl_s
    done = replace(claiming, done=True, answer=finished.answer, until=until)
    return Decision(done, until, True)


def _taken(wanted: Claim, now: float, state: ClaimState) -> Decision[Claiming]:
    until = now + max(wanted.ttl_s, wanted.lease_s)
    taken = Claiming(
        digest=wanted.digest, holder=wanted.holder, lease_until=now + wanted.lease_s, until=until
    )
    return Decision(taken, until, Claimed(state))


def _left(claiming: Claiming, result: Claimed | bool) -> Decision[Claiming]:
    return Decision(claiming, claiming.until, result)
