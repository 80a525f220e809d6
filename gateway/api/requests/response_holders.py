"""Where requests about a response go that an endpoint keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from gateway.core.access.key import Identity
from gateway.core.ports import EndpointSource
from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.core.types import EndpointState, InferenceRequest
from gateway.errors import GatewayError, InvalidRequest
from gateway.protocol.virtual_models import AUTO
from gateway.serving.access.access import Access
from gateway.serving.requests.stored_responses import StoredResponses


class ResponseHolders:
    """The endpoints that keep responses, as far as a caller may ask them. `stored` finds them."""

    def __init__(
        self, *, stored: StoredResponses, access: Access, endpoints: EndpointSource
    ) -> None:
        self._stored = stored
        self._access = access
        self._endpoints = endpoints

    def any_model(self, identity: Identity) -> str:
        """A model that the caller may name: a route without a body names none, and any will do."""
        may_ask = partial(self._access.may_ask, identity)
        names_there = (name for state in self._endpoints.states() for name in state.models)
        return next(filter(may_ask, (AUTO, *names_there)), AUTO)

    async def at_holder(
        self,
        request: InferenceRequest,
        response_id: str,
        identity: Identity,
        upstream: Mapping[str, str],
    ) -> InferenceRequest:
        """The request, to be answered by the endpoint that has this response. It is looked for only
        where the caller might get its answers. A model that no endpoint serves is refused later."""

        def names_for(state: EndpointState) -> list[str]:
            tier = state.endpoint.tier
            if not request.privacy.allows(tier):
                return []
            return [
                name
                for name in (AUTO, *state.models)
                if self._access.may_ask(identity, name, tier.value)
            ]

        try:
            holder = await self._stored.holder(
                response_id, upstream, lambda state: bool(names_for(state))
            )
        except GatewayError as error:
            return replace(request, fault=error)
        if not request.model_in_body:
            return replace(request, endpoint=holder.endpoint.id, model=names_for(holder)[0])
        if request.model in VIRTUAL_MODELS or request.model in holder.models:
            return replace(request, endpoint=holder.endpoint.id)
        if not any(request.model in state.models for state in self._endpoints.states()):
            return request
        there = ", ".join(name for name in names_for(holder) if name != AUTO) or AUTO
        return replace(
            request,
            fault=InvalidRequest(
                "previous_response_id: the endpoint that keeps this response does not serve "
                f"{request.model!r}; go on with {there}, or send what was said before as input",
                param="previous_response_id",
                code="invalid_value",
            ),
        )
