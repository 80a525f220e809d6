from __future__ import annotations

import pytest

from gateway.protocol.paths import (
    CANCEL_RESPONSE,
    CHAT,
    ROUTES,
    STORED_RESPONSE,
    VERSION,
    ReadRoute,
    allowed_methods,
    read_route,
)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/version", ReadRoute(VERSION)),
        ("HEAD", "/version", ReadRoute(VERSION)),
        ("POST", "/version", None),
        ("GET", "/v1/responses/resp_1", ReadRoute(STORED_RESPONSE, "resp_1")),
        ("POST", "/v1/responses/resp_1/cancel", ReadRoute(CANCEL_RESPONSE, "resp_1")),
        ("POST", "/v1/responses/resp_1", None),
        ("GET", "/v1/responses/resp_1/cancel", None),
        ("GET", "/v1/responses/..%2Fmodels", ReadRoute(STORED_RESPONSE)),
        ("GET", "/v1/responses/a/b", None),
        ("GET", "/v1/responses/..", ReadRoute(STORED_RESPONSE)),
        ("POST", "/v1/responses/-x/cancel", ReadRoute(CANCEL_RESPONSE)),
        ("GET", "/v1/responses/", None),
        ("GET", "/v1/responses/" + "x" * 129, ReadRoute(STORED_RESPONSE)),
    ],
)
def test_a_route_without_a_body_is_known_by_method_and_path(
    method: str, path: str, route: ReadRoute | None
) -> None:
    assert read_route(method, path) == route


def test_what_has_a_body_is_no_such_route() -> None:
    assert [path for path in ROUTES if read_route("POST", path)] == []


def test_what_is_allowed_has_options_and_the_head_of_what_can_be_got_twice() -> None:
    assert allowed_methods(CHAT, ["POST"]) == ["OPTIONS", "POST"]
    assert allowed_methods("/health", ["GET"]) == ["GET", "HEAD", "OPTIONS"]
    assert allowed_methods("/v1/streams/x", ["GET", "DELETE"]) == ["DELETE", "GET", "OPTIONS"]
