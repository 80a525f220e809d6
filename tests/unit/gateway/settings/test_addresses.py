"""Addresses: whatever passes can be connected to by the client, and says so in one spelling."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from gateway.settings import Settings, settings_problems
from gateway.settings.checks.addresses import base_url, parse_address

urls = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["http://", "HTTPS://", "https:/", "ftp://", "", "http://u:p@"]),
    st.sampled_from(
        ["h", "a.example", "A..b", "127.0.0.1", "1.2.3.456", "[::1]", "[::", "::1", "a b", "", "ü"]
    ),
    st.sampled_from(["", ":", ":0", ":80", ":65535", ":65536", ":99999", ":x", ":-1"]),
    st.sampled_from(["", "/", "/v1", "/one/two/", "/v1/models", "/v1/of/mine", "/a b"]),
    st.sampled_from(["", "?", "?key=p4ss", "#x", "\n"]),
)


@given(urls | st.text(max_size=30))
def test_a_url_that_passes_can_be_asked_and_has_one_spelling(text: str) -> None:
    try:
        found = base_url(text)
    except ValueError as refused:
        assert "\n" not in str(refused) and "p4ss" not in str(refused)
        return
    assert base_url(found) == found
    asked = URL(found + "/v1/models")
    assert asked.scheme in ("http", "https") and asked.host and 0 < (asked.port or 0) < 65536
    assert asked.path.endswith("/v1/models") and "/v1/v1/" not in asked.path
    assert not asked.query_string and not asked.fragment and asked.user is None


@given(st.text(max_size=12), st.integers(-1, 70_000))
def test_an_address_that_passes_has_a_host_and_a_port(host: str, port: int) -> None:
    try:
        found = parse_address(f"{host}:{port}", 9301)
    except ValueError:
        return
    assert found[0] and found[1] == port and 0 < port < 65536
    assert not set(found[0]) & set("/@[] \t\n")


def endpoints(*urls: str) -> str:
    return yaml.safe_dump({"pools": {"edge": {"tier": "edge", "endpoints": list(urls)}}})


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:99999", "has a wrong port; ports are from 1 to 65535"),
        ("http://127.0.0.1:0", "has a wrong port"),
        ("http://127.0.0.1:", "has a wrong port"),
        (
            "http://127.0.0.1:8101/v1",
            "ends with /v1, which the gateway adds by itself; write http://127.0.0.1:8101",
        ),
        ("https://h/openai/v1/", "which the gateway adds by itself; write https://h/openai"),
        ("https://h/v1/chat/completions", "ends with /v1/chat/completions"),
        ("http://a b:1", "a URL has no spaces and no line ends; take them out"),
        ("http://256.1.1.1:1", "'256.1.1.1' is no name of a host and no address"),
        ("http://a..b", "'a..b' is no name of a host and no address"),
        ("http://[::1", "is not an http:// or https:// URL"),
        ("127.0.0.1:8101", "is not an http:// or https:// URL, such as http://127.0.0.1:8101"),
    ],
)
def test_an_endpoint_that_nobody_could_reach_says_what_to_write(url: str, sentence: str) -> None:
    (problem,) = settings_problems(endpoints(url), {})
    assert problem.startswith("pools.edge.endpoints: ") and sentence in problem


def test_a_path_below_which_a_server_stands_is_kept() -> None:
    urls = (
        "HTTP://H:8101/one/",
        "http://h:8101/two",
        "https://[::1]/v1/mine/openai",
        "http://127.1",
    )
    pool = Settings.parse(endpoints(*urls), {}).pools["edge"]
    assert pool.endpoints == (
        "http://h:8101/one",
        "http://h:8101/two",
        "https://[::1]/v1/mine/openai",
        "http://127.1",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("listen: {host: 'http://h'}", "listen.host: 'http://h' is no host; write a name"),
        ("listen: {host: ''}", "listen.host: '' is no name of a host"),
        ("operations: {host: 'h:8081'}", "operations.host: 'h:8081' is no host"),
        ("listen: {allowed_origins: ['http://h:99999']}", "has a wrong port"),
        (
            "listen: {allowed_origins: ['http://h/x']}",
            "'http://h/x' is not an origin",
        ),
        ("listen: {allowed_origins: ['http://u:p4ss@h']}", "this is not an origin"),
        ("state: {redis: {url: 'redis://:p4ss@h:0'}}", "state.redis.url: not redis://"),
        ("state: {redis: {url: 'redis://:p4ss@h:99999'}}", "state.redis.url: not redis://"),
        (
            "state: {redis: {master: m, sentinels: ['http://a:1']}}",
            "state.redis.sentinels: 'http://a:1' is not host:port",
        ),
        (
            "state: {redis: {master: m, sentinels: ['::1:26379']}}",
            "is not host:port, such as 127.0.0.1:26379, or [::1]:26379",
        ),
        (
            "keys: {issuers: {a: {issuer: x, audience: y, jwks_url: 'https://u:p4ss@h/keys'}}}",
            "keys.issuers.a.jwks_url: a URL with a user or a password",
        ),
        (
            "keys: {issuers: {a: {issuer: x, audience: y, jwks_url: 'https://h:0/?t=p4ss'}}}",
            "keys.issuers.a.jwks_url: this has a wrong port",
        ),
    ],
)
def test_every_other_address_is_judged_in_the_same_way(text: str, sentence: str) -> None:
    (problem,) = settings_problems(endpoints("http://h:1") + text, {})
    assert sentence in problem and "p4ss" not in problem
