from __future__ import annotations

import json

import pytest

from gateway import errors
from gateway.api.error_handlers import internal_error, render
from gateway.core.devices.member import MemberFailed
from gateway.settings.checks.problems import WrongSettings


def every_error() -> list[type[errors.GatewayError]]:
    found, queue = [], [errors.GatewayError]
    while queue:
        cls = queue.pop()
        found.append(cls)
        queue += cls.__subclasses__()
    return found


def make(cls: type[errors.GatewayError]) -> errors.GatewayError:
    if issubclass(cls, MemberFailed):
        return cls(device="phone", code="code", message="what and how")
    if issubclass(cls, WrongSettings):
        return cls(["what and how"])
    if issubclass(cls, errors.ConfigError):
        return cls("what and how")
    if issubclass(cls, errors.RetryLater):
        return cls("what and how", retry_after=1.2, code="code")
    if issubclass(cls, errors.UpstreamError):
        return cls("what and how", endpoint="edge:1", code="code")
    return cls("what and how", param="field", code="code")


@pytest.mark.parametrize("cls", every_error(), ids=lambda cls: cls.__name__)
def test_every_error_has_a_status_and_an_openai_body(cls: type[errors.GatewayError]) -> None:
    status, _, body = render(make(cls))
    detail = json.loads(body)["error"]
    assert 400 <= status < 600
    assert set(detail) == {"message", "type", "param", "code"}
    assert detail["message"] == "what and how"
    assert detail["code"] == ("internal_error" if issubclass(cls, errors.ConfigError) else "code")


@pytest.mark.parametrize(
    ("cls", "status"),
    [
        (errors.InvalidRequest, 400),
        (errors.UnknownModel, 404),
        (errors.BodyTooLarge, 413),
        (errors.NoEndpoint, 503),
        (errors.Overloaded, 429),
        (errors.EngineFailed, 502),
        (errors.FirstTokenTimeout, 504),
    ],
)
def test_the_status_says_whose_fault_it_was(cls: type[errors.GatewayError], status: int) -> None:
    assert render(make(cls))[0] == status


@pytest.mark.parametrize("cls", [errors.NoEndpoint, errors.Overloaded, errors.ConnectFailed])
def test_what_may_work_later_says_when(cls: type[errors.GatewayError]) -> None:
    assert int(render(make(cls))[1]["retry-after"]) >= 1


def test_an_unforeseen_error_shows_nothing_of_its_message() -> None:
    try:
        raise RuntimeError("my secret prompt")
    except RuntimeError as error:
        assert b"secret" not in internal_error(error)
