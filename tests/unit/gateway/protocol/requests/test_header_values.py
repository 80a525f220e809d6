"""What Tierflow's own headers say, at whichever end they are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.privacy import PrivacyRule
from gateway.core.tier import Tier
from gateway.protocol.headers import (
    ALL,
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    NORMAL_PRIORITY,
    PRIVACY,
)
from gateway.protocol.requests.header_values import (
    MAX_DEADLINE_MS,
    MAX_RESUMABLE_S,
    PRIVACY_CLASSES,
    TIERS,
    WrongHeader,
    header_values,
    privacy_value,
)


def test_tiers_and_privacy_classes_are_the_gateway_s() -> None:
    assert tuple(Tier) == TIERS
    rule = PrivacyRule.of(owner_tiers=[], private_tiers=[])
    assert tuple(rule.classes) == PRIVACY_CLASSES


def test_a_request_without_headers_leaves_all_open() -> None:
    values = header_values({})
    assert values.priority == NORMAL_PRIORITY
    assert [values.max_tier, values.min_quality, values.session] == [None] * 3
    assert [values.deadline_s, values.cascade_quality, values.resumable_s] == [None] * 3
    assert privacy_value(None) is None


def test_words_are_read_in_any_case_and_with_spaces_around() -> None:
    values = header_values({"x-tierflow-max-tier": " Edge", "x-tierflow-priority": "HIGH "})
    assert (values.max_tier, values.priority) == ("edge", 8)
    assert privacy_value(" Private ") == "private"


@pytest.mark.parametrize("value", ["", "secret", "public,owner"])
def test_a_class_that_there_is_not_names_those_that_there_are(value: str) -> None:
    with pytest.raises(WrongHeader, match="one of public, owner, private") as caught:
        privacy_value(value)
    assert caught.value.problem.param == PRIVACY


@given(st.dictionaries(st.sampled_from(sorted(ALL)), st.text(max_size=300)))
def test_whatever_a_header_says_is_within_its_bounds_or_names_it(headers: dict[str, str]) -> None:
    try:
        values = header_values(headers)
    except WrongHeader as wrong:
        assert wrong.problem.param in headers and wrong.problem.code == "invalid_header"
        return
    assert LOWEST_PRIORITY <= values.priority <= HIGHEST_PRIORITY
    assert values.max_tier is None or values.max_tier in TIERS
    assert values.deadline_s is None or 0.0 < values.deadline_s <= MAX_DEADLINE_MS / 1000.0
    assert values.resumable_s is None or 1 <= values.resumable_s <= MAX_RESUMABLE_S
