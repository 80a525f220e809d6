"""What pings tell of the link: round trip and bandwidth."""

from __future__ import annotations

from collections.abc import Callable

from gateway.protocol.device_link.speculation import Ping

PAD_BYTES = 16_384
PAD_EVERY_S = 60.0
WARM_AFTER = 4
"""Round trips that are measured in quick succession, at first."""
MAX_UNANSWERED = 64

NEWEST_WEIGHT = 0.3
"""Weight of the newest round trip in the running mean."""

LEAST_DIFFERENCE_S = 2e-4
"""The least time that padding is taken to cost: clocks can't tell shorter times apart."""


class LinkProbes:
    """The pings of one link, and what their answers have told.

    `round_trip_s` is 0 until the first answer, `bytes_per_s` until the link was idle once.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._number = 0
        self._answers = 0
        self._sent: dict[int, tuple[float, int]] = {}
        self._padded_at: float | None = None
        self.round_trip_s = 0.0
        self.bytes_per_s = 0.0

    @property
    def warm(self) -> bool:
        return self._answers >= WARM_AFTER

    def next(self, idle: bool) -> Ping:
        """The next ping; now and then one with padding, while nobody is waiting for the link."""
        self._number += 1
        due = self._padded_at is None or self._now() - self._padded_at > PAD_EVERY_S
        size = PAD_BYTES if idle and due and self.warm else 0
        if size:
            self._padded_at = self._now()
        self._sent[self._number] = (self._now(), size)
        while len(self._sent) > MAX_UNANSWERED:
            del self._sent[next(iter(self._sent))]
        return Ping(
            n=self._number,
            round_trip_s=self.round_trip_s,
            bytes_per_s=self.bytes_per_s,
            pad=b"\0" * size,
        )

    def answered(self, number: int) -> None:
        sent_at, size = self._sent.pop(number, (None, 0))
        if sent_at is None:
            return
        seconds = self._now() - sent_at
        if size:
            extra_s = max(seconds - self.round_trip_s, LEAST_DIFFERENCE_S)
            self.bytes_per_s = size / extra_s
            return
        self._answers += 1
        weight = 1.0 if self._answers == 1 else NEWEST_WEIGHT
        self.round_trip_s += weight * (seconds - self.round_trip_s)
