from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.access.key import Quotas
from gateway.core.access.quota import KeyUse, RequestUse
from gateway.core.access.rate_headers import duration, rate_headers

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (18, "18ms"),
        (120, "120ms"),
        (1000, "1s"),
        (8640, "8.64s"),
        (60_000, "1m0s"),
        (360_000, "6m0s"),
        (86_400, "1m26.4s"),
        (3_723_000, "1h2m3s"),
        (86_400_000, "24h0m0s"),
    ],
)
def test_durations_read_as_openais(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text.encode()


@given(st.integers(1, 10**6), st.integers(0, 10**7))
def test_it_is_full_once_the_reset_has_passed_and_not_much_sooner(limit: int, used: int) -> None:
    use = KeyUse(Quotas(tokens_per_min=limit))
    use.enter(min(used, limit), 0.0)
    use.leave(limit, RequestUse(tokens=used), 0.0)
    text = dict(rate_headers(use, 0.0))[b"x-ratelimit-reset-tokens"].decode()
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", text)
    told_s = sum(float(number) * UNITS[unit] for number, unit in parts)
    assert use.tokens is not None
    assert use.tokens.available(told_s - 0.0011) < limit or told_s == 0.0
    assert use.tokens.available(told_s) == pytest.approx(limit, rel=1e-6)


def test_limits_what_is_left_and_when_it_is_full_again() -> None:
    use = KeyUse(Quotas(requests_per_min=60, tokens_per_min=6000))
    assert use.enter(600, 0.0) is None
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
    assert use.enter(500, 0.0) is None
    assert (b"x-ratelimit-remaining-tokens", b"0") in rate_headers(use, 0.0)


def test_a_key_without_quotas_is_told_nothing() -> None:
    assert not rate_headers(KeyUse(Quotas()), 0.0)
