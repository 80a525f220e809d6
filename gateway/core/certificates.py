"""When certificates end: read from their DER, of which nothing else matters here.

The structure is that of RFC 5280, 4.1: a certificate begins with its TBSCertificate, whose fields
are, in order, an optional version, the serial number, the signature's algorithm, the issuer and the
validity, a pair of times.
"""

from __future__ import annotations

from calendar import timegm
from datetime import datetime

SEQUENCE, VERSION, UTC_TIME, GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
MAX_LENGTH_BYTES = 4


def not_after(der: bytes) -> float:
    """The end of a certificate's validity in Unix time. Raises ValueError."""
    _, certificate, _ = _element(der, SEQUENCE)
    _, fields, _ = _element(certificate, SEQUENCE)
    tag, _, rest = _element(fields)
    before_validity = 3 if tag == VERSION else 2
    for _ in range(before_validity):
        _, _, rest = _element(rest)
    _, validity, _ = _element(rest, SEQUENCE)
    _, _, rest = _element(validity)
    tag, time, _ = _element(rest)
    return _unix_time(tag, time)


def _element(data: bytes, wanted: int | None = None) -> tuple[int, bytes, bytes]:
    """The first element's tag and content, and what follows it. Raises ValueError."""
    if len(data) < 2:
        raise ValueError("the certificate is cut off")
    tag, length, begin = data[0], data[1], 2
    if length & 0x80:
        size = length & 0x7F
        begin += size
        if not 0 < size <= MAX_LENGTH_BYTES or len(data) < begin:
            raise ValueError("the certificate has an impossible length")
        length = int.from_bytes(data[2:begin], "big")
    end = begin + length
    if len(data) < end or (wanted is not None and tag != wanted):
        raise ValueError("this is no certificate")
    return tag, data[begin:end], data[end:]


def _unix_time(tag: int, time: bytes) -> float:
    """Raises ValueError."""
    if tag not in (UTC_TIME, GENERALIZED_TIME):
        raise ValueError("the certificate has no end")
    text = time.decode("ascii")
    if tag == UTC_TIME:
        # Years from 50 on are those of the last century (RFC 5280, 4.1.2.5.1).
        text = ("19" if text[:2] >= "50" else "20") + text
    return float(timegm(datetime.strptime(text, "%Y%m%d%H%M%SZ").timetuple()))
