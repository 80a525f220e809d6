"""Leases that are to be given up, kept in mind until the store has been told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.core.state.operations import Release

MAX_RELEASES = 10_000


class Releases:
    """`holds` tells of a lease whether its device has come back here meanwhile."""

    def __init__(self, holds: Callable[[Release], bool]) -> None:
        self._holds = holds
        self._waiting: list[Release] = []
        self.news = asyncio.Event()
        """Set when there is something to tell the store."""

    def add(self, release: Release) -> None:
        self._waiting.append(release)
        self.news.set()

    def take(self, device: str | None = None) -> list[Release]:
        """Those of one device, or all; the caller must do them, or put them back."""
        wanted = [r for r in self._waiting if device in (None, r.name)]
        self._waiting = [r for r in self._waiting if r not in wanted]
        return wanted

    def put_back(self, releases: list[Release]) -> None:
        """They could not be done. An older one than a lease lasts does nothing, and one of a
        device that has come back here is none any more."""
        kept = [release for release in releases if not self._holds(release)]
        self._waiting = [*kept, *self._waiting][-MAX_RELEASES:]
