"""Keeps one namespace's EndpointSlices current: a list, then a watch from where the list ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from k8s.discovery.cluster import Api
from k8s.discovery.errors import ApiLost, ApiRefused, DiscoveryError, Expired, refused
from k8s.discovery.slices import Bookmark, Event, Slice, SliceList, Status, decode

BRIEF_S = 1.0
"""A watch that ends sooner without an event counts as failed, and is not reopened at once. One that
is silent for longer stands: what an API server has against a watch comes at once."""
RIGHTS_REFUSED = (401, 403)
WARM_UP_PAUSE = 3
"""An API server that has just started refuses rights and accounts that it has not read yet. After
an outage a first refusal is not told, and tried again after the pause of so many failures."""


class Reports(Protocol):
    """A listener to one watch, called inside the event loop.

    None of its methods blocks or raises.
    """

    def changed(self) -> None: ...

    def watch_lost(self, namespace: str, problem: str) -> None: ...

    def watch_regained(self, namespace: str) -> None: ...


class NamespaceWatch:
    """The watch of one namespace; `run` goes on until it is cancelled.

    `slices` (by name) stay as last known while the API server is lost; `problem` is empty while
    the watch stands: from its first good event, or from where a list has just ended.

    `resync_s`: seconds after which everything is listed anew. `pause_s`: the seconds before the
    next try, by the failures in a row (from 1). `failures` and `lists` only grow.
    """

    def __init__(
        self,
        *,
        namespace: str,
        selector: str,
        connect: Callable[[], Awaitable[Api]],
        reports: Reports,
        resync_s: float,
        pause_s: Callable[[int], float],
    ) -> None:
        self.namespace = namespace
        self.slices: Mapping[str, Slice] = {}
        self.problem = "not connected yet"
        self.tried = False
        self.failures = 0
        self.lists = 0
        self._selector = selector
        self._connect = connect
        self._reports = reports
        self._resync_s = resync_s
        self._pause_s = pause_s
        self._version = ""
        self._list_due = 0.0
        self._in_a_row = 0
        self._expired_in_a_row = 0
        self._was_lost = False

    async def run(self) -> None:
        while True:
            try:
                await self._connected()
            except Expired as error:
                self._version = ""
                self._expired_in_a_row += 1
                # A list is what helps, and it is due now. An API server to which even the version
                # of its own list is too old gets the pauses of any other failure.
                if self._expired_in_a_row == 1:
                    continue
                self._failed(error)
            except DiscoveryError as error:
                if self._warms_up(error):
                    await asyncio.sleep(self._pause_s(WARM_UP_PAUSE))
                    continue
                self._was_lost = not (isinstance(error, ApiRefused) and error.status < 500)
                self._failed(error)
            except Exception as error:
                # Whatever an API server sends, its watcher must live on.
                self._version = ""
                self._failed(ApiLost(f"unreadable answer ({type(error).__name__}: {error})"))
            await asyncio.sleep(self._pause_s(self._in_a_row))

    async def _connected(self) -> None:
        """Until something fails. The credentials are read anew each time that it is called."""
        api = await self._connect()
        try:
            while True:
                await self._once(api)
                self._lasts()
        finally:
            await api.close()

    async def _once(self, api: Api) -> None:
        """List if that is due, then watch until the API server ends it or a list is due."""
        loop = asyncio.get_running_loop()
        listed = not self._version or loop.time() >= self._list_due
        if listed:
            self._listed(decode(await api.list(self.namespace, self._selector), SliceList))
            self._list_due = loop.time() + self._resync_s
        seconds = max(1, round(self._list_due - loop.time()))
        began, has_events = loop.time(), False
        async with api.watch(self.namespace, self._selector, self._version, seconds) as lines:
            if listed and self._expired_in_a_row < 2:
                self._stands()
            # No more is known yet: an expired version is often told inside an answer of 200.
            silence = loop.call_later(BRIEF_S, self._lasts)
            try:
                async for line in lines:
                    self._take(line)
                    self._lasts()
                    has_events = True
            finally:
                silence.cancel()
        if not has_events and loop.time() - began < min(BRIEF_S, 0.5 * seconds):
            raise ApiLost("the API server ends every watch at once")

    def _listed(self, slices: SliceList) -> None:
        self.lists += 1
        self._version = slices.metadata.resource_version
        self.slices = {item.metadata.name: item for item in slices.items or ()}
        self.tried = True
        self._reports.changed()

    def _take(self, line: bytes) -> None:
        event = decode(line, Event)
        if event.type == "ERROR":
            self._version = ""
            status = decode(event.object, Status)
            raise refused(status.code or 500, status.message or "no reason", self.namespace)
        if event.type == "BOOKMARK":
            self._version = decode(event.object, Bookmark).metadata.resource_version
            return
        item = decode(event.object, Slice)
        name = item.metadata.name
        others = {known: other for known, other in self.slices.items() if known != name}
        self.slices = others if event.type == "DELETED" else {**others, name: item}
        self._version = item.metadata.resource_version
        self._reports.changed()

    def _stands(self) -> None:
        self._was_lost = False
        if self.problem:
            self.problem = ""
            self._reports.watch_regained(self.namespace)

    def _lasts(self) -> None:
        self._in_a_row = self._expired_in_a_row = 0
        self._stands()

    def _warms_up(self, error: DiscoveryError) -> bool:
        """Whether this refusal is the first since the API server was lost."""
        refused_rights = isinstance(error, ApiRefused) and error.status in RIGHTS_REFUSED
        was_lost, self._was_lost = self._was_lost, False
        return refused_rights and was_lost

    def _failed(self, error: DiscoveryError) -> None:
        self.failures += 1
        self._in_a_row += 1
        self.tried = True
        problem = str(error)
        if problem != self.problem:
            self.problem = problem
            self._reports.watch_lost(self.namespace, problem)
