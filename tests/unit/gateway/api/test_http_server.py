"""What uvicorn takes for errors, and what the log says of it."""

from __future__ import annotations

import inspect
import logging

from uvicorn.protocols.http import httptools_impl

from gateway.api.http_server import BROKEN_OFF, says_an_error


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("uvicorn.error", logging.ERROR, __file__, 1, message, None, None)


def test_an_answer_that_is_broken_off_on_purpose_is_no_error_in_the_log() -> None:
    assert BROKEN_OFF in inspect.getsource(httptools_impl), "uvicorn says it in other words now"
    assert not says_an_error(record(BROKEN_OFF))


def test_every_other_error_of_the_server_is_told() -> None:
    assert says_an_error(record("Exception in ASGI application\n"))
