"""From the settings to who may ask what: keys, quotas, and the gate before callers' routes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import structlog

from gateway.adapters.files.day_use import DayUseFile
from gateway.adapters.files.keys import KeyFile
from gateway.adapters.identity.issuers import Issuer, SignedTokens
from gateway.adapters.identity.key_set import KeySet, fetch, read_file
from gateway.core.access.claims import ClaimRule
from gateway.core.ports import AccessTelemetry, Callers, Clock, StateStore
from gateway.errors import ConfigError
from gateway.serving.access.access import Access
from gateway.serving.access.day_use import DayUse
from gateway.serving.access.key_admin import KeyAdmin
from gateway.serving.access.key_store import KeyStore, KeyWatch, SharedKeys
from gateway.serving.access.key_table import KeyTable
from gateway.serving.access.quota_sharing import QuotaSharing
from gateway.serving.access.quotas import KeyQuotas
from gateway.settings import Settings
from gateway.settings.keys import IssuerSettings
from gateway.wiring.tasks import start_task

log = structlog.get_logger("tierflow.access")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessParts:
    """The gate for callers, what operators do with keys, and the watch over those that are
    stored."""

    access: Access
    admin: KeyAdmin
    watch: KeyWatch | None
    day_use: DayUse | None
    issuers: SignedTokens | None

    def conditions(self) -> dict[str, str]:
        """What is degraded, by name, in words for the operator."""
        conditions = {}
        if self.issuers is not None and (problem := self.issuers.problem()):
            conditions["issuer-keys-not-read"] = problem
        if self.day_use is not None and self.day_use.problem:
            conditions["quotas-not-kept"] = (
                f"{self.day_use.problem}; keys' tokens per day begin anew at the next start"
            )
        if self.watch is not None and self.watch.problem:
            conditions["keys-not-read"] = (
                f"{self.watch.problem}; the keys that were read last stay in use"
                if self.watch.read
                else f"{self.watch.problem}; none were read yet, so that callers need a key unless "
                "keys.required is false, and only those of the settings are good"
            )
        return conditions


async def build_access(
    stack: AsyncExitStack,
    settings: Settings,
    *,
    store: StateStore | None,
    replica: str,
    devices: Callers,
    clock: Clock,
    telemetry: AccessTelemetry,
    wall: Callable[[], float] = time.time,
) -> AccessParts:
    """`store` is what the replicas share; None: nothing. `replica` is this one's name. `stack` ends
    what was started. Raises ConfigError for a gateway that strangers can reach and that has no
    keys, and for a file of keys that can't be read."""
    keys, rule, quotas = KeyTable(settings.keys.fixed, wall), settings.keys, KeyQuotas(clock)
    watch = await _watch(settings, keys, store, clock)
    exposed, known = settings.listen.beyond_loopback, keys.made or rule.vouched
    if rule.required == "auto" and exposed and not known and not (watch and watch.problem):
        raise ConfigError(
            f"keys: the gateway listens on {settings.listen.host}, where strangers reach it, and "
            "has no keys. List one under keys.static, or set keys.required: true and make keys "
            "with `tierflow admin keys make`; keys.required: false lets everybody in"
        )

    def required() -> bool:
        if rule.required != "auto":
            return rule.required
        # Keys may be where nobody has looked yet.
        unread = watch is not None and not watch.read
        return exposed or known or rule.file is not None or unread or keys.made

    if not required():
        log.warning("keys_not_required", listen=settings.listen.host)
    if watch is not None:
        start_task(stack, "keys", watch.run)
    if store is not None:
        sharing = QuotaSharing(store=store, quotas=quotas, replica=replica, clock=clock)
        start_task(stack, "quotas", sharing.run)
    day_use = None
    if store is None and rule.file is not None:
        day_use = DayUse(
            store=DayUseFile(Path(rule.file)), quotas=quotas, clock=clock, unix_time=wall
        )
        await day_use.load()
        start_task(stack, "day-use", day_use.run)
    issuers = _issuers(stack, rule.issuers, clock=clock, wall=wall)
    return AccessParts(
        access=Access(
            keys=keys,
            quotas=quotas,
            devices=devices,
            issuers=issuers,
            proxy=rule.proxy.trusted if rule.proxy is not None else None,
            required=required,
            max_priority=rule.max_priority,
            telemetry=telemetry,
        ),
        admin=KeyAdmin(table=keys, watch=watch, unix_time=wall),
        watch=watch,
        day_use=day_use,
        issuers=issuers,
    )


async def _watch(
    settings: Settings, keys: KeyTable, store: StateStore | None, clock: Clock
) -> KeyWatch | None:
    """The watch over stored keys, which has looked once. Raises ConfigError."""
    kept: KeyStore
    if store is not None:
        kept = SharedKeys(store, clock)
    elif settings.keys.file is not None:
        kept = KeyFile(Path(settings.keys.file))
    else:
        return None
    watch = KeyWatch(kept, keys)
    await watch.turn()
    if watch.problem and store is None:
        raise ConfigError(watch.problem)
    return watch


def _issuers(
    stack: AsyncExitStack,
    settings: dict[str, IssuerSettings],
    *,
    clock: Clock,
    wall: Callable[[], float],
) -> SignedTokens | None:
    """Inside the event loop; `stack` ends the watch over their keys. None where there are none."""
    if not settings:
        return None
    client = httpx.AsyncClient(trust_env=False)
    stack.push_async_callback(client.aclose)
    tokens = SignedTokens(wall)
    for name, each in settings.items():
        keys = KeySet(issuer=name, read=_reader(client, each), clock=clock, changed=tokens.forget)
        start_task(stack, "issuer-keys", keys.run)
        tokens.add(_issuer(name, each, keys))
    return tokens


def _reader(client: httpx.AsyncClient, settings: IssuerSettings) -> Callable[[], Awaitable[bytes]]:
    if settings.jwks_file is not None:
        return partial(read_file, settings.jwks_file)
    return partial(fetch, client, settings.jwks_url or "")


def _issuer(name: str, settings: IssuerSettings, keys: KeySet) -> Issuer:
    return Issuer(
        id=settings.issuer,
        audience=settings.audience,
        algorithms=settings.algorithms,
        keys=keys,
        rule=ClaimRule(
            issuer=name,
            name=settings.name_claim,
            scopes={str(what): claim for what, claim in settings.scope_claims.items()},
            quotas=settings.quotas,
        ),
    )
