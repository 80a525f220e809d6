"""Addresses that a command line or a variable gives."""

from __future__ import annotations

import pytest

from gateway.protocol.configuration.urls import url_problem


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080", "https://gateway.example/", "http://[::1]:8090", "http://a:1/x"],
)
def test_an_address_of_a_server_is_taken(url: str) -> None:
    assert url_problem(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080",
        "ftp://host",
        "http://",
        "http://host:99999",
        "http://host:0",
        "http://[x",
        "",
    ],
)
def test_what_is_none_is_told_without_the_address(url: str) -> None:
    problem = url_problem(url)
    assert problem.startswith("expected http://host:port")
    assert len(url) < 8 or url not in problem
