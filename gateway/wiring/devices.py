"""From the settings to everything that serves devices: connections, members, enrolment."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import ip_network

from gateway.api.devices import DeviceRoute
from gateway.api.operators.devices import DeviceAdmin
from gateway.core.ports import DeviceTelemetry, MemberTelemetry, SessionTelemetry, StateStore
from gateway.serving.devices.connections import DeviceConnections
from gateway.serving.devices.drafting.session import DraftingDeps
from gateway.serving.devices.enrolment import Enrolments
from gateway.serving.devices.frames import DeviceLimits
from gateway.serving.devices.leases import Leases, Period
from gateway.serving.devices.registry import MembersRegistry
from gateway.serving.devices.replicas.bus import ReplicaBus
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.replicas.remote_work import RemoteWork
from gateway.serving.devices.token_attempts import TokenAttempts
from gateway.serving.devices.tokens import DeviceTokens, TokenWatch
from gateway.serving.devices.work import WorkLimits
from gateway.settings import Settings
from gateway.settings.devices import DeviceSettings
from gateway.wiring.shared import Shared


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTelemetries:
    """The telemetry of connections, of members' work and of drafting sessions."""

    devices: DeviceTelemetry
    members: MemberTelemetry
    sessions: SessionTelemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceParts:
    """The parts that serve devices, at this replica and in the exchange with others."""

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
        stack.push_async_callback(self.connections.stop)
        self.bus.start()

    def leave(self) -> None:
        """Send the connected devices elsewhere. Each of them goes as soon as nothing is under way
        for it."""
        self.connections.leave()

    @property
    def route(self) -> DeviceRoute:
        """Where devices connect."""
        return DeviceRoute(self.connections, self.tokens)

    @property
    def admin(self) -> DeviceAdmin:
        """What operators see and change."""
        return DeviceAdmin(self.enrolments, self.members, self.tokens)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """The sending half of the exchange between replicas, with the name that this one has in it."""

    replica: str
    outbox: ReplicaOutbox
    remote_work: RemoteWork


def build_devices(
    settings: Settings,
    *,
    shared: Shared,
    store: StateStore,
    telemetries: DeviceTelemetries,
) -> DeviceParts:
    """Inside the event loop."""
    devices, clock = settings.devices, shared.clock
    exchange = _exchange(shared, store)
    members = _members(
        exchange, shared=shared, store=store, telemetry=telemetries.members, lease_s=devices.lease_s
    )
    connections = DeviceConnections(
        limits=_limits(devices),
        drafting=_drafting(shared, telemetries.sessions),
        telemetry=telemetries.devices,
        registrar=members,
    )
    exempt = [ip_network(network) for network in settings.connections.exempt]
    attempts = TokenAttempts(store, clock, exempt)
    tokens = DeviceTokens(
        tokens=devices.tokens, owners=devices.owners, store=store, clock=clock, attempts=attempts
    )
    leases = Leases(registry=members, store=store, clock=clock, period=_period(devices))
    token_watch = TokenWatch(devices=connections, tokens=tokens, store=store, clock=clock)
    bus = ReplicaBus(
        store=store,
        registry=members,
        remote_work=exchange.remote_work,
        replica_outbox=exchange.outbox,
        leases=leases,
        clock=clock,
        uniform=shared.uniform,
        watch=token_watch,
    )
    enrolments = Enrolments(
        store=store,
        tokens=tokens,
        replica_outbox=exchange.outbox,
        attempts=attempts,
        unix_time=shared.wall,
    )
    return DeviceParts(
        connections=connections,
        members=members,
        tokens=tokens,
        token_watch=token_watch,
        enrolments=enrolments,
        leases=leases,
        replica_outbox=exchange.outbox,
        bus=bus,
    )


def _exchange(shared: Shared, store: StateStore) -> _Exchange:
    replica, outbox = secrets.token_hex(8), ReplicaOutbox(store)
    remote_work = RemoteWork(
        replica=replica, replica_outbox=outbox, clock=shared.clock, new_id=shared.new_id
    )
    return _Exchange(replica, outbox, remote_work)


def _members(
    exchange: _Exchange,
    *,
    shared: Shared,
    store: StateStore,
    telemetry: MemberTelemetry,
    lease_s: float,
) -> MembersRegistry:
    return MembersRegistry(
        replica=exchange.replica,
        store=store,
        replica_outbox=exchange.outbox,
        remote_work=exchange.remote_work,
        clock=shared.clock,
        telemetry=telemetry,
        lease_s=lease_s,
    )


def _drafting(shared: Shared, telemetry: SessionTelemetry) -> DraftingDeps:
    return DraftingDeps(
        verifiers=shared.verifiers,
        chains=shared.chains,
        admission=shared.admission,
        telemetry=telemetry,
        clock=shared.clock,
        timeouts=shared.timeouts,
        new_id=shared.new_id,
    )


def _period(devices: DeviceSettings) -> Period:
    return Period(devices.lease_s, min(devices.heartbeat_s, devices.lease_s / 3))


def _limits(devices: DeviceSettings) -> DeviceLimits:
    return DeviceLimits(
        lease_s=devices.lease_s,
        heartbeat_s=devices.heartbeat_s,
        max_sessions=devices.max_sessions,
        drafts_per_s=devices.drafts_per_s,
        work=WorkLimits(devices.max_work, devices.max_work_s, devices.max_answer_bytes),
    )
