"""What a token stands for, and whose questions a device answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.devices.grant import ALL, Grant, RegistrationRefused, admit
from gateway.core.devices.member import DeviceModel, Member, answers

OFFERED = Member(
    id="",
    instance="instance-1",
    description="knows sums",
    models=[DeviceModel(name="rill-device")],
    max_work=4,
)
OWNERS = st.sampled_from(["", "ann", "bob"])
CLASSES = st.sampled_from(sorted(ALL))


@given(st.none() | OWNERS, OWNERS, st.frozensets(CLASSES), CLASSES, st.integers(1, 64))
def test_nobody_registers_beyond_what_is_recorded(
    recorded: str | None, owner: str, allowed: frozenset[str], privacy: str, most: int
) -> None:
    grant = Grant(device="phone", owner=recorded, privacy=allowed)  # type: ignore[arg-type]
    offered = replace(OFFERED, owner=owner, privacy=privacy)  # type: ignore[arg-type]
    try:
        member = admit(grant, offered, most)
    except RegistrationRefused as refused:
        differs = recorded is not None and owner not in ("", recorded)
        assert refused.code == ("owner_differs" if differs else "privacy_not_allowed")
        assert differs or privacy not in allowed
        return
    assert member.id == "phone"
    assert member.owner == (owner if recorded is None else recorded)
    assert member.privacy in allowed
    assert member.max_work == min(4, most)


@given(CLASSES, OWNERS, OWNERS)
def test_only_its_proven_owner_is_answered_beside_everybody(
    privacy: str, owner: str, asker: str
) -> None:
    member = replace(OFFERED, owner=owner, privacy=privacy)  # type: ignore[arg-type]
    if answers(member, asker) and privacy != "public":
        assert privacy == "owner" and asker == owner != ""


@pytest.mark.parametrize("asker", ["", "ann"])
def test_a_public_device_answers_anybody_and_a_private_one_nobody(asker: str) -> None:
    assert answers(replace(OFFERED, owner="ann"), asker)
    assert not answers(replace(OFFERED, owner="ann", privacy="private"), asker)
