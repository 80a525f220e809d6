"""Who gets in: a bounded number of requests at once, a bounded queue, then a clear refusal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class AdmissionVerdict(Enum):
    """The decision on a new request: it enters, waits in the queue, or is shed."""

    ENTER = "enter"
    WAIT = "wait"
    SHED = "shed"


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """The limits of admission. `max_wait_s`: how long a request may stand in the gateway's own
    queue, in seconds."""

    max_in_flight: int
    max_queue: int
    max_wait_s: float


def admit(in_flight: int, queued: int, limits: AdmissionLimits) -> AdmissionVerdict:
    """Decide for a new request, given those inside and those that wait already."""
    if in_flight < limits.max_in_flight and queued == 0:
        return AdmissionVerdict.ENTER
    return AdmissionVerdict.WAIT if queued < limits.max_queue else AdmissionVerdict.SHED
