from __future__ import annotations

import asyncio

import pytest

from gateway.errors import EngineFailed
from gateway.serving.requests.resumptions import Resumptions
from tests.unit.gateway.fakes import Recorder


def test_an_answer_without_a_break_is_not_counted() -> None:
    telemetry = Recorder()
    with Resumptions("draft", telemetry) as resumptions:
        resumptions.went_on()
    assert telemetry.resumptions == []


def test_each_break_is_counted_once_by_its_first_cause() -> None:
    telemetry = Recorder()
    with Resumptions("draft", telemetry) as resumptions:
        resumptions.broke("idle_timeout")
        resumptions.broke("connect_failed")
        resumptions.went_on()
        resumptions.went_on()
        resumptions.broke("engine_error")
    assert telemetry.resumptions == [
        ("draft", "resumed", "idle_timeout"),
        ("draft", "resumed", "engine_error"),
    ]


def test_an_answer_that_fails_after_a_break_could_not_go_on() -> None:
    telemetry = Recorder()
    with pytest.raises(EngineFailed), Resumptions("cascade", telemetry) as resumptions:
        resumptions.broke("engine_error")
        raise EngineFailed("broke", endpoint="edge:1", code="engine_error")
    assert telemetry.resumptions == [("cascade", "failed", "engine_error")]


def test_a_caller_that_leaves_fails_no_resumption() -> None:
    telemetry = Recorder()
    with pytest.raises(asyncio.CancelledError), Resumptions("draft", telemetry) as resumptions:
        resumptions.broke("engine_error")
        raise asyncio.CancelledError
    assert telemetry.resumptions == []
