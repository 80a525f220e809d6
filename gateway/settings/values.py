"""Values that several groups of settings read in the same way."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from gateway.protocol.keys import MAX_YEARS_S


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


Seconds = Annotated[float, Field(le=MAX_YEARS_S)]
"""A time that can be waited for: ten years at most, which timers and stores can still count."""
