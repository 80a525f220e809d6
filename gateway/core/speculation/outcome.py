"""The outcome of one drafting session, which telemetry gets when it ends."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.outcome import Outcome


@dataclass(slots=True, kw_only=True)
class SessionOutcome:
    """What one session came to. `request` is what an ordinary request would report. `dropped`
    counts draft tokens that the verifier never got; `late` those that came after their positions
    were verified. `bytes_up` and `bytes_down` are those of the session's own frames, as the device
    sends and gets them. `problem` names the place of an error in the gateway itself.
    """

    request: Outcome
    device: str
    drafted: int = 0
    accepted: int = 0
    steps: int = 0
    dropped: int = 0
    late: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    problem: str = ""
