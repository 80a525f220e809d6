"""Who may ask what, on fakes: keys, quotas and the gate before them."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any

from gateway.core.access.claims import TrustedProxy
from gateway.core.access.key import EVERYTHING, ApiKey, Quotas, Scope
from gateway.core.devices.grant import Grant
from gateway.core.ports import TokenIssuers
from gateway.protocol.headers import NORMAL_PRIORITY
from gateway.serving.access.access import Access
from gateway.serving.access.key_table import KeyTable
from gateway.serving.access.quotas import KeyQuotas
from tests.unit.gateway.fakes import StoppedClock

NOW = 1_000_000.0
"""Unix time, in tests."""
QUOTAS = {field.name for field in fields(Quotas)}


def secret(name: str) -> str:
    """The key of this name, as its caller shows it."""
    return f"tf-{name}-{'x' * 32}"


def digest(name: str) -> str:
    return hashlib.sha256(secret(name).encode()).hexdigest()


def api_key(name: str = "team-a", *, scope: Scope = EVERYTHING, **more: Any) -> ApiKey:
    """`more` are fields of the key, and its quotas."""
    quotas = Quotas(**{quota: more.pop(quota) for quota in QUOTAS if quota in more})
    given = {"digest": digest(name), "created": NOW, **more}
    return ApiKey(name=name, scope=scope, quotas=quotas, **given)


class OneDevice:
    """`Bearer device` is a device's token, and no other."""

    async def device_of(self, authorization: str, address: str = "") -> Grant | None:
        return Grant(device="phone") if authorization == "Bearer device" else None


class RefusalLog:
    """An `AccessTelemetry` that remembers."""

    def __init__(self) -> None:
        self.refusals: list[tuple[str, str]] = []

    def refused(self, key: str, reason: str) -> None:
        self.refusals.append((key, reason))


class AccessRig:
    """The gate, with these keys."""

    def __init__(
        self,
        *keys: ApiKey,
        required: bool | None = None,
        clock: StoppedClock | None = None,
        issuers: TokenIssuers | None = None,
        proxy: TrustedProxy | None = None,
    ) -> None:
        self.clock = clock or StoppedClock()
        self.unix_time = NOW
        self.keys = KeyTable(keys, lambda: self.unix_time)
        self.quotas = KeyQuotas(self.clock)
        self.telemetry = RefusalLog()
        self.access = Access(
            keys=self.keys,
            quotas=self.quotas,
            devices=OneDevice(),
            issuers=issuers,
            proxy=proxy,
            max_priority=NORMAL_PRIORITY,
            required=lambda: bool(self.keys.keys) if required is None else required,
            telemetry=self.telemetry,
        )


def open_access() -> Access:
    """Everybody may ask for everything."""
    return AccessRig().access
