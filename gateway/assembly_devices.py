"""From the settings to everything that serves devices: connections, members, enrolment."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from gateway.adapters.device_metrics import DeviceMetrics
from gateway.adapters.member_metrics import MemberMetrics
from gateway.api.device_desk import DeviceDesk
from gateway.api.devices import DeviceRoute
from gateway.core.ports import Clock, StateStore
from gateway.serving.devices import Devices
from gateway.serving.members.courier import Courier
from gateway.serving.members.elsewhere import WorkElsewhere
from gateway.serving.members.enrolment import Enrolments
from gateway.serving.members.guesses import Guesses
from gateway.serving.members.leases import Leases, Period
from gateway.serving.members.registry import MembersRegistry
from gateway.serving.members.switchboard import Switchboard
from gateway.serving.members.token_watch import TokenWatch
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
    desk: DeviceDesk
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
    wanted, replica, courier = settings.devices, secrets.token_hex(8), Courier(store)
    elsewhere = WorkElsewhere(replica, courier, clock, lambda: secrets.token_hex(16))
    members = MembersRegistry(
        replica, store, courier, elsewhere, clock, member_metrics, wanted.lease_s
    )
    devices = Devices(_limits(settings), speculation, metrics, members)
    tokens = DeviceTokens(wanted.tokens, wanted.owners, store, clock)
    period = Period(wanted.lease_s, min(wanted.heartbeat_s, wanted.lease_s / 3))
    switchboard = Switchboard(
        store,
        members,
        elsewhere,
        courier,
        Leases(members, store, clock, period),
        clock,
        TokenWatch(devices, tokens, store, clock),
    )
    enrolments = Enrolments(store, tokens, courier, Guesses(store, clock), time.time)
    desk = DeviceDesk(enrolments, members, tokens)
    return DeviceServices(DeviceRoute(devices, tokens), members, tokens, desk, switchboard)


def _limits(settings: Settings) -> DeviceLimits:
    wanted = settings.devices
    return DeviceLimits(
        wanted.lease_s,
        wanted.heartbeat_s,
        wanted.max_sessions,
        wanted.drafts_per_s,
        WorkLimits(wanted.max_work, wanted.max_work_s, wanted.max_answer_bytes),
    )
