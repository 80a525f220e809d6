"""What operators see of a device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.protocol.device_link.devices import (
    DeviceCard,
    DeviceCondition,
    DeviceLink,
    DeviceModelCard,
    DeviceWork,
    Registration,
)
from gateway.serving.devices.device_lease import Sighting
from gateway.serving.devices.enrolment_records import DeviceRecord


def device_cards(
    settings: Iterable[str],
    owners: Mapping[str, str],
    enrolled: Mapping[str, DeviceRecord],
    sightings: Iterable[Sighting],
) -> list[DeviceCard]:
    """Every device that may connect or is registered, sorted by name. `settings`: the names of the
    devices whose tokens are in the settings; `owners`: their owners there, by name."""
    cards = {
        name: DeviceCard(id=name, source="settings", owner=owners.get(name), registered=False)
        for name in settings
    }
    for name, record in enrolled.items():
        cards[name] = DeviceCard(
            id=name,
            source="enrolled",
            owner=record.owner or None,
            enrolled_at=record.enrolled_at,
            registered=False,
        )
    for sighting in sightings:
        member = sighting.lease.member
        card = cards.setdefault(
            member.id, DeviceCard(id=member.id, source="unknown", registered=True)
        )
        card.registered, card.registration = True, registration(sighting)
        card.owner = card.owner or member.owner or None
    return [cards[name] for name in sorted(cards)]


def registration(sighting: Sighting) -> Registration:
    lease, member = sighting.lease, sighting.lease.member
    condition = member.condition
    return Registration(
        instance=member.instance,
        replica=member.replica,
        description=member.description,
        models=[
            DeviceModelCard(
                name=m.name, family=m.family, parameters=m.parameters, tokenizer=m.tokenizer
            )
            for m in member.models
        ],
        abilities=sorted(member.abilities),
        tags=sorted(member.tags),
        privacy=member.privacy,
        lease_age_s=round(max(0.0, sighting.age_s), 3),
        condition=DeviceCondition(battery=condition.battery, hot=condition.hot),
        link=DeviceLink(
            round_trip_s=round(condition.round_trip_s, 6), bytes_per_s=round(condition.bytes_per_s)
        ),
        work=DeviceWork(
            in_flight=lease.in_flight,
            max_work=member.max_work,
            finished=lease.finished,
            refusals=lease.refusals,
        ),
    )
