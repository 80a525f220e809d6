"""Values that several groups of settings read in the same way."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr


def secret_digest(secret: SecretStr) -> str:
    """The SHA-256 in hex of a token that is given as it is, or as that."""
    value = secret.get_secret_value()
    if re.fullmatch("[0-9a-f]{64}", value):
        return value
    return hashlib.sha256(value.encode()).hexdigest()


def check_token(secret: SecretStr) -> SecretStr:
    """Raises ValueError for one that no header can carry as it is."""
    if not re.fullmatch("[!-~]([ -~]*[!-~])?", secret.get_secret_value()):
        raise ValueError(
            "expected letters, digits and signs of ASCII, without a space or a line's end around "
            "them, as it is sent in a header"
        )
    return secret


BearerToken = Annotated[SecretStr, AfterValidator(check_token)]
"""A secret that is shown in the header `Authorization: Bearer <token>`."""


def parse_address(address: str, example_port: int) -> tuple[str, int]:
    """Host and port. Raises ValueError that shows the address, which is no secret."""
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not host:port, such as 127.0.0.1:{example_port}")
    return host.strip("[]"), int(port)
