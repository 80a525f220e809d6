"""Who calls, and what it may ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from gateway.core.access.claims import TrustedProxy
from gateway.core.access.key import (
    ANONYMOUS,
    EVERYTHING,
    PREFIX,
    Identity,
    Scope,
    Way,
    bearer_token,
)
from gateway.core.access.quota import RequestUse, estimated_tokens
from gateway.core.access.rate_headers import RateHeaders
from gateway.core.access.tiers import check_model
from gateway.core.ports import AccessTelemetry, Callers, TokenIssuers
from gateway.core.privacy import Privacy
from gateway.core.types import InferenceRequest
from gateway.errors import GatewayError, InvalidKey, OutOfScope, QuotaExceeded
from gateway.protocol.headers import MIN_QUALITY, PRIORITY, PRIVACY
from gateway.protocol.virtual_models import CASCADE, COLLECTIVE
from gateway.serving.access.key_table import KeyTable
from gateway.serving.access.quotas import KeyQuotas, NoPermit, Permit

_WAYS: dict[str, Way] = {CASCADE: "cascade", COLLECTIVE: "collective"}
NO_PERMIT = NoPermit()
MISSING = (
    "you didn't provide an API key; send it as `Authorization: Bearer <key>`; the gateway's "
    "operator makes keys with `tierflow admin keys make`"
)
UNKNOWN = (
    "incorrect API key provided: it is unknown, revoked or expired; the gateway's operator makes "
    "keys with `tierflow admin keys make`"
)


class Access:
    """The gate for callers. `devices` knows devices' tokens, which are good here as well, `issuers`
    tokens that others have signed, and `proxy` is whose word is taken for who calls (None:
    nobody's); `required` says whether a caller must show who it is. No caller with a key
    asks for a priority above `max_priority`."""

    def __init__(
        self,
        *,
        keys: KeyTable,
        quotas: KeyQuotas,
        devices: Callers,
        issuers: TokenIssuers | None,
        proxy: TrustedProxy | None,
        required: Callable[[], bool],
        max_priority: int,
        telemetry: AccessTelemetry,
    ) -> None:
        self._keys = keys
        self._quotas = quotas
        self._devices = devices
        self._issuers = issuers
        self._proxy = proxy
        self._required = required
        self._max_priority = max_priority
        self._telemetry = telemetry

    @property
    def open(self) -> bool:
        """Whether callers need not show who they are."""
        return not self._required()

    async def identify(
        self, authorization: str, peer: str = "", headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> Identity:
        """Who shows this Authorization header, or whom a trusted proxy at `peer` names in these
        headers. No round trip but for an enrolled device, once in a few seconds, and for an
        issuer's new key. Raises InvalidKey, TooManyAttempts where too many wrong tokens of
        devices came from `peer`, and StateLost where only a lost store or issuer knows."""
        token = bearer_token(authorization)
        if token:
            if (known := self._keys.find(token)) is not None:
                return known
            if token.startswith(PREFIX):
                raise self._refused("", InvalidKey(UNKNOWN, code="invalid_api_key"))
        try:
            if self._proxy is not None and (named := self._proxy.identity(peer, headers)):
                return named
            if self._issuers is not None and token.count(".") == 2:
                return await self._issuers.identify(token)
        except InvalidKey as error:
            raise self._refused("", error) from error
        if not self._required():
            return ANONYMOUS
        if token and (grant := await self._devices.device_of(authorization, peer)):
            return grant.identity
        raise self._refused("", InvalidKey(UNKNOWN if token else MISSING, code="invalid_api_key"))

    def admit(
        self, request: InferenceRequest, identity: Identity
    ) -> tuple[InferenceRequest, Permit | NoPermit]:
        """The request as it may go on, with what forbids it as its `fault`, and its place in the
        key's quotas: a block to be entered."""
        if not identity.key:
            return request, NO_PERMIT
        if request.fault is None and (fault := self._out_of_scope(request, identity)) is not None:
            request = replace(request, fault=fault)
        tokens = 0
        if request.fault is None:
            tokens = estimated_tokens(request.prompt_chars, request.max_tokens, request.answers)
        try:
            used = request.caller.used or RequestUse()
            return request, self._quotas.enter(identity, tokens, used)
        except QuotaExceeded as error:
            refused = replace(request, fault=self._refused(identity.key, error))
            return refused, NoPermit(self._quotas.headers(identity))

    def may_ask(self, identity: Identity, model: str, tier: str | None = None) -> bool:
        """Whether the key may name this model, which is served at `tier`."""
        tiers = identity.scope.tiers
        if tier is not None and tiers is not None and tier not in tiers:
            return False
        return self._scope_problem(identity, model) is None

    def headers(self, identity: Identity) -> RateHeaders:
        """What the caller is told of its limits; nothing without a key."""
        return self._quotas.headers(identity) if identity.key else ()

    def _out_of_scope(self, request: InferenceRequest, identity: Identity) -> GatewayError | None:
        problem: OutOfScope | None = None
        if identity.scope is not EVERYTHING:
            problem = self._scope_problem(identity, request.model)
            quality = request.demands.min_quality
            if problem is None and quality is not None:
                problem = _model_problem(identity, quality, MIN_QUALITY)
            problem = problem or self._privacy_problem(identity, request.privacy.name)
        if problem is None and request.demands.priority > self._max_priority:
            problem = self._priority_problem(identity, request.demands.priority)
        return None if problem is None else self._refused(identity.key, problem)

    def _scope_problem(self, identity: Identity, model: str) -> OutOfScope | None:
        scope: Scope = identity.scope
        if (problem := _model_problem(identity, model, "model")) is not None:
            return problem
        way = _WAYS.get(model, "plain")
        if scope.ways is not None and way not in scope.ways:
            return OutOfScope(
                f"the key {identity.key} may not be used for {way} answers; it may for: "
                f"{', '.join(sorted(scope.ways))}",
                param="model",
                code="way_not_allowed",
            )
        return None

    def _privacy_problem(self, identity: Identity, privacy: Privacy) -> OutOfScope | None:
        allowed = identity.scope.privacy
        if allowed is None or privacy in allowed:
            return None
        return OutOfScope(
            f"the key {identity.key} may not be used for requests of the class {privacy}; it may "
            f"for: {', '.join(sorted(allowed))}",
            param=PRIVACY,
            code="privacy_not_allowed",
        )

    def _priority_problem(self, identity: Identity, priority: int) -> OutOfScope:
        return OutOfScope(
            f"the key {identity.key} may not ask for the priority {priority}; at most "
            f"{self._max_priority} (keys.max_priority)",
            param=PRIORITY,
            code="priority_not_allowed",
        )

    def _refused(self, key: str, error: GatewayError) -> GatewayError:
        self._telemetry.refused(key, error.code)
        return error


def _model_problem(identity: Identity, model: str, param: str) -> OutOfScope | None:
    try:
        check_model(identity.key, identity.scope, model, param)
    except OutOfScope as problem:
        return problem
    return None
