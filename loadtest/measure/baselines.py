"""An engine as the baseline of the gateway before it, both measured in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.measure.closed_loop import RequestSeries, Window, alternating, closed_loop
from loadtest.measure.processes import Process


@dataclass(frozen=True, slots=True)
class Load:
    """A window of load on one of the two, and the gateway's CPU seconds in it."""

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
class EngineAndGateway:
    """The two targets of a comparison: the engine asked directly, and the gateway before it.

    Results come in the order (direct, gateway).
    """

    engine: Process
    gateway: Process
    _gateway_first: bool = False

    def one_at_a_time(self, requests: Sequence[bytes], rounds: int) -> tuple[Window, Window]:
        """`rounds` single requests to each, alternating."""
        series = [RequestSeries(to.target, requests) for to in (self.engine, self.gateway)]
        direct, gateway = alternating(series, rounds=rounds)
        return direct, gateway

    def loaded(
        self, requests: Sequence[bytes], *, concurrency: int, seconds: float, stagger_s: float = 0.0
    ) -> tuple[Load, Load]:
        """A closed loop on one, then on the other; each call swaps which goes first."""

        def load(process: Process) -> Load:
            before = self.gateway.cpu_s()
            window = closed_loop(
                process.target,
                requests,
                concurrency=concurrency,
                seconds=seconds,
                stagger_s=stagger_s,
            )
            return Load(window, self.gateway.cpu_s() - before)

        self._gateway_first = not self._gateway_first
        if self._gateway_first:
            gateway = load(self.gateway)
            return load(self.engine), gateway
        return load(self.engine), load(self.gateway)
