"""Breaks of answers that have begun, counted by how the answers went on."""

from __future__ import annotations

from types import TracebackType

from gateway.core.ports import Telemetry
from gateway.errors import GatewayError


class Resumptions:
    """The breaks of one answer after its first token. Each is counted once: as resumed when the
    answer `went_on` elsewhere or ended well, as failed when an error ends the block.

    `way` names the way of answering in the metric.
    """

    __slots__ = ("_cause", "_telemetry", "_way")

    def __init__(self, way: str, telemetry: Telemetry) -> None:
        self._way = way
        self._telemetry = telemetry
        self._cause = ""

    def broke(self, cause: str) -> None:
        """The engine broke, with the error of this code. What fails until the answer goes on is
        part of the same break."""
        self._cause = self._cause or cause

    def went_on(self) -> bool:
        """Whether it goes on after a break."""
        return self._count("resumed")

    def __enter__(self) -> Resumptions:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._count("resumed")
        elif isinstance(error, GatewayError):
            self._count("failed")

    def _count(self, outcome: str) -> bool:
        cause, self._cause = self._cause, ""
        if cause:
            self._telemetry.resumed(self._way, outcome, cause)
        return bool(cause)
