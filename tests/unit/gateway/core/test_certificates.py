"""When a certificate ends, by its bytes."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.certificates import not_after
from tests.certificates import authority, needs_openssl


@needs_openssl
@pytest.mark.parametrize("days", [1, 90, 36500])
def test_the_end_is_the_one_that_openssl_wrote(tmp_path: Path, days: int) -> None:
    issued = authority(tmp_path).issue("server", days)
    pem = Path(issued.certificate).read_text()
    end = not_after(ssl.PEM_cert_to_DER_cert(pem))
    decoded = ssl._ssl._test_decode_cert(issued.certificate)  # type: ignore[attr-defined]
    assert end == ssl.cert_time_to_seconds(decoded["notAfter"])


@needs_openssl
def test_a_certificate_that_is_cut_off_is_none(tmp_path: Path) -> None:
    pem = Path(authority(tmp_path).ca).read_text()
    der = ssl.PEM_cert_to_DER_cert(pem)
    for length in range(0, len(der), 7):
        with pytest.raises(ValueError):
            not_after(der[:length])


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(der: bytes) -> None:
    with pytest.raises(ValueError):
        not_after(der)


@given(st.binary(max_size=40))
def test_nor_do_bytes_that_begin_as_a_certificate(rest: bytes) -> None:
    with pytest.raises(ValueError):
        not_after(b"\x30\x82\x00\x30\x30\x2c\xa0\x03\x02\x01\x02" + rest)
