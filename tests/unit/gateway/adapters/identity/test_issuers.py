"""Tokens that an issuer has signed: whose they are, and which are not accepted."""

from __future__ import annotations

import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from gateway.adapters.identity.issuers import LEEWAY_S, Issuer, SignedTokens
from gateway.adapters.identity.key_set import LEAST_PAUSE_S, KeySet, KeySetProblem
from gateway.core.access.claims import ClaimRule
from gateway.core.access.key import Quotas, Scope
from gateway.errors import InvalidKey, StateLost
from tests.unit.gateway.fakes import StoppedClock

pytestmark = pytest.mark.anyio
NOW = 1_800_000_000.0
ISSUER, AUDIENCE = "https://login.example", "tierflow"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())


def jwk(id: str, key: Any) -> dict[str, Any]:
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": id, "use": "sig"}


ROOT = {"iss": ISSUER, "aud": AUDIENCE, "sub": "root", "exp": NOW + 60}
UNSIGNED = jwt.encode(ROOT, "", algorithm="none")


class Place:
    """An issuer, whose published keys and clock are the test's."""

    def __init__(self, **scopes: str) -> None:
        self.published: list[dict[str, Any]] | None = [jwk("one", RSA), jwk("curve", CURVE)]
        self.fault: Exception | None = None
        self.reads = 0
        self.clock = StoppedClock()
        self.now = NOW
        self.tokens = SignedTokens(lambda: self.now)
        keys = KeySet(issuer="login", read=self._read, clock=self.clock, changed=self.tokens.forget)
        rule = ClaimRule(issuer="login", name="sub", scopes=scopes, quotas=Quotas(in_flight=3))
        self.tokens.add(
            Issuer(
                id=ISSUER,
                audience=AUDIENCE,
                algorithms=("RS256", "ES256"),
                keys=keys,
                rule=rule,
            )
        )

    async def _read(self) -> bytes:
        self.reads += 1
        if self.fault is not None:
            raise self.fault
        if self.published is None:
            raise KeySetProblem("it is away")
        return json.dumps({"keys": self.published}).encode()

    async def refused(self, token: str) -> str:
        with pytest.raises(InvalidKey) as raised:
            await self.tokens.identify(token)
        assert raised.value.code == "invalid_api_key"
        assert token not in raised.value.message
        return raised.value.message


@pytest.fixture
def place() -> Place:
    return Place()


def token(key: Any = RSA, *, kid: str | None = "one", algorithm: str = "RS256", **more: Any) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW + 600, **more}
    headers = {} if kid is None else {"kid": kid}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


async def test_a_token_says_who_calls(place: Place) -> None:
    identity = await place.tokens.identify(token())
    assert (identity.id, identity.key) == ("key login/ann", "login/ann")
    assert identity.quotas.in_flight == 3
    assert (await place.tokens.identify(token(CURVE, kid="curve", algorithm="ES256"))) == identity


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        (lambda: token(OTHER), "signature is wrong"),
        (lambda: token(exp=NOW - LEEWAY_S - 1), "expired"),
        (lambda: token(nbf=NOW + LEEWAY_S + 60), "not good yet"),
        (lambda: token(aud="another"), "another audience"),
        (lambda: token(iss="https://evil.example"), "issuer is not one"),
        (lambda: token(exp=None), "lacks one of the claims"),
        (lambda: token(kid="unknown"), "no key of this id"),
        (lambda: token(algorithm="RS512"), "algorithm is not allowed"),
        (lambda: token("a secret of enough characters, all told", algorithm="HS256"), "algorithm"),
        (lambda: UNSIGNED, ""),
        (lambda: "a.b.c", "malformed"),
        (lambda: token(kid="curve"), "algorithm is not for the key"),
        (lambda: token(CURVE, algorithm="ES256"), "algorithm is not for the key"),
        (lambda: token(exp=10**400), "malformed"),
        (lambda: token(sub=""), "names no caller"),
        (lambda: token(sub="a\nb"), "names no caller"),
    ],
)
async def test_what_is_not_accepted_and_why(place: Place, made: Any, cause: str) -> None:
    assert cause in await place.refused(made())


async def test_the_public_key_is_no_shared_secret(place: Place) -> None:
    """The old trick: a token that is signed with the public key, as if that were a secret."""
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "one"}, ROOT)]
    signed = b".".join(base64url_encode(part) for part in parts)
    signature = hmac.digest(public, signed, "sha256")
    forged = b".".join((signed, base64url_encode(signature))).decode()
    assert "algorithm" in await place.refused(forged)


async def test_claims_become_scopes_and_a_claim_that_lacks_allows_nothing() -> None:
    place = Place(models="llm_models", tiers="llm_tiers", ways="scope")
    scope = (
        await place.tokens.identify(
            token(llm_models=["rill-edge"], llm_tiers=["edge", "moon"], scope="plain read")
        )
    ).scope
    assert scope == Scope(
        models=frozenset({"rill-edge"}), tiers=frozenset({"edge"}), ways=frozenset({"plain"})
    )
    nothing = (await place.tokens.identify(token())).scope
    assert nothing == Scope(models=frozenset(), tiers=frozenset(), ways=frozenset())


async def test_a_known_token_is_not_checked_again_until_it_expires(place: Place) -> None:
    good = token()
    identity = await place.tokens.identify(good)
    assert await place.tokens.identify(good) is identity
    place.now = NOW + 600 + LEEWAY_S + 1
    assert "expired" in await place.refused(good)


async def test_a_new_key_is_found_without_a_restart_and_an_old_one_is_gone(place: Place) -> None:
    old, new = token(), token(OTHER, kid="two")
    await place.tokens.identify(old)
    place.published = [jwk("two", OTHER)]
    place.clock.time += LEAST_PAUSE_S
    await place.tokens.identify(new)
    assert "no key of this id" in await place.refused(old)


async def test_made_up_key_ids_do_not_make_the_gateway_read_again_and_again(place: Place) -> None:
    for number in range(20):
        await place.refused(token(kid=f"made-up-{number}"))
    assert place.reads == 1


async def test_without_keys_a_caller_is_told_to_come_again(place: Place) -> None:
    place.published = None
    with pytest.raises(StateLost) as raised:
        await place.tokens.identify(token())
    assert raised.value.code == "issuer_lost"
    problem = place.tokens.problem()
    assert problem.startswith("login: ") and problem.endswith("its callers can't come in")


async def test_keys_that_were_read_stay_good_while_the_issuer_is_away(place: Place) -> None:
    await place.tokens.identify(token())
    place.published = None
    place.clock.time += LEAST_PAUSE_S
    await place.refused(token(kid="unknown"))
    assert (await place.tokens.identify(token(jti="2"))).key == "login/ann"
    assert place.tokens.problem().endswith("stay good")


async def test_a_failure_that_nobody_foresaw_leaves_the_keys_before_good(place: Place) -> None:
    await place.tokens.identify(token())
    place.fault, place.clock.time = RecursionError("a secret"), place.clock.time + LEAST_PAUSE_S
    assert "no key of this id" in await place.refused(token(kid="unknown"))
    assert place.tokens.problem().endswith("RecursionError, the keys read last stay good")
    assert (await place.tokens.identify(token(sub="ben"))).key == "login/ben"
    place.fault, place.clock.time = None, place.clock.time + LEAST_PAUSE_S
    await place.refused(token(kid="unknown"))
    assert place.tokens.problem() == ""
