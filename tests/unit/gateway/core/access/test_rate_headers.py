from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.access.key import Quotas
from gateway.core.access.quota import KeyUse
from gateway.core.access.rate_headers import duration, rate_headers

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.0174, "18ms"),
        (0.12, "120ms"),
        (1.0, "1s"),
        (8.64, "8.64s"),
        (59.9999, "1m0s"),
        (60.0, "1m0s"),
        (360.0, "6m0s"),
        (86.4, "1m26.4s"),
        (3723.0, "1h2m3s"),
        (86_400.0, "24h0m0s"),
    ],
)
def test_durations_read_as_openais(seconds: float, text: str) -> None:
    assert duration(seconds) == text.encode()


@given(st.floats(0, 1e6))
def test_a_duration_is_never_shorter_than_the_wait(seconds: float) -> None:
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", duration(seconds).decode())
    told = sum(float(number) * UNITS[unit] for number, unit in parts)
    assert seconds - 1e-6 <= told <= seconds + 0.0011


def test_limits_what_is_left_and_when_it_is_full_again() -> None:
    use = KeyUse(Quotas(requests_per_min=60, tokens_per_min=6000))
    use.begin(600, 0.0)
    told = {name.decode(): value.decode() for name, value in rate_headers(use, 0.0)}
    assert told == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-tokens": "5400",
        "x-ratelimit-reset-tokens": "6s",
    }


def test_a_debt_reads_as_nothing_left() -> None:
    use = KeyUse(Quotas(tokens_per_day=100))
    use.begin(500, 0.0)
    assert (b"x-ratelimit-remaining-tokens", b"0") in rate_headers(use, 0.0)


def test_a_key_without_quotas_is_told_nothing() -> None:
    assert rate_headers(KeyUse(Quotas()), 0.0) == ()
