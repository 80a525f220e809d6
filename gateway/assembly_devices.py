"""From the settings to everything that serves devices: connections, members, enrolment."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from gateway.adapters.prometheus.devices import DeviceMetrics
from gateway.adapters.prometheus.members import MemberMetrics
from gateway.api.device_desk import DeviceAdmin
from gateway.api.devices import DeviceRoute
from gateway.core.ports import Clock, StateStore
from gateway.serving.devices.connections import DeviceConnections
from gateway.serving.devices.drafting.context import DraftingDeps
from gateway.serving.devices.enrolment import Enrolments
from gateway.serving.devices.enrolment_attempts import EnrolmentAttempts
from gateway.serving.devices.frames import DeviceLimits
from gateway.serving.devices.leases import Leases, Period
from gateway.serving.devices.registry import MembersRegistry
from gateway.serving.devices.replicas.bus import ReplicaBus
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.replicas.remote_work import RemoteWork
from gateway.serving.devices.token_watch import TokenWatch
from gateway.serving.devices.tokens import DeviceTokens
from gateway.serving.devices.work import WorkLimits
from gateway.settings import Settings


@dataclass(frozen=True)
class DeviceServices:
    """`members` are the registered devices, `tokens` tell who asks; `switchboard` must run."""

    route: DeviceRoute
    members: MembersRegistry
    tokens: DeviceTokens
    desk: DeviceAdmin
    switchboard: ReplicaBus


def device_services(
    settings: Settings,
    store: StateStore,
    speculation: DraftingDeps,
    clock: Clock,
    metrics: DeviceMetrics,
    member_metrics: MemberMetrics,
) -> DeviceServices:
    """Inside the event loop."""
    wanted, replica, courier = settings.devices, secrets.token_hex(8), ReplicaOutbox(store)
    elsewhere = RemoteWork(replica, courier, clock, lambda: secrets.token_hex(16))
    members = MembersRegistry(
        replica, store, courier, elsewhere, clock, member_metrics, wanted.lease_s
    )
    devices = DeviceConnections(_limits(settings), speculation, metrics, members)
    tokens = DeviceTokens(wanted.tokens, wanted.owners, store, clock)
    period = Period(wanted.lease_s, min(wanted.heartbeat_s, wanted.lease_s / 3))
    switchboard = ReplicaBus(
        store,
        members,
        elsewhere,
        courier,
        Leases(members, store, clock, period),
        clock,
        TokenWatch(devices, tokens, store, clock),
    )
    enrolments = Enrolments(store, tokens, courier, EnrolmentAttempts(store, clock), time.time)
    desk = DeviceAdmin(enrolments, members, tokens)
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
