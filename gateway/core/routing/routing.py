"""From a request and what is known of the endpoints to one endpoint, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from gateway.core.access.tiers import tier_not_allowed
from gateway.core.privacy import nobody_may_see
from gateway.core.routing.policies import VIRTUAL_MODELS, PoolView, Preference, by_model
from gateway.core.routing.profile import Profile
from gateway.core.types import EndpointState, InferenceRequest
from gateway.errors import InvalidRequest, NoEndpoint, Overloaded, UnknownModel
from gateway.protocol.headers import MAX_TIER, MIN_QUALITY
from gateway.protocol.nearest import nearest
from gateway.protocol.virtual_models import CASCADE, COLLECTIVE

RETRY_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The endpoint that a request goes to. `model` is the name that the endpoint serves;
    `reason` is one of a fixed, small set."""

    state: EndpointState
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Routing:
    """The routing: tier policies order the pools, profiles choose in them. `profiles` maps a
    pool's name to its profile; `family` lists models, smallest first. `composed` are the names of
    models whose answers the gateway composes of others', which go another way."""

    profiles: Mapping[str, Profile]
    family: Sequence[str]
    composed: Sequence[str] = (CASCADE, COLLECTIVE)

    def choose(
        self,
        request: InferenceRequest,
        states: Sequence[EndpointState],
        now: float,
        uniform: Callable[[], float],
        tried: Set[str] = frozenset(),
    ) -> Choice:
        """Pick an endpoint that is not in `tried` (ids that already failed this request).

        Where every endpoint that may take the request is ejected, they all may: ejection never
        refuses a caller.

        Raises UnknownModel, InvalidRequest (demands that no pool can meet), OutOfScope (tiers that
        the caller's key is not for), Denied (tiers that may not see it), NoEndpoint, Overloaded.
        """
        try:
            preferences, chosen = self._preferred(request, states, now, tried)
        except NoEndpoint:
            if all(state.health.admits(now) for state in states):
                raise
            preferences, chosen = self._preferred(request, states, now, tried, ejected_too=True)
        view = chosen.view
        reason = _reason(preferences, chosen, stored=bool(request.endpoint), retried=bool(tried))
        free = [state for state in view.eligible if not state.full]
        state = self.profiles[view.name].pick(request, free, now, uniform)
        return Choice(state, view.model, reason)

    def _preferred(
        self,
        request: InferenceRequest,
        states: Sequence[EndpointState],
        now: float,
        tried: Set[str],
        *,
        ejected_too: bool = False,
    ) -> tuple[list[Preference], Preference]:
        """The pools in the order of the request's tier policy, and the first that can take it."""
        policy = VIRTUAL_MODELS.get(request.model)

        def eligible(pool: str, model: str, group: list[EndpointState]) -> list[EndpointState]:
            untried = [s for s in group if s.endpoint.id not in tried]
            return self.profiles[pool].eligible(
                request, model, untried, now, ejected_too=ejected_too
            )

        views = self._views(request, states, eligible, virtual=policy is not None)
        if not views:
            raise _nothing_serves(request.model, states, self.composed)
        allowed = self._within_demands(request, views)
        preferences = (policy or by_model)(request, allowed, now)
        return preferences, _first_usable(preferences)

    def _views(
        self,
        request: InferenceRequest,
        states: Sequence[EndpointState],
        eligible: Callable[[str, str, list[EndpointState]], list[EndpointState]],
        *,
        virtual: bool,
    ) -> list[PoolView]:
        """The pools that have the model; for a virtual one all pools, with their first model.

        An engine lists its base model first, then the adapters on top of it.
        """
        members: dict[tuple[str, str], list[EndpointState]] = {}
        for state in states:
            model = next(iter(state.models), None) if virtual else request.model
            if model is not None and model in state.models:
                members.setdefault((state.endpoint.pool, model), []).append(state)
        return [
            PoolView(
                name=pool,
                tier=group[0].endpoint.tier,
                model=model,
                quality=self.quality(model),
                eligible=eligible(pool, model, group),
            )
            for (pool, model), group in members.items()
        ]

    def quality(self, model: str) -> int | None:
        return self.family.index(model) if model in self.family else None

    def _within_demands(
        self, request: InferenceRequest, views: Sequence[PoolView]
    ) -> list[PoolView]:
        demands, tiers = request.demands, request.caller.scope.tiers
        if tiers is not None:
            views = [view for view in views if view.tier.value in tiers]
            if not views:
                raise tier_not_allowed(request.caller.key, request.caller.scope, request.model)
        views = [view for view in views if request.privacy.allows(view.tier)]
        if not views:
            raise nobody_may_see(request.privacy, request.model)
        max_tier = demands.max_tier
        if max_tier is not None:
            views = [view for view in views if view.tier.rank <= max_tier.rank]
            if not views:
                raise InvalidRequest(
                    f"{request.model} is not served at tier {max_tier} or closer; "
                    f"allow a higher tier in {MAX_TIER} or name another model",
                    param=MAX_TIER,
                    code="demand_not_met",
                )
        if demands.min_quality is not None:
            rank = self._demanded_quality(demands.min_quality)
            views = [v for v in views if v.quality is not None and v.quality >= rank]
            if not views:
                raise InvalidRequest(
                    f"no pool that {request.model} may use has quality {demands.min_quality} or "
                    f"better; lower {MIN_QUALITY} or allow a higher tier",
                    param=MIN_QUALITY,
                    code="demand_not_met",
                )
        return list(views)

    def _demanded_quality(self, name: str) -> int:
        quality = self.quality(name)
        if quality is None:
            raise InvalidRequest(
                f"{MIN_QUALITY}: unknown family member {name!r}; "
                f"members, smallest first: {', '.join(self.family) or 'none configured'}",
                param=MIN_QUALITY,
                code="unknown_family_member",
            )
        return quality


def _first_usable(preferences: Sequence[Preference]) -> Preference:
    """The first that is not saturated; if all are, the first that still takes a request."""
    usable = [p for p in preferences if p.view.eligible]
    for preference in usable:
        if not preference.view.saturated:
            return preference
    for preference in usable:
        if not preference.view.full:
            return preference
    if usable:
        raise Overloaded(
            "every endpoint that may take this request is full; try again soon",
            retry_after=RETRY_AFTER_S,
            code="overloaded",
        )
    pools = ", ".join(sorted({p.view.name for p in preferences}))
    raise NoEndpoint(
        f"no endpoint can take this request now (pools: {pools}); see /ready for the cause",
        retry_after=RETRY_AFTER_S,
        code="no_endpoint",
    )


def _reason(
    preferences: Sequence[Preference], chosen: Preference, *, stored: bool, retried: bool
) -> str:
    if stored:
        return "stored"
    if retried:
        return "retry"
    first = preferences[0]
    if chosen is first:
        return chosen.reason
    return "overflow" if first.view.eligible else "failover"


def _nothing_serves(
    model: str, states: Sequence[EndpointState], composed: Sequence[str]
) -> UnknownModel | NoEndpoint:
    known = sorted({name for state in states for name in state.models})
    if not states:
        return NoEndpoint(
            "no pool has an endpoint now; see /ready for the cause",
            retry_after=RETRY_AFTER_S,
            code="no_endpoint",
        )
    if unseen := sorted({state.endpoint.pool for state in states if not state.models}):
        return NoEndpoint(
            f"the model {model!r} is not available yet: no answer so far from pools "
            f"{', '.join(unseen)}; available: {', '.join(known) or 'none'}",
            retry_after=RETRY_AFTER_S,
            code="no_endpoint",
        )
    return unknown_model(model, [*known, *VIRTUAL_MODELS, *composed])


def unknown_model(model: str, available: Sequence[str]) -> UnknownModel:
    """The error for a name that is none of the available models'."""
    near = nearest(model, available)
    hint = f"did you mean {near}? Available" if near else "available"
    return UnknownModel(
        f"the model {model!r} does not exist; {hint}: {', '.join(available)}",
        param="model",
        code="model_not_found",
    )
