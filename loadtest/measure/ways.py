"""Two ways to the same engine, measured in turn: straight to it, and through the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.measure.loops import Lane, Window, alternating, closed_loop
from loadtest.measure.processes import Running


@dataclass(frozen=True, slots=True)
class Load:
    """A window of load on one way, and the gateway's CPU seconds in it."""

    window: Window
    cpu_s: float

    @property
    def cpu_us_each(self) -> float:
        """The gateway's CPU microseconds per answer."""
        return 1e6 * self.cpu_s / max(1, len(self.window.exchanges))

    @property
    def cpu_share(self) -> float:
        """The gateway's use of its core, 0 to 1."""
        return self.cpu_s / self.window.seconds


@dataclass(slots=True)
class Ways:
    """What is measured gives its results in the order (direct, gateway)."""

    direct: Running
    gateway: Running
    _gateway_first: bool = False

    def one_at_a_time(self, requests: Sequence[bytes], rounds: int) -> tuple[Window, Window]:
        """`rounds` single requests to each, alternating."""
        lanes = [Lane(way.target, requests) for way in (self.direct, self.gateway)]
        direct, gateway = alternating(lanes, rounds=rounds)
        return direct, gateway

    def loaded(
        self, requests: Sequence[bytes], concurrency: int, seconds: float, stagger_s: float = 0.0
    ) -> tuple[Load, Load]:
        """A closed loop on one way, then on the other; each call swaps which goes first."""

        def load(way: Running) -> Load:
            before = self.gateway.cpu_s()
            window = closed_loop(
                way.target,
                requests,
                concurrency=concurrency,
                seconds=seconds,
                stagger_s=stagger_s,
            )
            return Load(window, self.gateway.cpu_s() - before)

        self._gateway_first = not self._gateway_first
        if self._gateway_first:
            gateway = load(self.gateway)
            return load(self.direct), gateway
        return load(self.direct), load(self.gateway)
