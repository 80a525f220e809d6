"""Leases: a name is one holder's until it is given up or not renewed in time."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.state.decision import Decision, nothing
from gateway.core.state.operations import Hold, Release


@dataclass(frozen=True, slots=True)
class Lease:
    holder: str
    value: bytes
    until: float


def hold(lease: Lease | None, wanted: Hold, now: float) -> Decision[Lease]:
    if lease is not None and lease.holder != wanted.holder:
        return Decision(lease, lease.until, False)
    until = now + wanted.ttl_s
    return Decision(Lease(wanted.holder, wanted.value, until), until, True)


def release(lease: Lease | None, given_up: Release) -> Decision[Lease]:
    if lease is None:
        return nothing(False)
    if lease.holder != given_up.holder:
        return Decision(lease, lease.until, False)
    return nothing(True)
