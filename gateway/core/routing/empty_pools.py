"""Pools that have no healthy endpoint now, and could take a request if they had one."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

from gateway.core.routing.policies import VIRTUAL_MODELS, PoolView, by_model
from gateway.core.types import EndpointState, InferenceRequest, PoolState

LABEL_ROOM = 60
"""From this length on a label may be a name cut short: 63 characters are all that it takes."""


def empty_pools(
    request: InferenceRequest,
    pools: Sequence[PoolState],
    states: Sequence[EndpointState],
    family: Sequence[str],
    now: float,
) -> list[PoolState]:
    """In the order in which the request's tier policy prefers them.

    A pool of which no model's name is known yet might serve any.
    """
    up = {state.endpoint.pool for state in states if state.healthy}
    fitting = {
        pool.name: pool for pool in pools if pool.name not in up and _fits(request, pool, family)
    }
    views = [
        PoolView(name=pool.name, tier=pool.tier, model="", quality=None, eligible=())
        for pool in fitting.values()
    ]
    policy = VIRTUAL_MODELS.get(request.model, by_model)
    return [fitting[preference.view.name] for preference in policy(request, views, now)]


def _fits(request: InferenceRequest, pool: PoolState, family: Sequence[str]) -> bool:
    demands = request.demands
    if not request.privacy.allows(pool.tier):
        return False
    if demands.max_tier is not None and pool.tier.rank > demands.max_tier.rank:
        return False
    if request.model not in VIRTUAL_MODELS and not _may_serve({request.model}, pool):
        return False
    min_quality = demands.min_quality
    return min_quality is None or (
        min_quality in family and _may_serve(set(family[family.index(min_quality) :]), pool)
    )


def _may_serve(models: Set[str], pool: PoolState) -> bool:
    if not pool.models and not pool.labels:
        return True
    return bool(models & pool.models) or any(
        names(label, model) for label in pool.labels for model in models
    )


def names(label: str, model: str) -> bool:
    """Is the label this model's name? Labels take fewer characters, and 63 of them at most."""
    short, whole = _plain(label), _plain(model)
    return short == whole or (len(label) >= LABEL_ROOM and whole.startswith(short))


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
