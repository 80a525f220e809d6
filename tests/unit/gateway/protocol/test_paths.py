from __future__ import annotations

import pytest

from gateway.protocol.paths import (
    CANCEL_RESPONSE,
    ROUTES,
    STORED_RESPONSE,
    VERSION,
    ReadRoute,
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
        ("GET", "/v1/responses/..%2Fmodels", None),
        ("GET", "/v1/responses/a/b", None),
        ("GET", "/v1/responses/..", None),
        ("GET", "/v1/responses/", None),
        ("GET", "/v1/responses/" + "x" * 129, None),
    ],
)
def test_a_route_without_a_body_is_known_by_method_and_path(
    method: str, path: str, route: ReadRoute | None
) -> None:
    assert read_route(method, path) == route


def test_what_has_a_body_is_no_such_route() -> None:
    assert [path for path in ROUTES if read_route("POST", path)] == []
