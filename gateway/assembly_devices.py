"""From the settings to everything that serves devices: connections, members, enrolment."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from gateway.adapters.device_metrics import DeviceMetrics
from gateway.adapters.member_metrics import MemberMetrics
from gateway.api.devices import DeviceRoute
from gateway.core.ports import Clock, StateStore
from gateway.serving.devices import Devices
from gateway.serving.members.courier import Courier
from gateway.serving.members.elsewhere import WorkElsewhere
from gateway.serving.members.leases import Leases, Period
from gateway.serving.members.registry import MembersRegistry
from gateway.serving.members.switchboard import Switchboard
from gateway.serving.members.tokens import DeviceTokens
from gateway.serving.members.work_table import WorkLimits
from gateway.serving.reception import DeviceLimits
from gateway.serving.session_context import Speculation
from gateway.settings import Settings


@dataclass(frozen=True)
class DeviceServices:
    """`members` are the registered devices, `tokens` tell who asks; `switchboard` must run."""

    route: DeviceRoute
    members: MembersRegistry
    tokens: DeviceTokens
    switchboard: Switchboard


def device_services(
    settings: Settings,
    store: StateStore,
    speculation: Speculation,
    clock: Clock,
    metrics: DeviceMetrics,
    member_metrics: MemberMetrics,
) -> DeviceServices:
    """Inside the event loop."""
    wanted, replica = settings.devices, secrets.token_hex(8)
    courier = Courier(store)
    elsewhere = WorkElsewhere(replica, courier, clock, lambda: secrets.token_hex(16))
    members = MembersRegistry(
        replica, store, courier, elsewhere, clock, member_metrics, wanted.lease_s
    )
    devices = Devices(_limits(settings), speculation, metrics, members)
    tokens = DeviceTokens(wanted.tokens, wanted.owners, store, clock)

    def revoked(device: str) -> None:
        tokens.forget(device)
        devices.revoked(device)

    period = Period(wanted.lease_s, min(wanted.heartbeat_s, wanted.lease_s / 3))
    leases = Leases(members, store, clock, period, devices.enrolled, revoked)
    switchboard = Switchboard(store, members, elsewhere, courier, leases, clock, revoked)
    return DeviceServices(DeviceRoute(devices, tokens), members, tokens, switchboard)


def _limits(settings: Settings) -> DeviceLimits:
    wanted = settings.devices
    return DeviceLimits(
        wanted.lease_s,
        wanted.heartbeat_s,
        wanted.max_sessions,
        wanted.drafts_per_s,
        WorkLimits(wanted.max_work, wanted.max_work_s, wanted.max_answer_bytes),
    )
