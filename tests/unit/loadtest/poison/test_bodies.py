"""Bodies that are made to hurt are what they are said to be."""

from __future__ import annotations

import json

import pytest

from loadtest.poison.bodies import SHAPES, body, flood_of_headers

SIZE = 200_000
TOO_DEEP = {"deep lists", "deep objects", "one number"}


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_body_has_its_size_and_is_json(shape: str) -> None:
    made = body(shape, "m", SIZE)
    assert 0.6 * SIZE < len(made) < 1.2 * SIZE
    if shape not in TOO_DEEP:
        fields = json.loads(made)
        assert fields["model"] == "m"


def test_a_flood_of_headers_is_one_request() -> None:
    assert len(flood_of_headers("/x", 5000)) > 5000
