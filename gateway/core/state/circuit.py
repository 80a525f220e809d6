"""When a store counts as lost, and when it is looked for again."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol.backoff import pause_s


@dataclass(slots=True, kw_only=True)
class Circuit:
    """A circuit breaker between callers and a store. It opens after `failures` in a row, of
    callers or of looks. Only a look that succeeds takes failures back: in a store of several
    parts, what goes well with one says nothing of another."""

    failures: int = 3
    first_pause_s: float = 0.1
    longest_pause_s: float = 2.0
    _failed: int = 0
    _looked: int = 0

    @property
    def open(self) -> bool:
        """Callers are not let through."""
        return self._failed >= self.failures

    @property
    def suspicious(self) -> bool:
        return self._failed > 0

    def fail(self) -> None:
        self._failed += 1

    def trip(self) -> None:
        self._failed = max(self._failed, self.failures)

    def look_failed(self) -> None:
        self._looked += 1
        self.fail()

    def look_succeeded(self) -> None:
        self._failed = self._looked = 0

    def pause_s(self, uniform: float) -> float:
        """Until the next look; `uniform` from 0 to 1."""
        return pause_s(
            self._looked + 1, uniform, first_s=self.first_pause_s, longest_s=self.longest_pause_s
        )
