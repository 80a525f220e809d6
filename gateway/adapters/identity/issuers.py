"""The check of tokens that issuers have signed (JSON Web Tokens, RFC 7519)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from gateway.adapters.identity.key_set import KeySet
from gateway.core.access.claims import ClaimRule, identity_of
from gateway.core.access.key import Identity
from gateway.core.bounded_dict import BoundedDict
from gateway.errors import InvalidKey, StateLost

LEEWAY_S = 30.0
"""By how much the clocks of issuer and gateway may differ."""
MAX_KNOWN = 4096
_OPTIONS: Any = {
    "require": ["exp", "iss", "aud"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}
RETRY_S = 5.0
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The kind of key that an algorithm needs, by how the algorithm's name begins (RFC 7518)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An issuer whose tokens are good here: by its `id` in their claim `iss`, for this `audience`,
    signed with one of these algorithms."""

    id: str
    audience: str
    algorithms: Sequence[str]
    keys: KeySet
    rule: ClaimRule


class SignedTokens:
    """The `TokenIssuers` port. A token that was good is known again without another check, as long
    as it is good. `unix_time` in seconds."""

    def __init__(self, unix_time: Callable[[], float]) -> None:
        self.issuers: dict[str, Issuer] = {}
        self._unix_time = unix_time
        self._known: BoundedDict[bytes, tuple[float, Identity]] = BoundedDict(MAX_KNOWN)

    def add(self, issuer: Issuer) -> None:
        self.issuers[issuer.id] = issuer

    def forget(self) -> None:
        """An issuer has other keys now: what was checked with those before is checked again."""
        self._known.clear()

    def problem(self) -> str:
        """The issuers whose keys can't be read, and why, in words for the operator; "" while all
        is well."""
        return "; ".join(
            f"{issuer.rule.issuer}: {issuer.keys.problem}, "
            + ("the keys read last stay good" if issuer.keys.known else "its callers can't come in")
            for issuer in self.issuers.values()
            if issuer.keys.problem
        )

    async def identify(self, token: str) -> Identity:
        """Whose token it is. Raises InvalidKey, and StateLost where the issuer's keys could never
        be read."""
        digest = hashlib.sha256(token.encode("latin-1", "replace")).digest()
        expires, identity = self._known.get(digest, (0.0, None))
        if identity is not None and self._unix_time() < expires:
            return identity
        claims, issuer = await self._claims(token)
        identity = identity_of(claims, issuer.rule)
        self._known[digest] = float(claims["exp"]) + LEEWAY_S, identity
        return identity

    async def _claims(self, token: str) -> tuple[dict[str, Any], Issuer]:
        try:
            header = jwt.get_unverified_header(token)
            named = jwt.decode(token, options={"verify_signature": False}).get("iss")
            issuer = self.issuers.get(named) if isinstance(named, str) else None
            if issuer is None:
                raise _refused("its issuer is not one of this gateway's")
            key = await issuer.keys.find(header.get("kid"))
            if key is None and not issuer.keys.known:
                raise StateLost(
                    f"the keys of {issuer.rule.issuer}, which signs tokens, can't be read now",
                    retry_after=RETRY_S,
                    code="issuer_lost",
                )
            if key is None:
                raise _refused("its issuer has no key of this id")
            if _KINDS.get(header["alg"][:2], key.key_type) != key.key_type:
                raise _refused("its algorithm is not for the key of this id")
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=list(issuer.algorithms),
                audience=issuer.audience,
                issuer=issuer.id,
                # The times are checked here, by the clock that this is given.
                options=_OPTIONS,
            )
            self._check_times(claims)
        except jwt.PyJWTError as error:
            raise _refused(_cause(error)) from error
        except (TypeError, ValueError, OverflowError) as error:
            raise _refused("it is malformed") from error
        return claims, issuer

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        """Raises InvalidKey."""
        expires, begins, now = claims["exp"], claims.get("nbf", 0), self._unix_time()
        if not isinstance(expires, int | float) or not isinstance(begins, int | float):
            raise _refused("its times are no numbers")
        if now >= expires + LEEWAY_S:
            raise _refused("it has expired")
        if now < begins - LEEWAY_S:
            raise _refused("it is not good yet")


def _cause(error: jwt.PyJWTError) -> str:
    """In words of ours: the library's may repeat what the token holds."""
    causes = {
        jwt.InvalidAudienceError: "it is for another audience",
        jwt.MissingRequiredClaimError: "it lacks one of the claims exp, iss, aud",
        jwt.InvalidAlgorithmError: "its algorithm is not allowed",
        jwt.InvalidSignatureError: "its signature is wrong",
    }
    return next(
        (words for kind, words in causes.items() if isinstance(error, kind)), "it is malformed"
    )


def _refused(cause: str) -> InvalidKey:
    return InvalidKey(f"this token is not accepted: {cause}", code="invalid_api_key")
