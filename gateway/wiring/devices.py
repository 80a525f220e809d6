"""From the settings to everything that serves devices: connections, members, enrolment."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.api.devices import DeviceRoute
from gateway.api.devices_admin import DeviceAdmin
from gateway.core.ports import DeviceTelemetry, MemberTelemetry, SessionTelemetry, StateStore
from gateway.serving.devices.connections import DeviceConnections
from gateway.serving.devices.drafting.session import DraftingDeps
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
from gateway.wiring.shared import Shared


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTelemetries:
    """Where it is told what happens to connections, to members' work and to drafting sessions."""

    devices: DeviceTelemetry
    members: MemberTelemetry
    sessions: SessionTelemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceParts:
    """All that serves devices, at this replica and in the exchange with others."""

    connections: DeviceConnections
    members: MembersRegistry
    tokens: DeviceTokens
    token_watch: TokenWatch
    enrolments: Enrolments
    leases: Leases
    replica_outbox: ReplicaOutbox
    bus: ReplicaBus

    def start(self, stack: AsyncExitStack) -> None:
        """Inside the event loop; `stack` ends the exchange with other replicas."""
        stack.push_async_callback(self.bus.stop)
        self.bus.start()

    @property
    def route(self) -> DeviceRoute:
        """Where devices connect."""
        return DeviceRoute(self.connections, self.tokens)

    @property
    def admin(self) -> DeviceAdmin:
        """What operators see and change."""
        return DeviceAdmin(self.enrolments, self.members, self.tokens)


def build_devices(
    settings: Settings,
    *,
    shared: Shared,
    store: StateStore,
    telemetries: DeviceTelemetries,
) -> DeviceParts:
    """Inside the event loop."""
    devices, clock, replica = settings.devices, shared.clock, secrets.token_hex(8)
    replica_outbox = ReplicaOutbox(store)
    remote_work = RemoteWork(
        replica=replica, replica_outbox=replica_outbox, clock=clock, new_id=shared.new_id
    )
    members = MembersRegistry(
        replica=replica,
        store=store,
        replica_outbox=replica_outbox,
        remote_work=remote_work,
        clock=clock,
        telemetry=telemetries.members,
        lease_s=devices.lease_s,
    )
    connections = DeviceConnections(
        limits=_limits(settings),
        drafting=DraftingDeps(
            verifiers=shared.verifiers,
            admission=shared.admission,
            telemetry=telemetries.sessions,
            clock=clock,
            timeouts=shared.timeouts,
            new_id=shared.new_id,
        ),
        telemetry=telemetries.devices,
        registrar=members,
    )
    tokens = DeviceTokens(tokens=devices.tokens, owners=devices.owners, store=store, clock=clock)
    period = Period(devices.lease_s, min(devices.heartbeat_s, devices.lease_s / 3))
    leases = Leases(registry=members, store=store, clock=clock, period=period)
    token_watch = TokenWatch(devices=connections, tokens=tokens, store=store, clock=clock)
    bus = ReplicaBus(
        store=store,
        registry=members,
        remote_work=remote_work,
        replica_outbox=replica_outbox,
        leases=leases,
        clock=clock,
        uniform=shared.uniform,
        watch=token_watch,
    )
    enrolments = Enrolments(
        store=store,
        tokens=tokens,
        replica_outbox=replica_outbox,
        attempts=EnrolmentAttempts(store, clock),
        unix_time=shared.wall,
    )
    return DeviceParts(
        connections=connections,
        members=members,
        tokens=tokens,
        token_watch=token_watch,
        enrolments=enrolments,
        leases=leases,
        replica_outbox=replica_outbox,
        bus=bus,
    )


def _limits(settings: Settings) -> DeviceLimits:
    devices = settings.devices
    return DeviceLimits(
        lease_s=devices.lease_s,
        heartbeat_s=devices.heartbeat_s,
        max_sessions=devices.max_sessions,
        drafts_per_s=devices.drafts_per_s,
        work=WorkLimits(devices.max_work, devices.max_work_s, devices.max_answer_bytes),
    )
