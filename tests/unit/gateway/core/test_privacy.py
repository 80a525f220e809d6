"""Who may see a request of each privacy class."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.devices.member import Member, may_see
from gateway.core.privacy import PUBLIC, Privacy, PrivacyRule
from gateway.core.tier import Tier

TIERS = st.frozensets(st.sampled_from(Tier))
CLASSES: list[Privacy] = ["public", "owner", "private"]
OWNERS = st.sampled_from(["", "ann", "bob"])


def member(privacy: Privacy, owner: str) -> Member:
    return Member(id="d", instance="1", description="", models=(), privacy=privacy, owner=owner)


@given(owner=TIERS, private=TIERS)
def test_each_class_is_seen_by_the_tiers_that_are_set(
    owner: frozenset[Tier], private: frozenset[Tier]
) -> None:
    classes = PrivacyRule.of(owner_tiers=owner, private_tiers=private).classes
    assert {tier for tier in Tier if classes["public"].allows(tier)} == set(Tier)
    assert {tier for tier in Tier if classes["owner"].allows(tier)} == owner
    assert {tier for tier in Tier if classes["private"].allows(tier)} == private
    assert [terms.keeps for terms in classes.values()] == [True, False, False]


@given(
    tiers=TIERS,
    device=st.sampled_from(CLASSES),
    devices_owner=OWNERS,
    caller=OWNERS,
    request=st.sampled_from(["owner", "private"]),
)
def test_a_request_that_is_not_public_meets_its_owners_devices_alone(
    tiers: frozenset[Tier], device: Privacy, devices_owner: str, caller: str, request: Privacy
) -> None:
    terms = PrivacyRule.of(owner_tiers=tiers, private_tiers=tiers).classes[request]
    if may_see(member(device, devices_owner), caller, terms):
        assert Tier.DEVICE in tiers
        assert devices_owner == caller != ""
        assert device != "private"


@pytest.mark.parametrize(
    ("device", "owner", "allowed"),
    [("public", "", True), ("owner", "ann", True), ("owner", "bob", False), ("private", "ann", 0)],
)
def test_a_public_request_meets_each_device_that_answers_its_caller(
    device: Privacy, owner: str, allowed: bool
) -> None:
    assert may_see(member(device, owner), "ann", PUBLIC) is bool(allowed)
