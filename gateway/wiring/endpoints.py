"""The endpoints are kept current while the gateway runs: by scraper, mailboxes and discovery."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from gateway.adapters.endpoints.kubernetes import DiscoveredEndpoints
from gateway.adapters.endpoints.live import LiveEndpoints
from gateway.adapters.endpoints.scraper import Scraper
from gateway.adapters.engines.client import AiohttpModelServer
from gateway.adapters.engines.fingerprint import TokenizerCheck
from gateway.core.endpoints.down_pools import down_pools
from gateway.core.endpoints.outlier_ejection import Standing
from gateway.core.ports import Clock
from gateway.errors import ConfigError
from gateway.protocol.backoff import pause_s
from gateway.settings import Settings
from gateway.settings.checks.names import unserved_models
from gateway.wiring import pools
from k8s.discovery import cluster
from k8s.discovery.discovery import Discovery, DiscoveryScope
from k8s.discovery.endpoints import PortNames
from k8s.discovery.errors import ClusterUnknown
from k8s.discovery.namespace_watch import NamespaceWatch

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
"""Bounds of the pause before a lost API server is tried again."""


def discovery_scope(settings: Settings) -> DiscoveryScope | None:
    """None where everything is listed. Raises ConfigError when there is no way to a cluster."""
    discovery = settings.discovery
    if discovery is None:
        return None
    try:
        cluster.check(discovery.kubeconfig)
        namespaces = discovery.namespaces or (cluster.own_namespace(discovery.kubeconfig),)
    except ClusterUnknown as error:
        raise ConfigError(f"discovery: {error}") from error
    return DiscoveryScope(
        namespaces=tuple(dict.fromkeys(namespaces)),
        selector=discovery.selector,
        resync_s=discovery.resync_s,
        kubeconfig=discovery.kubeconfig,
        ports=PortNames(discovery.http_port, discovery.drafts_port),
    )


class EndpointUpkeep:
    """The tasks that keep the endpoints current. `mailboxes`, by endpoint, are kept in step."""

    def __init__(
        self,
        *,
        settings: Settings,
        scope: DiscoveryScope | None,
        endpoints: LiveEndpoints,
        client: AiohttpModelServer,
        clock: Clock,
        tls: Mapping[str, ssl.SSLContext] | None = None,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self.mailboxes = pools.fixed_mailboxes(settings, tls)
        self._settings = settings
        self._endpoints = endpoints
        self._clock = clock
        self._fixed = tuple(endpoints.states())
        self._tokenizers = TokenizerCheck(settings.family, client, settings.scrape.timeout_s)
        self._scraper = Scraper(
            client=client,
            clock=clock,
            tokenizers=self._tokenizers,
            up=endpoints.up,
            down=endpoints.down,
            interval_s=settings.scrape.interval_s,
            timeout_s=settings.scrape.timeout_s,
            failures=settings.scrape.failures,
        )
        self._discovered = DiscoveredEndpoints(
            policies=pools.policies(settings, tls),
            default=pools.default_policy(settings),
            fixed=frozenset(
                name for name, pool in settings.pools.items() if pool.endpoints is not None
            ),
            endpoints=endpoints,
            scraper=self._scraper,
            client=client,
            mailboxes=self.mailboxes,
        )
        self._discovery = (
            Discovery(
                scope,
                self._discovered,
                lambda failures: pause_s(
                    failures, uniform(), first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S
                ),
            )
            if scope
            else None
        )
        self._settled = False
        self._routes = False

    @property
    def watches(self) -> Sequence[NamespaceWatch]:
        return self._discovery.watches if self._discovery else ()

    @property
    def settled(self) -> bool:
        """Whether every endpoint that there was at the start has been looked at.

        Those that come later take nothing away: the others go on answering.
        """
        if not self._settled:
            listed = self._discovery is None or self._discovery.settled
            self._settled = listed and all(state.seen for state in self._endpoints.states())
        return self._settled

    @property
    def routes(self) -> bool:
        """Whether this gateway knows where requests go, or that there is nowhere for now.

        Engines that fail later take nothing away: who is out of its Service can refuse nobody with
        a reason, list no model and serve no device. But one that has reached none of the endpoints
        that it knows may be cut off from all of them, and a rollout must not go on with it.
        """
        if not self._routes:
            states, pools = self._endpoints.states(), self._endpoints.pools()
            listed = self._discovery is None or self._discovery.listed
            # Were it taken out, no request could come to wake a pool that holds them.
            holds = any(pool.hold_s > 0 for pool in pools)
            self._routes = (
                holds or any(state.healthy for state in states) or (listed and not states)
            )
        return self._routes

    def start(self, stack: AsyncExitStack) -> None:
        """Inside the event loop; `stack` stops everything that was started."""
        stack.push_async_callback(self._stop_mailboxes)
        for mailbox in self.mailboxes.values():
            mailbox.start()
        stack.push_async_callback(self._scraper.stop)
        for state in self._fixed:
            self._scraper.watch(state)
        if self._discovery is not None:
            stack.push_async_callback(self._discovery.stop)
            self._discovery.start()

    @property
    def served_models(self) -> frozenset[str] | None:
        """All models that there are; None while an engine is down or a pool is empty, which may
        serve others."""
        states, pools = self._endpoints.states(), self._endpoints.pools()
        occupied = {state.endpoint.pool for state in states}
        if not self.settled or not all(state.healthy for state in states):
            return None
        if any(pool.name not in occupied for pool in pools):
            return None
        names = {name for pool in pools for name in (*pool.models, *pool.labels)}
        return frozenset(names | {name for state in states for name in state.models})

    async def _stop_mailboxes(self) -> None:
        await asyncio.gather(*(mailbox.stop() for mailbox in self.mailboxes.values()))

    def conditions(self) -> dict[str, str]:
        """What is degraded, by name, in words for the operator."""
        conditions, now = {}, self._clock.now()
        if self.settled and (down := down_pools(self._endpoints.states(), self._endpoints.pools())):
            conditions["pool-down"] = "; ".join(f"{name}: {why}" for name, why in down.items())
        if ejected := [
            f"{state.endpoint.id} ({state.health.cause})"
            for state in self._endpoints.states()
            if state.healthy and state.health.standing(now) in (Standing.EJECTED, Standing.TRIAL)
        ]:
            conditions["endpoint-ejected"] = f"requests failed at {', '.join(ejected)}"
        if unchecked := self._tokenizers.unchecked:
            engines = ", ".join(sorted(unchecked))
            conditions["tokenizer-unchecked"] = (
                f"no /tokenize as vLLM's at the engines of {engines}"
            )
        if mute := self._tokenizers.without_template:
            conditions["chat-template-missing"] = (
                f"the engines of {', '.join(sorted(mute))} have none: they refuse chats, and "
                "/v1/completions answers"
            )
        served = self.served_models
        if served is not None and (unknown := unserved_models(self._settings, served)):
            conditions["model-unknown"] = "; ".join(unknown)
        boxes = self.mailboxes.values()
        if lost := [
            f"{box.address} of {box.endpoint_id} ({box.problem})" for box in boxes if box.problem
        ]:
            conditions["mailbox-lost"] = (
                f"drafts don't reach {', '.join(lost)}; answers go on without"
            )
        if blind := [f"{w.namespace}: {w.problem}" for w in self.watches if w.problem]:
            conditions["discovery-lost"] = (
                f"{'; '.join(blind)}; the endpoints known last stay in use until it is back"
            )
        if passed_over := self._discovered.passed_over:
            conditions["discovery-passed-over"] = "; ".join(passed_over)
        return conditions
