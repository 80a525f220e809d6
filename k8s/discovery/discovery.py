"""All namespaces' watches together: one snapshot of the endpoints in use, told at each change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from k8s.discovery.cluster import open_api
from k8s.discovery.endpoints import PortNames, Snapshot, snapshot
from k8s.discovery.namespace_watch import NamespaceWatch
from k8s.discovery.slices import POOL_LABEL, TIER_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryScope:
    """The slices to watch.

    `selector`: labels that the slices carry beside the pool's and the tier's.

    `kubeconfig` None means the service account of the pod that this runs in.
    """

    namespaces: Sequence[str]
    selector: Mapping[str, str] = field(default_factory=dict)
    resync_s: float = 300.0
    kubeconfig: str | None = None
    ports: PortNames = PortNames()

    @property
    def label_selector(self) -> str:
        labels = [f"{name}={value}" for name, value in sorted(self.selector.items())]
        return ",".join([*labels, POOL_LABEL, TIER_LABEL])


class Listener(Protocol):
    """A listener that is called at changes, inside the event loop.

    None of its methods blocks or raises.
    """

    def endpoints_changed(self, snapshot: Snapshot) -> None: ...

    def watch_lost(self, namespace: str, problem: str) -> None: ...

    def watch_regained(self, namespace: str) -> None: ...


class Discovery:
    """The watches of all namespaces, from `start` to `stop`.

    `settled`: each namespace has been listed, or failed once. `pause_s`: the seconds before a lost
    API server is tried again, by the failures in a row (from 1).
    """

    def __init__(
        self, scope: DiscoveryScope, listener: Listener, pause_s: Callable[[int], float]
    ) -> None:
        self._scope = scope
        self._listener = listener
        self._latest = Snapshot()
        self._tasks: list[asyncio.Task[None]] = []
        self.watches = [
            NamespaceWatch(
                namespace=namespace,
                selector=scope.label_selector,
                connect=partial(open_api, scope.kubeconfig),
                reports=self,
                resync_s=scope.resync_s,
                pause_s=pause_s,
            )
            for namespace in scope.namespaces
        ]

    @property
    def settled(self) -> bool:
        return all(watch.tried for watch in self.watches)

    @property
    def listed(self) -> bool:
        """Whether the endpoints of a namespace are known, if only that there are none."""
        return any(watch.lists for watch in self.watches)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(watch.run()) for watch in self.watches]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def changed(self) -> None:
        slices = [item for watch in self.watches for item in watch.slices.values()]
        new = snapshot(slices, self._scope.ports)
        if new != self._latest:
            self._latest = new
            self._listener.endpoints_changed(new)

    def watch_lost(self, namespace: str, problem: str) -> None:
        self._listener.watch_lost(namespace, problem)

    def watch_regained(self, namespace: str) -> None:
        self._listener.watch_regained(namespace)
