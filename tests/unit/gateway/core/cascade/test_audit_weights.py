"""For whom audited answers stand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cascade.audit_weights import DONE, MISSED, made_up_for

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "decision": st.sampled_from(["accepted", "escalated"]),
            "audit": st.sampled_from([DONE, MISSED, None]),
            "weight": st.floats(1.0, 100.0),
        }
    ),
    max_size=30,
)


@given(ROWS)
def test_what_was_audited_stands_for_all_that_was_drawn_of_its_decision(
    rows: list[dict[str, Any]],
) -> None:
    factors = made_up_for(rows)
    for decision in ("accepted", "escalated"):
        drawn = [r for r in rows if r["decision"] == decision and r["audit"] is not None]
        done = [r for r in drawn if r["audit"] == DONE]
        assert (decision in factors) == bool(done)
        if done:
            total = sum(r["weight"] * factors[decision] for r in done)
            assert total == pytest.approx(sum(r["weight"] for r in drawn))
            assert factors[decision] >= 1.0


def test_what_nobody_drew_changes_nothing() -> None:
    assert made_up_for([{"decision": "escalated", "agreed": True}, {"weight": 3}]) == {}
