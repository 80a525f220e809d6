"""From EndpointSlices to the endpoints in use. Pure.

What the API demands of readers: a null `ready` means ready, an endpoint may be in several slices
at once, ports are found by name, and a dual-stack pod is in a slice for each of its addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from k8s.discovery.slices import MODEL_LABEL, POOL_LABEL, TIER_LABEL, Member, Slice

_FAMILIES = {"IPv4": 0, "IPv6": 1, "FQDN": 2}
"""Which of a pod's addresses is taken: the first of these."""


@dataclass(frozen=True, slots=True)
class PortNames:
    http: str = "http"
    drafts: str = "drafts"


@dataclass(frozen=True, slots=True, order=True)
class FoundPool:
    """A pool as its slices describe it. It may have no endpoint.

    `models` are the label's values: names made safe for labels.
    """

    name: str
    tier: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class FoundEndpoint:
    """The address of one pod. `host` is in brackets where it is an IPv6 address."""

    pool: str
    host: str
    port: int
    drafts_port: int | None = None

    @property
    def id(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The pools and endpoints in use, sorted, each once.

    `problems` has one line for each thing that was passed over.
    """

    pools: tuple[FoundPool, ...] = ()
    endpoints: tuple[FoundEndpoint, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Seen:
    """An address as the slices that were read so far describe it."""

    endpoint: FoundEndpoint
    uid: str
    family: int
    usable: bool = True


@dataclass(slots=True)
class _Reading:
    pools: dict[str, FoundPool] = field(default_factory=dict)
    seen: dict[str, _Seen] = field(default_factory=dict)
    problems: set[str] = field(default_factory=set)


def snapshot(slices: Iterable[Slice], ports: PortNames) -> Snapshot:
    """The same for the same slices, in whatever order they come."""
    reading = _Reading()
    for item in sorted(slices, key=lambda s: (s.metadata.namespace, s.metadata.name)):
        if (pool := _pool(item, reading)) is not None:
            _members(item, pool, ports, reading)
    usable = [seen for seen in reading.seen.values() if seen.usable]
    return Snapshot(
        tuple(sorted(reading.pools.values())),
        tuple(sorted(_one_address_a_pod(usable))),
        tuple(sorted(reading.problems)),
    )


def usable(member: Member) -> bool:
    """May new requests go there? Unknown conditions count as good, as the API says."""
    conditions = member.conditions
    return conditions is None or (
        conditions.ready is not False
        and conditions.serving is not False
        and conditions.terminating is not True
    )


def _pool(item: Slice, reading: _Reading) -> str | None:
    labels = item.metadata.labels or {}
    name, tier = labels.get(POOL_LABEL, ""), labels.get(TIER_LABEL, "")
    if not name or not tier:
        reading.problems.add(f"{_where(item)}: needs the labels {POOL_LABEL} and {TIER_LABEL}")
        return None
    known = reading.pools.get(name, FoundPool(name, tier))
    if known.tier != tier:
        reading.problems.add(
            f"{_where(item)}: pool {name} is at tier {known.tier} elsewhere, and {tier} here"
        )
        return None
    model = labels.get(MODEL_LABEL)
    models = tuple(sorted({*known.models, model})) if model else known.models
    reading.pools[name] = FoundPool(name, tier, models)
    return name


def _members(item: Slice, pool: str, ports: PortNames, reading: _Reading) -> None:
    port, drafts = _port(item, ports.http), _port(item, ports.drafts)
    if port is None:
        if item.endpoints:
            reading.problems.add(f"{_where(item)}: has no TCP port named {ports.http!r}")
        return
    for member in item.endpoints or ():
        for address in (member.addresses or ())[:1]:
            host = f"[{address}]" if ":" in address else address
            _note(
                _Seen(
                    endpoint=FoundEndpoint(pool=pool, host=host, port=port, drafts_port=drafts),
                    uid=member.target_ref.uid if member.target_ref else "",
                    family=_FAMILIES.get(item.address_type, len(_FAMILIES)),
                    usable=usable(member),
                ),
                item,
                reading,
            )


def _note(new: _Seen, item: Slice, reading: _Reading) -> None:
    known = reading.seen.setdefault(new.endpoint.id, new)
    if known.endpoint.pool != new.endpoint.pool:
        reading.problems.add(
            f"{_where(item)}: {new.endpoint.id} is in pool {known.endpoint.pool} already"
        )
    # While slices are rewritten one may be out of date: the one that says no is believed.
    known.usable = known.usable and new.usable


def _port(item: Slice, name: str) -> int | None:
    for port in item.ports or ():
        if (port.name or "") == name and port.protocol in (None, "TCP"):
            return port.port
    return None


def _one_address_a_pod(usable: Sequence[_Seen]) -> Iterable[FoundEndpoint]:
    """Slices tell two addresses of one pod like two pods; only the pod's uid tells them apart."""
    taken: dict[tuple[str, int], _Seen] = {}
    for seen in usable:
        if not seen.uid:
            yield seen.endpoint
            continue
        known = taken.setdefault((seen.uid, seen.endpoint.port), seen)
        if (seen.family, seen.endpoint) < (known.family, known.endpoint):
            taken[seen.uid, seen.endpoint.port] = seen
    yield from (seen.endpoint for seen in taken.values())


def _where(item: Slice) -> str:
    return f"EndpointSlice {item.metadata.namespace}/{item.metadata.name}"
