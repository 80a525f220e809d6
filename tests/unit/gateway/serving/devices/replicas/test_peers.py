"""What a replica knows of the others' devices, from announcements and from looks at the leases."""

from __future__ import annotations

from dataclasses import replace

from gateway.core.devices.member import DeviceModel, Member
from gateway.serving.devices.replicas.messages import DeviceLease, encode_lease
from gateway.serving.devices.replicas.peers import PeerDevices

PHONE = Member(
    id="phone",
    instance="instance-1",
    description="",
    models=[DeviceModel(name="rill-device")],
    replica="there",
)


def names(others: PeerDevices) -> list[str]:
    return [seen.lease.member.id for seen in others]


def held(*leases: DeviceLease) -> dict[str, bytes]:
    return {lease.member.id: encode_lease(lease) for lease in leases}


def test_an_announcement_outlives_an_older_reading_of_the_leases_but_no_newer_one() -> None:
    others = PeerDevices("here")
    others.add(PHONE, now=2.0)
    others.refresh({}, ["there"], read_at=1.5, now=2.5)
    assert names(others) == ["phone"]
    others.refresh({}, ["there"], read_at=3.0, now=3.1)
    assert names(others) == []


def test_devices_of_a_replica_without_a_lease_are_left_out() -> None:
    others = PeerDevices("here")
    for replicas, expected in ((["there"], ["phone"]), (["another"], [])):
        others.refresh(held(DeviceLease(member=PHONE)), replicas, read_at=1.0, now=1.0)
        assert names(others) == expected
        assert others.lease("phone") == PHONE


def test_a_lease_is_as_old_as_its_last_renewal_that_was_seen() -> None:
    others = PeerDevices("here")
    for now, beat, since in ((1.0, 7, 1.0), (2.0, 7, 1.0), (3.0, 8, 3.0)):
        others.refresh(held(DeviceLease(member=PHONE, beat=beat)), ["there"], read_at=now, now=now)
        assert [seen.since for seen in others] == [since]


def test_own_devices_and_unreadable_leases_are_passed_over() -> None:
    others = PeerDevices("here")
    own = DeviceLease(member=replace(PHONE, id="own", replica="here"))
    wrong = {"watch": encode_lease(DeviceLease(member=PHONE)), "lamp": b"\xc1", "lock": None}
    others.refresh({**held(own), **wrong}, ["here", "there"], read_at=1.0, now=1.0)
    assert names(others) == []


def test_a_device_leaves_only_the_replica_that_has_it() -> None:
    others = PeerDevices("here")
    others.add(PHONE, now=1.0)
    others.remove("phone", "another")
    assert names(others) == ["phone"]
    others.remove("phone", "there")
    assert names(others) == []
