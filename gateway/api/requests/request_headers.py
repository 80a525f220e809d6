"""What a request's headers say of it: who asks, for what, and on which terms. Every complaint
names its header."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping

from starlette.types import Scope

from gateway.core.access.key import Identity
from gateway.core.access.quota import RequestUse
from gateway.core.privacy import PUBLIC, Privacy, PrivacyRule, PrivacyTerms
from gateway.core.tier import Tier
from gateway.core.types import Caller, Demands
from gateway.errors import EncodedBody, InvalidRequest
from gateway.protocol import headers as names
from gateway.protocol.requests.header_values import (
    WrongHeader,
    header_values,
    name_value,
    privacy_value,
)
from gateway.protocol.requests.request_problems import (
    RequestProblem,
    encoding_problem,
    header_problem,
    wrong_header,
)

READ = frozenset(
    name.encode()
    for name in (
        names.MAX_TIER,
        names.MIN_QUALITY,
        names.DEADLINE_MS,
        names.SESSION,
        names.CASCADE_QUALITY,
        names.PRIORITY,
        names.PRIVACY,
        names.REQUEST_ID,
        names.IDEMPOTENCY_KEY,
        names.AUTHORIZATION,
        names.API_KEY,
        names.RESUMABLE,
        names.LAST_EVENT_ID,
        "content-type",
        "content-length",
        "content-encoding",
        "traceparent",
        "tracestate",
    )
)
_OURS = names.OURS.encode()


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers that matter here, by lower-case name. A key in `x-api-key` is read as a bearer
    token, where there is no other."""
    found = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in raw
        if name in READ or name.startswith(_OURS)
    }
    if names.API_KEY in found:
        found.setdefault(names.AUTHORIZATION, f"Bearer {found[names.API_KEY]}")
    return found


def authorization_of(scope: Scope) -> str:
    """What a request shows to say who it is, as an Authorization header; "": nothing."""
    return read_headers(scope["headers"]).get(names.AUTHORIZATION, "")


def peer_address(scope: Scope) -> str:
    """The address that a connection comes from, behind a proxy the proxy's; "unknown" where it has
    none."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def request_id(headers: Mapping[str, str]) -> str:
    """The caller's own id when it is a harmless one, else a new one."""
    return names.harmless_id(headers.get(names.REQUEST_ID, "")) or secrets.token_hex(16)


def check_encoding(encoding: str | None) -> None:
    """Raises EncodedBody for a body that is compressed: `encoding` is its Content-Encoding."""
    if problem := encoding_problem(encoding):
        raise EncodedBody(problem.message, param=problem.param, code=problem.code)


def terms(
    headers: Mapping[str, str],
    peer: str,
    identity: Identity,
    privacy: PrivacyRule,
    *,
    repeatable: bool = False,
) -> tuple[Demands, Caller, PrivacyTerms, InvalidRequest | None]:
    """What the headers say, and what is wrong with them. `repeatable`: the request's answer is kept
    by an Idempotency-Key. OpenAI's clients may send one with every request, so elsewhere it is not
    looked at."""
    asked, caller, stated = Demands(), Caller(key=identity.key), PUBLIC
    try:
        asked, caller = demands(headers), _caller(headers, peer, identity, repeatable)
        stated = _privacy(headers.get(names.PRIVACY), privacy, identity.scope.privacy)
    except WrongHeader as wrong:
        return asked, caller, stated, _invalid(wrong.problem)
    except InvalidRequest as error:
        return asked, caller, stated, error
    return asked, caller, stated, None


def demands(headers: Mapping[str, str]) -> Demands:
    """What the `x-tierflow-*` headers ask for. Raises WrongHeader, also for one that there is
    not."""
    values = header_values(headers)
    return Demands(
        max_tier=None if values.max_tier is None else Tier(values.max_tier),
        min_quality=values.min_quality,
        deadline_s=values.deadline_s,
        session=values.session,
        cascade_quality=values.cascade_quality,
        resumable_s=values.resumable_s,
        priority=values.priority,
        marks=values.marks,
    )


def check_names(headers: Iterable[str]) -> None:
    """Raises InvalidRequest for a header that would be Tierflow's own, if there were one of this
    name: whoever misspells one asks for something else than is done."""
    if problem := header_problem(headers):
        raise _invalid(problem)


def _caller(headers: Mapping[str, str], peer: str, identity: Identity, repeatable: bool) -> Caller:
    """Told apart by who it is, where it has shown that; else by the session, where the request
    names one, else by the address. Raises InvalidRequest or WrongHeader."""
    session = headers.get(names.SESSION)
    key = headers.get(names.IDEMPOTENCY_KEY) if repeatable else None
    authorization = headers.get(names.AUTHORIZATION, "")
    owner = owner_of(identity, authorization)
    if key is not None and not owner:
        raise InvalidRequest(
            f"{names.IDEMPOTENCY_KEY}: send an Authorization header as well; without one nobody "
            "can tell your key from another caller's",
            param=names.IDEMPOTENCY_KEY,
            code="invalid_header",
        )
    unnamed = f"address {peer}" if session is None else f"session {session.strip()}"
    return Caller(
        authorization=authorization,
        owner=owner,
        idempotency_key=name_value(names.IDEMPOTENCY_KEY, key),
        id=identity.id or unnamed,
        key=identity.key,
        scope=identity.scope,
        fan_out=identity.quotas.fan_out,
        used=RequestUse() if identity.key else None,
    )


def owner_of(identity: Identity, authorization: str) -> str:
    """Whose a caller's idempotency keys, streams and answers are, a secret: its key's, under
    whatever rotation, else of the Authorization header as it came; "" without one."""
    return identity.owner or (authorization and f"authorization {authorization}")


def _privacy(
    value: str | None, rule: PrivacyRule, allowed: Collection[Privacy] | None
) -> PrivacyTerms:
    """`allowed`: the classes that the caller's key is for, None: all. Where the request names none,
    it has the most open one of them."""
    stated = privacy_value(value)
    if stated is None:
        return next((t for t in rule.classes.values() if not allowed or t.name in allowed), PUBLIC)
    return rule.classes[stated]


def bad_header(header: str, expected: str) -> InvalidRequest:
    """`expected` ends the sentence, such as "milliseconds above 0"."""
    return _invalid(wrong_header(header, expected))


def _invalid(problem: RequestProblem) -> InvalidRequest:
    return InvalidRequest(problem.message, param=problem.param, code=problem.code)
