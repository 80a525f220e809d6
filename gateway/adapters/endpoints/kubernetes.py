"""Endpoints that Kubernetes knows: puts what discovery finds into rotation, and takes out the rest.

What leaves is out of the snapshot first, so nothing new is sent there; what is at work there goes
on to its end.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass

import structlog

from gateway.adapters.endpoints.live import Changes, LiveEndpoints
from gateway.adapters.endpoints.scraper import Scraper
from gateway.adapters.engines.client import AiohttpModelServer
from gateway.adapters.engines.mailbox import Mailbox
from gateway.core.tier import Tier
from gateway.core.types import Endpoint, Limits, PoolState, Probe
from k8s.discovery.endpoints import FoundEndpoint, FoundPool, Snapshot

log = structlog.get_logger("tierflow.discovery")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPolicy:
    """What the configuration says of a pool's endpoints. `tier` None takes the label's."""

    tier: Tier | None = None
    limits: Limits
    mailbox_secret: bytes | None = None
    probe: Probe
    https: bool = False
    mailbox_tls: ssl.SSLContext | None = None


class DiscoveredEndpoints:
    """The listener of `k8s.discovery` that puts endpoints into rotation. `policies` by pool; a
    pool without one takes `default`.

    `fixed` names the pools that have a list of their own: slices must not add to these.
    """

    def __init__(
        self,
        *,
        policies: Mapping[str, PoolPolicy],
        default: PoolPolicy,
        fixed: frozenset[str],
        endpoints: LiveEndpoints,
        scraper: Scraper,
        client: AiohttpModelServer,
        mailboxes: MutableMapping[str, Mailbox],
    ) -> None:
        self._policies = policies
        self._default = default
        self._fixed = fixed
        self._endpoints = endpoints
        self._scraper = scraper
        self._client = client
        self._mailboxes = mailboxes
        self._fixed_ids = {state.endpoint.id for state in endpoints.states()}
        self.passed_over: tuple[str, ...] = ()

    def endpoints_changed(self, snapshot: Snapshot) -> None:
        problems = list(snapshot.problems)
        pools = {pool.name: pool for pool in snapshot.pools}
        tiers = {name: tier for name in pools if (tier := self._tier(pools[name], problems))}
        listed = [
            (self._endpoint(item, tiers[item.pool]), self._policy(item.pool).limits)
            for item in snapshot.endpoints
            if item.pool in tiers and item.id not in self._fixed_ids
        ]
        self._endpoints.replace_pools(
            PoolState(name=name, tier=tier, labels=frozenset(pools[name].models))
            for name, tier in tiers.items()
        )
        self._follow(self._endpoints.replace(listed))
        in_use = {endpoint.id for endpoint, _ in listed}
        self._keep_mailboxes([item for item in snapshot.endpoints if item.id in in_use])
        self.passed_over = tuple(problems)

    def watch_lost(self, namespace: str, problem: str) -> None:
        log.warning("discovery_lost", namespace=namespace, problem=problem)

    def watch_regained(self, namespace: str) -> None:
        log.info("discovery_up", namespace=namespace)

    def _policy(self, pool: str) -> PoolPolicy:
        return self._policies.get(pool, self._default)

    def _tier(self, pool: FoundPool, problems: list[str]) -> Tier | None:
        """None for a pool that can't be used, with a line that says why."""
        if pool.name in self._fixed:
            problems.append(f"pool {pool.name} has a list of endpoints in the configuration")
            return None
        configured = self._policy(pool.name).tier
        if pool.tier not in set(Tier):
            problems.append(f"pool {pool.name}: no such tier as {pool.tier!r}")
            return configured
        if configured is not None and pool.tier != configured:
            problems.append(f"pool {pool.name} is labelled {pool.tier}; {configured} is configured")
        return configured or Tier(pool.tier)

    def _endpoint(self, item: FoundEndpoint, tier: Tier) -> Endpoint:
        policy = self._policy(item.pool)
        return Endpoint(
            id=item.id,
            url=f"{'https' if policy.https else 'http'}://{item.id}",
            pool=item.pool,
            tier=tier,
            probe=policy.probe,
        )

    def _follow(self, changes: Changes) -> None:
        for state in changes.departed:
            endpoint = state.endpoint
            log.info("endpoint_left", endpoint=endpoint.id, pool=endpoint.pool)
            self._scraper.forget(state)
            self._client.forget(endpoint)
            self._close_mailbox(endpoint.id)
        for state in changes.arrived:
            endpoint = state.endpoint
            log.info("endpoint_found", endpoint=endpoint.id, pool=endpoint.pool)
            self._scraper.watch(state)

    def _keep_mailboxes(self, items: Sequence[FoundEndpoint]) -> None:
        for item in items:
            secret, known = self._policy(item.pool).mailbox_secret, self._mailboxes.get(item.id)
            address = f"{item.host}:{item.drafts_port}" if secret and item.drafts_port else None
            if address == (known.address if known else None):
                continue
            self._close_mailbox(item.id)
            if secret is not None and address is not None:
                mailbox = Mailbox(
                    endpoint_id=item.id,
                    address=address,
                    secret=secret,
                    uniform=random.random,
                    tls=self._policy(item.pool).mailbox_tls,
                )
                self._mailboxes[item.id] = mailbox
                mailbox.start()

    def _close_mailbox(self, endpoint_id: str) -> None:
        if mailbox := self._mailboxes.pop(endpoint_id, None):
            mailbox.close()
