"""Callers who come in with an issuer's token, or by a trusted proxy's word: a real gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from openai import AuthenticationError, OpenAI, PermissionDeniedError, RateLimitError

from tests.servers import Server, eventually, start_gateway, start_simulator
from tests.stand_in import Answer, stand_in

pytestmark = pytest.mark.integration
ISSUER, KEYS = "https://login.example", "/keys.json"
SIGNING = ec.generate_private_key(ec.SECP256R1())
QUESTION: Any = [{"role": "user", "content": "hi"}]


def token(**claims: Any) -> str:
    given = {"iss": ISSUER, "aud": "tierflow", "sub": "ann", "exp": time.time() + 600}
    return jwt.encode({**given, **claims}, SIGNING, algorithm="ES256", headers={"kid": "k"})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("issued")
    public = {**json.loads(ECAlgorithm.to_jwk(SIGNING.public_key())), "kid": "k"}
    with ExitStack() as stack:
        engine = start_simulator("rill-edge", folder, "--unpaced")
        stack.callback(engine.stop)
        issuer = stack.enter_context(stand_in({KEYS: Answer({"keys": [public]})}))
        config = {
            "pools": {"edge": {"tier": "edge", "endpoints": [engine.url]}},
            "scrape": {"interval_s": 0.2},
            "keys": {
                "issuers": {
                    "login": {
                        "issuer": ISSUER,
                        "audience": "tierflow",
                        "jwks_url": issuer.url + KEYS,
                        "algorithms": ["ES256"],
                        "scope_claims": {"ways": "ways"},
                        "requests_per_min": 3,
                    }
                },
                "proxy": {"networks": ["127.0.0.0/8"], "tokens_per_day": 1000},
            },
        }
        server = start_gateway(config, folder)
        stack.callback(server.stop)
        yield server


def client(gateway: Server, key: str) -> OpenAI:
    return OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0)


def ask(caller: OpenAI, model: str = "rill-edge") -> Any:
    return caller.chat.completions.create(model=model, messages=QUESTION, max_tokens=2)


def test_a_token_lets_its_caller_in_within_its_scope_and_quota(gateway: Server) -> None:
    with client(gateway, token(ways=["plain"])) as caller:
        assert ask(caller).choices
        with pytest.raises(PermissionDeniedError):
            ask(caller, "tierflow-cascade")
        with pytest.raises(RateLimitError):
            for _ in range(4):
                ask(caller)
    with client(gateway, token(sub="bob", ways=["plain"])) as another:
        assert ask(another).choices
    (line, *_) = eventually(lambda: gateway.logged(event="request", key="login/bob"), "it is told")
    assert line["outcome"] == "ok"


@pytest.mark.parametrize("claims", [{"aud": "other"}, {"exp": 1}, {"iss": "https://evil.example"}])
def test_a_token_that_is_not_for_here_is_refused_as_openai_refuses(
    gateway: Server, claims: dict[str, Any]
) -> None:
    with client(gateway, token(**claims)) as caller, pytest.raises(AuthenticationError) as raised:
        ask(caller)
    assert raised.value.code == "invalid_api_key"


def test_a_proxy_says_who_calls_and_a_caller_that_nobody_names_needs_a_key(
    gateway: Server,
) -> None:
    body = {"model": "rill-edge", "messages": QUESTION, "max_tokens": 2}
    url = gateway.url + "/v1/chat/completions"
    named = httpx.post(url, json=body, headers={"x-forwarded-user": "carol"})
    assert named.status_code == 200
    assert named.headers["x-ratelimit-limit-tokens"] == "1000"
    eventually(lambda: gateway.logged(event="request", key="proxy/carol"), "it is told")
    assert httpx.post(url, json=body).status_code == 401
    models = gateway.url + "/v1/models"
    assert httpx.get(models, headers={"x-forwarded-user": "carol"}).status_code == 200
    assert httpx.get(models).status_code == 401
    page = httpx.get(gateway.url + "/metrics").text
    assert 'key="proxy/carol"' in page
