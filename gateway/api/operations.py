"""The FastAPI side: models, health, readiness and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fastapi import APIRouter, Depends, Response

from gateway.api.caller_key import CallerGate
from gateway.api.description.responses import OF_CALLERS, error_responses
from gateway.core.access.key import Identity
from gateway.core.ports import EndpointSource
from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.core.routing.routing import unknown_model
from gateway.core.speculation.job import DraftWay
from gateway.core.types import Endpoint, EndpointState, PoolState
from gateway.protocol.openai import (
    ErrorBody,
    ModelCard,
    ModelList,
    PoolCondition,
    Readiness,
)


def models_router(
    gate: CallerGate,
    endpoints: EndpointSource,
    max_request_bytes: int,
    composed: Sequence[str] = (),
) -> APIRouter:
    """`composed`: virtual models whose answers the gateway composes of others'."""
    router, caller = APIRouter(tags=["models"]), Depends(gate)

    def cards(identity: Identity) -> list[ModelCard]:
        known = model_cards(endpoints.states(), endpoints.pools(), max_request_bytes, composed)
        return [card for card in known if gate.access.may_ask(identity, card.id, card.tier)]

    @router.get(
        "/v1/models",
        summary="All models that the caller may ask for, over all pools, and the virtual ones",
        responses=error_responses(*OF_CALLERS),
    )
    async def models(identity: Identity = caller) -> ModelList:
        return ModelList(data=cards(identity))

    @router.get(
        "/v1/models/{name:path}",
        summary="One model",
        responses=error_responses(*OF_CALLERS, "model_not_found"),
    )
    async def model(name: str, identity: Identity = caller) -> ModelCard:
        known = cards(identity)
        for card in known:
            if card.id == name:
                return card
        raise unknown_model(name, [each.id for each in known])

    return router


def model_cards(
    states: Sequence[EndpointState],
    pools: Sequence[PoolState],
    max_request_bytes: int,
    composed: Sequence[str] = (),
) -> list[ModelCard]:
    """What the endpoints serve, what a pool that holds requests will, and the virtual models."""
    cards = _served_cards(states, max_request_bytes)
    _add_held_models(cards, pools, max_request_bytes)
    ready = any(card.ready for card in cards.values())
    names = sorted(pool.name for pool in pools)
    virtual = [
        ModelCard(
            id=name, pools=names, max_request_bytes=max_request_bytes, ready=ready, virtual=True
        )
        for name in (*VIRTUAL_MODELS, *composed)
    ]
    return [*cards.values(), *virtual]


def _served_cards(states: Sequence[EndpointState], max_request_bytes: int) -> dict[str, ModelCard]:
    """Of the models that endpoints serve, by name."""
    cards: dict[str, ModelCard] = {}
    for state in states:
        for served in state.models.values():
            card = cards.get(served.name)
            if card is None:
                card = cards[served.name] = ModelCard(
                    id=served.name,
                    tier=state.endpoint.tier.value,
                    max_model_len=served.max_model_len,
                    max_request_bytes=max_request_bytes,
                    ready=False,
                )
            if state.endpoint.pool not in card.pools:
                card.pools.append(state.endpoint.pool)
            if served.max_model_len is not None and card.max_model_len is not None:
                card.max_model_len = min(card.max_model_len, served.max_model_len)
            card.ready = card.ready or state.healthy
    return cards


def _add_held_models(
    cards: dict[str, ModelCard], pools: Sequence[PoolState], max_request_bytes: int
) -> None:
    """Add what pools that hold requests will serve once they have an endpoint."""
    for pool in pools:
        for name in sorted(pool.models) if pool.hold_s else ():
            card = cards.setdefault(
                name,
                ModelCard(
                    id=name,
                    tier=pool.tier.value,
                    max_request_bytes=max_request_bytes,
                    ready=False,
                ),
            )
            if pool.name not in card.pools:
                card.pools.append(pool.name)


_ERRORS = error_responses()
_UNREADY = _ERRORS | {
    503: {
        **_ERRORS[503],
        "model": Readiness | ErrorBody,
        "description": f"not ready; {_ERRORS[503]['description']}",
    }
}


def operations_router(
    readiness: Callable[[], Readiness], metrics: Callable[[], tuple[bytes, str]]
) -> APIRouter:
    """`metrics` gives a page and its content type."""
    router = APIRouter(tags=["operations"])

    @router.get("/health", summary="Alive", responses=error_responses())
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @router.get(
        "/ready",
        summary="May requests come? And per pool, whether it can answer, and why not",
        responses=_UNREADY,
    )
    async def ready(response: Response) -> Readiness:
        answer = readiness()
        response.status_code = 200 if answer.ready else 503
        return answer

    @router.get(
        "/metrics",
        response_class=Response,
        summary="Prometheus metrics",
        responses=error_responses()
        | {
            200: {
                "description": "a page",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
    )
    async def metrics_page() -> Response:
        page, content_type = metrics()
        return Response(page, media_type=content_type)

    return router


def readiness(
    states: Sequence[EndpointState],
    pools: Sequence[PoolState],
    conditions: Mapping[str, str],
    *,
    ready: bool,
    now: float,
    drafts: Callable[[Endpoint], DraftWay],
) -> Readiness:
    """`ready`: requests may come, whatever their pools are like. An endpoint that is ejected is
    named, and leaves its pool ready: where all are, they are all tried. `drafts`: the way in which
    an endpoint takes them."""
    by_pool = {
        pool.name: PoolCondition(ready=False, tier=pool.tier.value, endpoints={}, held=pool.held)
        for pool in pools
    }
    for state in states:
        pool = by_pool[state.endpoint.pool]
        pool.endpoints[state.endpoint.id] = state.condition(now)
        pool.ready = pool.ready or state.healthy
        pool.drafts = drafts(state.endpoint)
    return Readiness(ready=ready, conditions=dict(conditions), pools=by_pool)
