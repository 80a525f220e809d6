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
from gateway.serving.access.key_store import KeyWatch, SharedKeys
from gateway.serving.access.key_table import KeyTable
from gateway.serving.access.quota_sharing import QuotaSharing
from gateway.serving.access.quotas import KeyQuotas
from gateway.settings import Settings
from gateway.settings.access.keys import IssuerSettings, KeySettings
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysAtStart:
    """The keys that are known before anything runs: those of the settings, and of the file.

    `watch` is over the file; None where there is none, or where the replicas share their keys.
    """

    table: KeyTable
    watch: KeyWatch | None


async def keys_at_start(settings: Settings) -> KeysAtStart:
    """Starts nothing. Raises ConfigError for a file of keys that can't be read, and for a gateway
    that strangers can reach and that has no keys, as far as that shows without the store."""
    table = KeyTable(settings.keys.fixed, time.time)
    if settings.state.redis is not None:
        return KeysAtStart(table=table, watch=None)
    watch = None
    if settings.keys.file is not None:
        watch = KeyWatch(KeyFile(Path(settings.keys.file)), table)
        await watch.turn()
        if watch.problem:
            raise ConfigError(watch.problem)
    _refuse_strangers(settings, table)
    return KeysAtStart(table=table, watch=watch)


def _refuse_strangers(settings: Settings, keys: KeyTable) -> None:
    """Raises ConfigError where strangers reach a gateway that has no keys."""
    rule = settings.keys
    if rule.required == "auto" and settings.listen.beyond_loopback and not _known(rule, keys):
        raise ConfigError(
            f"keys: the gateway listens on {settings.listen.host}, where strangers reach it, and "
            "has no keys. List one under keys.static, or set keys.required: true and make keys "
            "with `tierflow admin keys make`; keys.required: false lets everybody in"
        )


def _known(rule: KeySettings, keys: KeyTable) -> bool:
    """Whether anybody can show who it is."""
    return keys.made or rule.vouched


async def build_access(
    stack: AsyncExitStack,
    settings: Settings,
    *,
    known: KeysAtStart,
    store: StateStore | None,
    replica: str,
    devices: Callers,
    clock: Clock,
    telemetry: AccessTelemetry,
) -> AccessParts:
    """`store` is what the replicas share; None: nothing. `replica` is this one's name. `stack` ends
    what was started. Raises ConfigError for a gateway that strangers can reach and that has no
    keys."""
    keys, rule, quotas, watch = known.table, settings.keys, KeyQuotas(clock), known.watch
    if store is not None:
        watch = await _shared_keys(settings, keys, store, clock)
    required = _requirement(settings, keys, watch)
    if not required():
        log.warning("keys_not_required", listen=settings.listen.host)
    if watch is not None:
        start_task(stack, "keys", watch.run)
    if store is not None:
        sharing = QuotaSharing(store=store, quotas=quotas, replica=replica, clock=clock)
        start_task(stack, "quotas", sharing.run)
    day_use = None if store is not None else await _day_use(stack, rule, quotas, clock)
    issuers = _issuers(stack, rule.issuers, clock=clock)
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
        admin=KeyAdmin(table=keys, watch=watch, unix_time=time.time),
        watch=watch,
        day_use=day_use,
        issuers=issuers,
    )


async def _shared_keys(
    settings: Settings, keys: KeyTable, store: StateStore, clock: Clock
) -> KeyWatch:
    """The watch over the replicas' keys, which has looked once. Raises ConfigError."""
    watch = KeyWatch(SharedKeys(store, clock), keys)
    await watch.turn()
    if not watch.problem:
        _refuse_strangers(settings, keys)
    return watch


def _requirement(settings: Settings, keys: KeyTable, watch: KeyWatch | None) -> Callable[[], bool]:
    """Whether callers need a key, which keys that are made can change."""
    rule = settings.keys
    always = settings.listen.beyond_loopback or _known(rule, keys) or rule.file is not None

    def required() -> bool:
        if rule.required != "auto":
            return rule.required
        # Keys may be where nobody has looked yet.
        unread = watch is not None and not watch.read
        return always or unread or keys.made

    return required


async def _day_use(
    stack: AsyncExitStack, rule: KeySettings, quotas: KeyQuotas, clock: Clock
) -> DayUse | None:
    """What keys have used of their day, kept beside their file; None where there is none."""
    if rule.file is None:
        return None
    store = DayUseFile(Path(rule.file))
    day_use = DayUse(store=store, quotas=quotas, clock=clock, unix_time=time.time)
    await day_use.load()
    start_task(stack, "day-use", day_use.run)
    return day_use


def _issuers(
    stack: AsyncExitStack,
    settings: dict[str, IssuerSettings],
    *,
    clock: Clock,
) -> SignedTokens | None:
    """Inside the event loop; `stack` ends the watch over their keys. None where there are none."""
    if not settings:
        return None
    client = httpx.AsyncClient(trust_env=False)
    stack.push_async_callback(client.aclose)
    tokens = SignedTokens(time.time)
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
