"""Each device's seconds and tokens per answer, as the shared store keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.core.collective.report import Part
from gateway.core.state.operations import Mean, Means, Observe

PACE = "pace"
"""Kind of key."""
IN_VAIN = 0.5
"""Weight of the seconds that were waited for nothing: once is an accident, twice is a pace."""


def reading(devices: Sequence[str]) -> Means:
    return Means(PACE, [f"{device}/{what}" for device in devices for what in ("seconds", "tokens")])


def understood(
    devices: Sequence[str], means: Sequence[Mean]
) -> tuple[dict[str, Mean], dict[str, Mean]]:
    """Seconds and tokens by device, of what `reading` gave; `means` may be empty."""
    seconds = dict(zip(devices, means[0::2], strict=False))
    return seconds, dict(zip(devices, means[1::2], strict=False))


def observations(
    parts: Sequence[Part], seconds: Mapping[str, Mean], half_life_s: float
) -> list[Observe]:
    """What a request's first answers tell; `seconds` are those that were known before."""
    found: list[Observe] = []

    def observe(device: str, what: str, value: float, weight: float = 1.0) -> None:
        found.append(
            Observe(
                kind=PACE,
                name=f"{device}/{what}",
                value=value,
                weight=weight,
                half_life_s=half_life_s,
            )
        )

    for part in parts:
        if part.role != "answer":
            continue
        if part.answered:
            observe(part.device, "seconds", part.seconds)
            observe(part.device, "tokens", float(part.completion_tokens))
        # It would have taken longer than it was waited for: how much longer is not known.
        elif part.outcome == "straggler" and part.seconds > _expected(seconds, part.device):
            observe(part.device, "seconds", part.seconds, IN_VAIN)
    return found


def _expected(seconds: Mapping[str, Mean], device: str) -> float:
    return seconds.get(device, Mean()).value
