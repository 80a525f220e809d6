"""From the settings to the issuers whose tokens are good here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import httpx

from gateway.adapters.identity.issuers import Issuer, SignedTokens
from gateway.adapters.identity.key_set import KeySet, fetch, read_file
from gateway.core.access.claims import ClaimRule
from gateway.core.ports import Clock
from gateway.settings.keys import IssuerSettings
from gateway.wiring.tasks import start_task


def build_issuers(
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
