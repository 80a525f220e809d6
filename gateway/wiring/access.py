"""From the settings to who may ask what: keys, quotas, and the gate before callers' routes."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from gateway.core.ports import AccessTelemetry, Callers, Clock
from gateway.errors import ConfigError
from gateway.serving.access.access import Access
from gateway.serving.access.key_table import KeyTable
from gateway.serving.access.quotas import KeyQuotas
from gateway.settings import Settings

log = structlog.get_logger("tierflow.access")


def build_access(
    settings: Settings,
    *,
    devices: Callers,
    clock: Clock,
    telemetry: AccessTelemetry,
    wall: Callable[[], float] = time.time,
) -> Access:
    """Raises ConfigError for a gateway that strangers can reach and that has no keys."""
    keys = KeyTable(settings.keys.fixed, wall)
    required = settings.keys.required
    if required == "auto" and settings.listen.beyond_loopback and not keys.keys:
        raise ConfigError(
            f"keys: the gateway listens on {settings.listen.host}, where strangers reach it, and "
            "has no keys. List one under keys.static, or set keys.required: true and make keys "
            "with `python -m gateway.admin keys make`; keys.required: false lets everybody in"
        )

    def is_required() -> bool:
        return bool(keys.keys) if required == "auto" else required

    if not is_required():
        log.warning("keys_not_required", listen=settings.listen.host)
    return Access(
        keys=keys,
        quotas=KeyQuotas(clock),
        devices=devices,
        required=is_required,
        telemetry=telemetry,
    )
