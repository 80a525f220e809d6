"""A device says why the gateway has refused its connection, in the gateway's words."""

from __future__ import annotations

import json

import pytest

from services.device_agent.link.greeting import MAX_REASON, refusal


def error(message: object) -> bytes:
    return json.dumps({"error": {"message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, error("enrol the\n device again"), "device token: enrol the device again"),
        (401, b"", "device token: ask its operator for a new one"),
        (403, b"<html>", "device token: ask its operator for a new one"),
        (401, error(7), "device token: ask its operator for a new one"),
        (401, b"[" * 100_000, "device token: ask its operator for a new one"),
        (503, error("Redis is away"), "answered 503 to the connection: Redis is away"),
        (404, b"Not Found", "answered 404 to the connection"),
    ],
)
def test_a_refusal_has_the_gateways_reason_where_it_gave_one(
    status: int, body: bytes, words: str
) -> None:
    assert refusal(status, body).endswith(words)
    assert "\n" not in refusal(status, body)


def test_a_long_reason_is_cut() -> None:
    assert len(refusal(503, error("x" * 100_000))) < MAX_REASON + 100
