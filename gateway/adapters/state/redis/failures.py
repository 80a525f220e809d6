"""What went wrong with Redis, in words that quote neither values nor secrets."""

from __future__ import annotations

import re

from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeout

from gateway.errors import StateLost

LOST, REFUSED = "state_lost", "state_refused"
RETRY_AFTER_S = 1.0

_STATE = {
    "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM", "NOREPLICAS",
    "OOM", "READONLY", "TRYAGAIN", "UNBLOCKED", "WRONGPASS", "MOVED", "ASK",
}  # fmt: skip
"""Answers that say how the server stands, whatever was asked. Others are about the command."""


def lost(error: Exception, where: str) -> StateLost:
    return StateLost(
        f"the shared state at {where} can't be reached: {words(error)}",
        retry_after=RETRY_AFTER_S,
        code=LOST,
    )


def refused(error: ResponseError, where: str) -> StateLost:
    """What a server answered in place of a result."""
    if _code(error) in _STATE:
        return lost(error, where)
    return StateLost(
        f"the shared state at {where} refused an operation: {words(error)}",
        retry_after=RETRY_AFTER_S,
        code=REFUSED,
    )


def function_missing(reply: object) -> bool:
    return isinstance(reply, ResponseError) and "Function not found" in str(reply)


def words(error: Exception) -> str:
    if isinstance(error, TimeoutError | RedisTimeout):
        return "no answer in time"
    if isinstance(error, AuthenticationError):
        return "it does not accept the credentials"
    if isinstance(error, ResponseError):
        return f"it answers {_code(error)}"
    if isinstance(error, ConnectionError) and "No master found" in str(error):
        return "no sentinel names a master"
    if isinstance(error, OSError | RedisError):
        return "no connection"
    return type(error).__name__


def _code(error: ResponseError) -> str:
    """The first word of the answer, such as OOM."""
    code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    return code if re.fullmatch("[A-Z]{2,20}", str(code)) else "ERR"
