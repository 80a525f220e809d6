"""The bounds of connections, from the settings and from what the process may open."""

from __future__ import annotations

import ipaddress

from prometheus_client import CollectorRegistry

from gateway.adapters.prometheus.connections import ConnectionMetrics
from gateway.api.connections.bounds import ConnectionLimits, Connections, room_for_connections
from gateway.protocol.browser_guard import Readers
from gateway.settings import Settings


def build_connections(settings: Settings, registry: CollectorRegistry) -> Connections:
    """Raises the process's limit of descriptors as far as it may."""
    wanted, timeouts = settings.connections, settings.timeouts
    metrics = ConnectionMetrics(registry)
    connections = Connections(
        ConnectionLimits(
            max_connections=room_for_connections(wanted.max_connections),
            max_per_address=wanted.max_per_address,
            exempt=tuple(ipaddress.ip_network(network) for network in wanted.exempt),
            headers_s=wanted.headers_s,
            body_s=timeouts.body_s,
            body_rate=timeouts.body_bytes_per_s,
            stalled_s=timeouts.idle_s,
            keep_alive_s=wanted.keep_alive_s,
            max_header_bytes=wanted.max_header_bytes,
            max_headers=wanted.max_headers,
            max_target_bytes=wanted.max_target_bytes,
        ),
        metrics.refused,
        Readers(settings.listen.allowed_origins or ()),
    )
    metrics.open.set_function(lambda: connections.open)
    return connections
