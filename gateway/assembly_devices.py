"""From the settings to everything that serves devices: connections, members, enrolment."""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass

from gateway.adapters.prometheus.devices import DeviceMetrics
from gateway.adapters.prometheus.members import MemberMetrics
from gateway.api.devices import DeviceRoute
from gateway.api.devices_admin import DeviceAdmin
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
from gateway.serving.devices.tokens import DeviceTokens, TokenWatch
from gateway.serving.devices.work import WorkLimits
from gateway.settings import Settings


@dataclass(frozen=True, kw_only=True)
class DeviceServices:
    """`members` are the registered devices, `tokens` tell who asks; `bus` must run."""

    route: DeviceRoute
    members: MembersRegistry
    tokens: DeviceTokens
    admin: DeviceAdmin
    bus: ReplicaBus


def device_services(
    settings: Settings,
    store: StateStore,
    speculation: DraftingDeps,
    clock: Clock,
    metrics: DeviceMetrics,
    member_metrics: MemberMetrics,
) -> DeviceServices:
    """Inside the event loop."""
    wanted, replica, replica_outbox = settings.devices, secrets.token_hex(8), ReplicaOutbox(store)
    remote_work = RemoteWork(
        replica=replica,
        replica_outbox=replica_outbox,
        clock=clock,
        new_id=lambda: secrets.token_hex(16),
    )
    members = MembersRegistry(
        replica=replica,
        store=store,
        replica_outbox=replica_outbox,
        remote_work=remote_work,
        clock=clock,
        telemetry=member_metrics,
        lease_s=wanted.lease_s,
    )
    devices = DeviceConnections(
        limits=_limits(settings), speculation=speculation, telemetry=metrics, registrar=members
    )
    tokens = DeviceTokens(tokens=wanted.tokens, owners=wanted.owners, store=store, clock=clock)
    period = Period(wanted.lease_s, min(wanted.heartbeat_s, wanted.lease_s / 3))
    bus = ReplicaBus(
        store=store,
        registry=members,
        remote_work=remote_work,
        replica_outbox=replica_outbox,
        leases=Leases(registry=members, store=store, clock=clock, period=period),
        clock=clock,
        uniform=random.random,
        watch=TokenWatch(devices=devices, tokens=tokens, store=store, clock=clock),
    )
    enrolments = Enrolments(
        store=store,
        tokens=tokens,
        replica_outbox=replica_outbox,
        attempts=EnrolmentAttempts(store, clock),
        unix_time=time.time,
    )
    admin = DeviceAdmin(enrolments, members, tokens)
    return DeviceServices(
        route=DeviceRoute(devices, tokens),
        members=members,
        tokens=tokens,
        admin=admin,
        bus=bus,
    )


def _limits(settings: Settings) -> DeviceLimits:
    wanted = settings.devices
    return DeviceLimits(
        lease_s=wanted.lease_s,
        heartbeat_s=wanted.heartbeat_s,
        max_sessions=wanted.max_sessions,
        drafts_per_s=wanted.drafts_per_s,
        work=WorkLimits(wanted.max_work, wanted.max_work_s, wanted.max_answer_bytes),
    )
