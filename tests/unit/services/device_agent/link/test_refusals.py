"""A device says why the gateway has refused its connection, in the gateway's words."""

from __future__ import annotations

import json
import socket
import ssl

import pytest

from services.device_agent.link.greeting import MAX_REASON, refusal, unreachable

UNEXPLAINED = "is this a gateway's address? If it is, ask its operator for a new token"


def error(message: object) -> bytes:
    return json.dumps({"error": {"message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, error("enrol the\n device again"), "device token: enrol the device again"),
        (401, b"", f"device token: {UNEXPLAINED}"),
        (403, b"<html>", f"device token: {UNEXPLAINED}"),
        (401, error(7), f"device token: {UNEXPLAINED}"),
        (401, b"[" * 100_000, f"device token: {UNEXPLAINED}"),
        (503, error("Redis is away"), "answered 503 to the connection: Redis is away"),
        (404, b"Not Found", f"answered 404 to the connection: {UNEXPLAINED}"),
    ],
)
def test_a_refusal_has_the_gateways_reason_where_it_gave_one(
    status: int, body: bytes, words: str
) -> None:
    assert refusal(status, body).endswith(words)
    assert "\n" not in refusal(status, body)


def test_a_long_reason_is_cut() -> None:
    assert len(refusal(503, error("x" * 100_000))) < MAX_REASON + 100


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ConnectionRefusedError(111, "refused"), "nothing listens at https://gate:8443; is the"),
        (socket.gaierror(-2, "unknown"), "no host is called gate; check the address"),
        (ssl.SSLError(1, "wrong version"), "https://gate:8443 does not speak TLS; is its"),
        (TimeoutError(), "https://gate:8443 does not answer; check the address"),
        (RuntimeError("secret"), "RuntimeError"),
    ],
)
def test_why_no_gateway_is_reached_is_said_in_words(failure: Exception, words: str) -> None:
    assert unreachable("https://gate:8443", failure).startswith(words)
