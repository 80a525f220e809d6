"""What a request is charged, by how it ended."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.outcome import Outcome
from tests.unit.gateway.build import request


def ended(kind: str = "cancelled", *, seconds: float = 2.0, made: int = 0, **fields: Any) -> int:
    return Outcome(
        request=request(prompt_chars=400, **fields),
        kind=kind,
        opened=10.0,
        finished=10.0 + seconds,
        decode_s_per_token=0.02,
        completion_tokens=made,
    ).used_tokens


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (ended(max_tokens=1000), 200),
        (ended(max_tokens=30), 130),
        (ended(max_tokens=30, answers=4), 220),
        (ended(), 200),
        (ended(answers=0), 100),
        (ended(made=7), 107),
        (ended(stream=True), 100),
        (ended("engine_disconnected"), 100),
        (ended("ok", made=5), 105),
    ],
)
def test_one_who_leaves_an_answer_in_one_piece_pays_for_what_was_made_by_then(
    used: int, expected: int
) -> None:
    assert used == expected


def test_one_who_leaves_before_an_engine_was_asked_pays_for_no_answer() -> None:
    assert (
        Outcome(request=request(prompt_chars=400), kind="cancelled", finished=9.0).used_tokens
        == 100
    )
